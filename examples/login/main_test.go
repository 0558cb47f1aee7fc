package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// The ring is a small one, for the race detector makes a large one slow.
func TestCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, false, node.Config{Partitions: 257, VirtualNodes: 40}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "Every answer was right.\n") {
		t.Fatalf("the story does not end well:\n%s", out.String())
	}
}
