package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// config has a small ring, for the race detector makes a large one slow.
func config() node.Config { return node.Config{Partitions: 257, VirtualNodes: 40} }

func TestCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, false, config()); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "Every answer was right.\n") {
		t.Fatalf("the story does not end well:\n%s", out.String())
	}
}

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancelAt := &cancelOn{text: "Ctrl-C", cancel: cancel}
	if err := run(ctx, cancelAt, true, config()); err != nil {
		t.Fatal(err)
	}
	if !cancelAt.seen {
		t.Fatal("it did not come up")
	}
}

// cancelOn cancels when the text is written.
type cancelOn struct {
	text   string
	cancel context.CancelFunc
	seen   bool
}

func (c *cancelOn) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.text) {
		c.seen = true
		c.cancel()
	}
	return len(p), nil
}
