package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What is begun on a loop is answered as it is from a goroutine for each client, in any mixture and in any pieces.
func TestBegunOrNotTheRepliesAreTheSame(t *testing.T) {
	var begun atomic.Int64
	onLoops := onLoops(t, Config{Backend: laterFake{FastBackend: sometimesFast{fastFake{newFake()}}, begun: &begun}})
	without := start(t, Config{Backend: sometimesFast{fastFake{newFake()}}, noLoops: true})
	var wg sync.WaitGroup
	for i := range 20 {
		rng := rand.New(rand.NewPCG(uint64(i), 2))
		key := func() string { return fmt.Sprintf("c%d:%d", i, rng.IntN(3)) }
		var batches []string // each ends with an answer of its own: what is sent without a pause is soon for a goroutine
		for j := range 200 {
			var sent strings.Builder
			for range rng.IntN(30) {
				sent.WriteString(cmd(someCommand(rng, key, fmt.Sprint(j))...))
			}
			batches = append(batches, sent.String()+cmd("discard")+cmd("echo", "the end"))
		}
		wg.Go(func() {
			var got [2]string
			for k, s := range []*Server{onLoops, without} {
				w := dial(t, s.Addr())
				for _, rest := range batches {
					var pieces []string
					for rng := rand.New(rand.NewPCG(uint64(i), 3)); len(rest) > 0; {
						n := min(len(rest), 1+rng.IntN(2000))
						pieces, rest = append(pieces, rest[:n]), rest[n:]
					}
					go func() {
						for _, p := range pieces {
							_, _ = io.WriteString(w.conn, p) // a failure shows in the replies
						}
					}()
					for w.wait(); !strings.HasSuffix(got[k], "the end\r\n"); {
						got[k] += w.reply()
					}
					got[k] += "\n"
				}
			}
			if got[0] != got[1] {
				at := 0
				for at < min(len(got[0]), len(got[1])) && got[0][at] == got[1][at] {
					at++
				}
				t.Errorf("client %d: on a loop %.80q, from goroutines %.80q", i, got[0][max(at-40, 0):], got[1][max(at-40, 0):])
			}
		})
	}
	wg.Wait()
	if begun.Load() < 1000 {
		t.Errorf("%d operations begun", begun.Load())
	}
}

// someCommand returns a command, right or wrong.
func someCommand(rng *rand.Rand, key func() string, value string) []string {
	one := func(of ...string) string { return of[rng.IntN(len(of))] }
	switch rng.IntN(16) {
	case 0, 1, 2:
		return []string{"set", key(), value}
	case 3:
		return []string{"set", key(), value, one("nx", "xx", "get", "keepttl", "ex")}
	case 4:
		return []string{"setnx", key(), value}
	case 5:
		return []string{"setex", key(), one("100", "0", "-1", "x"), value}
	case 6, 7:
		return []string{one("del", "unlink"), key()}
	case 8:
		return []string{"sadd", key(), value}
	case 9:
		return []string{one("get", "del"), partPrefix + key()}
	case 10:
		return []string{one("strlen", "type", "get")}
	case 11:
		return []string{one("multi", "exec", "discard")}
	case 12:
		return []string{"client", "reply", "skip"}
	}
	return []string{one("get", "strlen", "type"), key()}
}

// A client whose write or read another node has to answer has no goroutine meanwhile.
func TestWhoWaitsHasNoGoroutine(t *testing.T) {
	const n = 200
	var begun atomic.Int64
	held := make(chan struct{})
	s := onLoops(t, Config{Backend: laterFake{neverFast{newFake()}, held, &begun}, Timeout: time.Minute})
	before := runtime.NumGoroutine()
	clients := make([]*wire, n)
	for i := range clients {
		clients[i] = dial(t, s.Addr())
		atRest(t, s, clients[i])
		if i%2 == 0 {
			clients[i].send(cmd("setex", fmt.Sprint(i), "100", "v"))
		} else {
			clients[i].send(cmd("get", fmt.Sprint(i)))
		}
	}
	eventually(t, "all are begun", func() bool { return begun.Load() == n })
	if now := runtime.NumGoroutine(); now > before+n+n/10 { // those of the fake among them
		t.Errorf("%d goroutines, %d before", now, before)
	}
	close(held)
	for i, w := range clients {
		if got, want := w.reply(), []string{"+OK\r\n", "$-1\r\n"}[i%2]; got != want {
			t.Errorf("client %d: %q", i, got)
		}
	}
}

// atRest waits until a client that has just come is with its loop: the first thing that it sends may be for a goroutine.
func atRest(t *testing.T, s *Server, w *wire) {
	t.Helper()
	w.do("ping")
	eventually(t, "all clients are at rest, or wait", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.clients {
			if c.polled.state.Load() != resting && !c.polled.begun.waiting.Load() {
				return false
			}
		}
		return true
	})
}

