package resp

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
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

// Only a read that is not sure is worth asking again: any other failure will not pass by itself, and is told at once.
func TestOnlyUnsureReadsAreAskedAgain(t *testing.T) {
	for _, failure := range []error{ErrUnavailable, ErrOverload, ErrInvalid, ErrTooLarge, ErrClosed, secretError{}} {
		for _, command := range []string{"get k", "mget k", "exists k", "smembers k", "incr k", "watch k"} {
			var asked atomic.Int64
			f := newFake()
			f.lookup = func(context.Context, string) error { asked.Add(1); return failure }
			w := dial(t, start(t, Config{Backend: f, Timeout: 100 * time.Millisecond}).Addr())
			w.send(command + "\r\n")
			if got := w.reply(); got[0] != '-' || asked.Load() != 1 {
				t.Errorf("%T, %s: %q after %d times", failure, command, got, asked.Load())
			}
		}
	}
}

// To a cache a read that failed because the cluster is out of reach, or has too much to do, is a miss; other failures are told.
func TestFailuresThatAreMisses(t *testing.T) {
	for failure, miss := range map[error]bool{ErrUnsure: true, ErrUnavailable: true, ErrOverload: true, ErrInvalid: false, ErrClosed: false} {
		f := newFake()
		f.lookup = func(context.Context, string) error { return failure }
		for _, b := range []Backend{f, laterFake{FastBackend: neverFast{f}}} {
			w := dial(t, start(t, Config{Backend: b, WhenUnsure: Miss}).Addr())
			for command, absent := range map[string]string{"get k": "$-1\r\n", "mget k l": "*2\r\n$-1\r\n$-1\r\n", "ttl k": ":-2\r\n"} {
				w.send(command + "\r\n")
				if got := w.reply(); (got == absent) != miss || !miss && got[0] != '-' {
					t.Errorf("%v, %s of %T: %q", failure, command, b, got)
				}
			}
		}
	}
}
