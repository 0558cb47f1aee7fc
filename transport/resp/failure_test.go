package resp

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// secretError has a key in its text.
type secretError struct{ key string }

func (e secretError) Error() string { return "cannot write " + e.key }

// What a backend says of an argument that is too large is passed on, and a reply that is too large has its limit.
func TestSizeErrorsSayTheLimit(t *testing.T) {
	f := newFake()
	f.write = func(context.Context, string) error {
		return fmt.Errorf("set: %w", &DetailError{Err: ErrTooLarge, Text: "key of 5 bytes, at most 4"})
	}
	w := dial(t, start(t, Config{Backend: f}).Addr())
	if got := w.do("set", "token", "v"); got != "-ERR huddle: over the size limit: key of 5 bytes, at most 4\r\n" {
		t.Error(got)
	}
	if !strings.Contains(errReplySize, fmt.Sprint(maxReplyBytes>>20, " MiB")) {
		t.Errorf("%d bytes are not %q", maxReplyBytes, errReplySize)
	}
}

// Of an error that is not known the log has the type and not the text.
func TestErrorsAreLoggedWithoutTheirText(t *testing.T) {
	var log lines
	f := newFake()
	f.write = func(_ context.Context, key string) error { return fmt.Errorf("set %s: %w", key, secretError{key}) }
	w := dial(t, start(t, Config{Backend: f, Logger: log.logger()}).Addr())
	if got := w.do("set", "token-7", "v"); got != "-ERR huddle: internal error\r\n" {
		t.Error(got)
	}
	if got := log.text(); strings.Contains(got, "token-7") || !strings.Contains(got, "*fmt.wrapError resp.secretError") {
		t.Errorf("the log says %q", got)
	}
}