// neverFast knows nothing in its memory.
type neverFast struct{ *fake }

func (neverFast) LookupNow(string) (e Entry, found, ok bool) { return Entry{}, false, false }

// Close does not wait for what is begun, and its end, when it comes, finds nobody.
func TestCloseWhileOperationsAreBegun(t *testing.T) {
	f := newFake()
	var begun, ended atomic.Int64
	f.lookup = func(context.Context, string) error { ended.Add(1); return nil }
	f.write = f.lookup
	held := make(chan struct{})
	s := onLoops(t, Config{Backend: laterFake{neverFast{f}, held, &begun}, Timeout: time.Hour})
	var all []*wire
	for i := range 20 {
		w := dial(t, s.Addr())
		atRest(t, s, w)
		w.send([]string{cmd("set", fmt.Sprint(i), "v"), cmd("get", "k")}[i%2] + cmd("strlen", "k"))
		all = append(all, w)
	}
	eventually(t, "all are begun", func() bool { return begun.Load() == 30 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	close(held)
	for _, w := range all {
		w.closed()
	}
	if n := clientsOf(s); n != 0 {
		t.Errorf("%d clients left", n)
	}
	eventually(t, "all have ended", func() bool { return ended.Load() == 30 })
}

// Operations that end just as the server closes leave no client behind.
func TestCloseAsOperationsEnd(t *testing.T) {
	for range 50 {
		held := make(chan struct{})
		var begun atomic.Int64
		s := onLoops(t, Config{Backend: laterFake{neverFast{newFake()}, held, &begun}, Timeout: time.Hour})
		for i := range 10 {
			w := dial(t, s.Addr())
			atRest(t, s, w)
			w.send(cmd("set", fmt.Sprint(i), "v"))
		}
		eventually(t, "all are begun", func() bool { return begun.Load() == 10 })
		go close(held)
		_ = s.Close()
		if n := clientsOf(s); n != 0 {
			t.Fatalf("%d clients left", n)
		}
	}
}

// Who sends more while it waits is answered in order, and who hangs up meanwhile is let go.
func TestNewsWhileAClientWaits(t *testing.T) {
	var begun atomic.Int64
	held := make(chan struct{})
	s := onLoops(t, Config{Backend: laterFake{neverFast{newFake()}, held, &begun}, Timeout: time.Minute})
	var all []net.Conn
	const n = 30
	for i := range n {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		atRest(t, s, &wire{t: t, conn: conn, r: bufio.NewReader(conn)})
		_, _ = io.WriteString(conn, cmd("set", fmt.Sprint(i), "v"))
		all = append(all, conn)
	}
	eventually(t, "all are begun", func() bool { return begun.Load() == n })
	for i, conn := range all {
		if i%3 > 0 {
			_, _ = io.WriteString(conn, cmd("ping")+cmd("strlen", fmt.Sprint(i)))
		}
		if i%3 < 2 {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}
	eventually(t, "the loop has seen it of all", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.clients {
			if c.polled.state.Load() != news {
				return false
			}
		}
		return len(s.clients) == n
	})
	close(held)
	for i, conn := range all {
		want := "+OK\r\n"
		if i%3 > 0 {
			want += "+PONG\r\n:1\r\n"
		}
		got := make([]byte, len(want))
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Errorf("client %d: %q, %v", i, got, err)
		}
	}
	eventually(t, "those that hung up are gone", func() bool { return clientsOf(s) == n/3 })
}

// A read that was begun and is not certain is asked again, or is a miss, as Config.WhenUnsure says.
func TestBegunReadThatIsUnsure(t *testing.T) {
	for _, mode := range []struct {
		when  string
		reply string
	}{{Wait, "$1\r\nv\r\n"}, {Miss, "$-1\r\n"}} {
		f := newFake()
		var asked atomic.Int64
		f.lookup = func(context.Context, string) error {
			if asked.Add(1) == 1 {
				return ErrUnsure
			}
			return nil
		}
		s := onLoops(t, Config{Backend: laterFake{FastBackend: neverFast{f}}, WhenUnsure: mode.when})
		w := dial(t, s.Addr())
		w.do("set", "k", "v")
		if got := w.do("get", "k"); got != mode.reply {
			t.Errorf("%s: %q", mode.when, got)
		}
		if got := w.do("get", "k"); got != "$1\r\nv\r\n" {
			t.Errorf("%s, once it is certain: %q", mode.when, got)
		}
	}
}

// A key that is not the client's to read takes nobody's place among the reads of a pipeline.
func TestRefusedKeyAmongReads(t *testing.T) {
	for _, cfg := range []Config{{Backend: newFake(), noLoops: true}, {Backend: laterFake{FastBackend: neverFast{newFake()}}}} {
		s := start(t, cfg)
		w := dial(t, s.Addr())
		for _, k := range []string{"a", "b", "c"} {
			w.do("set", k, k)
		}
		w.send(cmd("get", "a") + cmd("get", partPrefix+"x") + cmd("get", "b") + cmd("get", "c"))
		for _, want := range []string{"$1\r\na\r\n", "-ERR huddle: key cannot be used\r\n", "$1\r\nb\r\n", "$1\r\nc\r\n"} {
			if got := w.reply(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
}

// With Config.WhenUnsure "miss" a read that is begun has as little time to become certain as one that is not.
func TestTimeOfABegunReadThatMayBeAMiss(t *testing.T) {
	for when, want := range map[string]time.Duration{Miss: unsureWait, Wait: time.Minute} {
		var given atomic.Int64
		f := newFake()
		f.lookup = func(ctx context.Context, _ string) error {
			until, _ := ctx.Deadline()
			given.Store(int64(time.Until(until)))
			return nil
		}
		s := onLoops(t, Config{Backend: laterFake{FastBackend: neverFast{f}}, WhenUnsure: when, Timeout: time.Minute})
		w := dial(t, s.Addr())
		atRest(t, s, w)
		w.do("get", "k")
		if got := time.Duration(given.Load()); got > want || got < want-30*time.Second {
			t.Errorf("%s: a read has %v, want %v", when, got, want)
		}
	}
}

// A read that was not certain after most of its time is not asked again: the answer would take twice what Config.Timeout allows.
func TestBegunReadThatStaysUnsure(t *testing.T) {
	const timeout = 100 * time.Millisecond
	var asked atomic.Int64
	f := newFake()
	f.lookup = func(ctx context.Context, _ string) error {
		asked.Add(1)
		until, _ := ctx.Deadline()
		time.Sleep(time.Until(until.Add(-2 * timeout / 5))) // three fifths
		return ErrUnsure
	}
	s := onLoops(t, Config{Backend: laterFake{FastBackend: neverFast{f}}, Timeout: timeout})
	w := dial(t, s.Addr())
	atRest(t, s, w)
	if got := w.do("get", "k"); got != "-TRYAGAIN huddle: not sure just now\r\n" {
		t.Error(got)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A set is not deleted by what a loop begins: its parts go with it, and a backend may have to know that it is none of its final keys.
func TestSetsAreNotDeletedOnALoop(t *testing.T) {
	f := newFake()
	b := &notingFake{laterFake: laterFake{FastBackend: fastFake{f}}}
	s := onLoops(t, Config{Backend: b, splitAt: 100})
	w := dial(t, s.Addr())
	for i := range 100 {
		w.do("sadd", "large", fmt.Sprint("member", i))
	}
	w.do("sadd", "small", "member")
	w.do("hset", "hash", "field", "value")
	w.do("set", "plain", "value")
	for _, key := range []string{"large", "small", "hash", "plain", "none"} {
		atRest(t, s, w)
		if got, want := w.do("del", key), map[bool]string{true: ":1\r\n", false: ":0\r\n"}[key != "none"]; got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if want := []string{"hash", "plain", "none"}; !slices.Equal(b.removed, want) {
		t.Errorf("begun to be deleted: %q, want %q", b.removed, want)
	}
	eventually(t, "all parts are gone", func() bool {
		n, err := f.Len(t.Context())
		return err == nil && n == 0
	})
}

// notingFake notes the keys that it is to begin to remove.
type notingFake struct {
	laterFake
	mu      sync.Mutex
	removed []string
}

func (f *notingFake) Begin(ops []Op, ended func(i int, o Outcome)) {
	f.mu.Lock()
	for _, op := range ops {
		if op.Kind == OpRemove {
			f.removed = append(f.removed, op.Key)
		}
	}
	f.mu.Unlock()
	f.laterFake.Begin(ops, ended)
}

// Where the operations of several clients have ended by the time that one of them was to be served alone, the loop is woken for all.
func TestSeveralThatHaveEndedWakeTheLoop(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Skip("there are no loops here: ", err)
	}
	woken, over := make(chan struct{}, 16), make(chan struct{})
	go func() {
		defer close(over)
		p.run(func(int, uint32) { woken <- struct{}{} }, func() bool { return false })
	}()
	l := &loop{poll: p, ended: make([]*client, 2)}
	l.alone()
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Error("the loop sleeps on")
	}
	if len(l.ended) != 2 {
		t.Errorf("%d are left for it", len(l.ended))
	}
	p.close()
	<-over
}
