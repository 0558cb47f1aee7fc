package resp

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Deletions of a pipeline, and what is written along with them, are begun whatever becomes of the others: an owner out of reach is to be asked for
// each of them, and they do not wait for each other.
func TestDeletionsOfAPipelineDoNotWaitForEachOther(t *testing.T) {
	const n, timeout = 100, 300 * time.Millisecond
	f := newFake()
	var begun atomic.Int64
	f.write = func(ctx context.Context, _ string) error {
		begun.Add(1)
		if ctx.Err() != nil {
			t.Error("begun when its time was over")
		}
		<-ctx.Done()
		return ctx.Err()
	}
	w := dial(t, start(t, Config{Backend: fastFake{f}, Timeout: timeout}).Addr())
	var sent strings.Builder
	for i := range n {
		sent.WriteString(cmd("del", fmt.Sprint("k", i)))
	}
	sent.WriteString(cmd("set", "s", "v"))
	at := time.Now()
	w.send(sent.String())
	for i := range n + 1 {
		if got := w.reply(); !strings.HasPrefix(got, "-UNCONFIRMED ") {
			t.Fatalf("command %d: %q", i, got)
		}
	}
	if begun.Load() != n+1 {
		t.Errorf("%d of %d were begun", begun.Load(), n+1)
	}
	if took := time.Since(at); took > 10*timeout {
		t.Errorf("all took %v, and each alone %v", took, timeout)
	}
}

// awayFake has nothing in memory.
type awayFake struct{ fastFake }

func (awayFake) LookupNow(string) (Entry, bool, bool) { return Entry{}, false, false }

// What has been answered does not wait for a command that waits: not its answer, and not those behind it.
func TestAnswersDoNotWaitForOtherCommands(t *testing.T) {
	for _, loop := range []bool{false, true} {
		for _, waits := range []string{"set slow x", "get slow", "incr slow", "smembers slow", "mget slow other"} {
			t.Run(fmt.Sprint(waits, ", on a loop: ", loop), func(t *testing.T) {
				t.Parallel()
				f := newFake()
				release := make(chan struct{})
				wait := func(ctx context.Context, key string) error {
					if key == "slow" {
						select {
						case <-release:
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					return nil
				}
				f.write = wait
				f.lookup = wait
				cfg := Config{Backend: awayFake{fastFake{f}}, Timeout: time.Minute}
				if loop {
					cfg.Backend = laterFake{FastBackend: awayFake{fastFake{f}}, held: release}
				}
				w := dial(t, start(t, cfg).Addr())
				w.send(cmd("ping") + cmd("echo", "before") + cmd(strings.Fields(waits)...) + cmd("echo", "after"))
				if got := w.reply() + w.reply(); got != "+PONG\r\n$6\r\nbefore\r\n" {
					t.Fatalf("before the wait: %q", got)
				}
				close(release)
				if got := w.reply(); strings.HasPrefix(got, "-") {
					t.Errorf("of what waited: %q", got)
				}
				if got := w.reply(); got != "$5\r\nafter\r\n" {
					t.Errorf("after it: %q", got)
				}
			})
		}
	}
}

// Many commands that wait in vain take the time of one, and those that do not need any are carried out.
func TestCommandsThatWaitInVainShareTheirTime(t *testing.T) {
	const timeout = 2 * time.Second
	f := newFake()
	fails := func(ctx context.Context, key string) error {
		if strings.HasPrefix(key, "lost") {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	f.write, f.lookup = fails, fails
	w := dial(t, start(t, Config{Backend: awayFake{fastFake{f}}, Timeout: timeout}).Addr())
	var sent strings.Builder
	const n = 12
	for i := range n {
		sent.WriteString(cmd("get", fmt.Sprint("lost", i)) + cmd("expire", fmt.Sprint("lost", i), "9") + cmd("incr", fmt.Sprint("here", i)))
	}
	at := time.Now()
	w.send(sent.String())
	for i := range n {
		if got := w.reply(); !strings.HasPrefix(got, "-TRYAGAIN ") {
			t.Errorf("GET %d: %q", i, got)
		}
		if got := w.reply(); !strings.HasPrefix(got, "-UNCONFIRMED ") && !strings.HasPrefix(got, "-TRYAGAIN ") {
			t.Errorf("EXPIRE %d: %q", i, got)
		}
		if got := w.reply(); got != ":1\r\n" {
			t.Errorf("INCR %d: %q", i, got)
		}
	}
	if took := time.Since(at); took > timeout+3*n*lateTimeout {
		t.Errorf("all took %v, and one alone %v", took, timeout)
	}
	at = time.Now() // of the next batch the first has all its time
	if got := w.do("get", "lost"); !strings.HasPrefix(got, "-TRYAGAIN ") || time.Since(at) < timeout {
		t.Errorf("%q after %v", got, time.Since(at))
	}
}
