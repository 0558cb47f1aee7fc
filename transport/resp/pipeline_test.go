package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// TestReadsOfAPipelineAreMadeAtOnce: none of the reads is answered before all have been asked.
func TestReadsOfAPipelineAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	const n = 16
	f := newFake()
	w := dial(t, start(t, Config{Backend: f, Timeout: 20 * time.Second}).Addr())
	var pipeline, want strings.Builder
	for i := range n {
		w.do("set", fmt.Sprint("k", i), fmt.Sprint(i))
		pipeline.WriteString(cmd("get", fmt.Sprint("k", i)))
		fmt.Fprintf(&want, "$%d\r\n%d\r\n", len(fmt.Sprint(i)), i)
	}
	all := together(n)
	f.lookup = func(ctx context.Context, _ string) error {
		return all(ctx)
	}
	w.send(pipeline.String())
	var got strings.Builder
	for range n {
		got.WriteString(w.reply())
	}
	if got.String() != want.String() {
		t.Errorf("%q, want %q", got.String(), want.String())
	}
}

// TestPipelineOrder mixes reads and writes of the same keys: each reply is as if the commands ran one after the other.
func TestPipelineOrder(t *testing.T) {
	t.Parallel()
	w := dial(t, start(t, Config{Backend: newFake()}).Addr())
	w.send("set k 1\r\nget k\r\nget none\r\nstrlen k\r\nset k 22\r\nget k\r\nget\r\nget k\r\nfoo\r\nttl k\r\nmulti\r\nget k\r\nset k 3\r\nget k\r\nexec\r\nget k\r\ntype k\r\n")
	want := []string{
		"+OK", "$1\r\n1", "$-1", ":1", "+OK", "$2\r\n22", "-ERR wrong number of arguments for 'get' command", "$2\r\n22",
		"-ERR unknown command 'foo', with args beginning with: ", ":-1", "+OK", "+QUEUED", "+QUEUED", "+QUEUED", "*3\r\n$2\r\n22\r\n+OK\r\n$1\r\n3", "$1\r\n3", "+string",
	}
	for i, s := range want {
		if got := w.reply(); got != s+"\r\n" {
			t.Errorf("reply %d: %q, want %q", i, got, s)
		}
	}
}

type countingListener struct {
	net.Listener
	writes atomic.Int64
}

// countingListener counts the writes on its connections.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn, &l.writes}, nil
}

func TestOneWriteForABatch(t *testing.T) {
	t.Parallel()
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: fastFake{newFake()}})
	if err != nil {
		t.Fatal(err)
	}
	counting := &countingListener{Listener: s.ln}
	s.ln = counting
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	w := dial(t, s.Addr())
	w.do("ping")
	before := counting.writes.Load()
	const n = 150 // commands of different sizes, more than are taken in one piece
	var b strings.Builder
	for i := range n {
		b.WriteString(cmd("set", "k", strings.Repeat("x", i)))
	}
	if b.Len() > 60_000 || b.Len() < 8<<10 {
		t.Fatal("the batch has the wrong size", b.Len())
	}
	w.send(b.String())
	for range n {
		w.reply()
	}
	// The kernel may deliver the batch in parts: one write for each receive, and a receive takes 8 KiB and more.
	if got := counting.writes.Load() - before; got > 4 {
		t.Errorf("%d writes for one batch", got)
	}
	if err := errors.Join(s.Close(), <-served); err != nil {
		t.Error(err)
	}
}
