package resp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// onLoops starts a server and skips the test where each client has a goroutine anyway.
func onLoops(t *testing.T, cfg Config) *Server {
	p, err := newPoller()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		t.Skip("no loops on this system:", err)
	case err != nil:
		t.Fatal(err)
	}
	p.close()
	return start(t, cfg)
}

func clientsOf(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// A client at rest has no goroutine, also after a command that needed one.
func TestClientsAtRestHaveNoGoroutine(t *testing.T) {
	s := onLoops(t, Config{})
	before := runtime.NumGoroutine()
	const n = 200
	for range n {
		w := dial(t, s.Addr())
		for _, want := range []string{"+OK\r\n", "$1\r\nv\r\n"} {
			args := []string{"set", "k", "v"}
			if want[0] == '$' {
				args = []string{"get", "k"}
			}
			if got := w.do(args...); got != want {
				t.Fatal(got)
			}
		}
	}
	eventually(t, "no goroutine for each client", func() bool { return runtime.NumGoroutine() < before+n/10 })
	if got := clientsOf(s); got != n {
		t.Errorf("%d clients", got)
	}
}

// Who sends its last commands and hangs up at once is answered and let go, however much it sends.
func TestHangUp(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{noLoops: noLoops})
		dial(t, s.Addr()).do("set", "k", strings.Repeat("v", 100))
		for _, n := range []int{1, 150, 1000, 20_000} { // less and more than is received at once
			for _, last := range []string{"get", "strlen", "exists"} { // of the loop, and of a goroutine
				conn, err := net.Dial("tcp", s.Addr())
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _ = io.WriteString(conn, strings.Repeat(cmd("get", "k"), n)+cmd(last, "k"))
					_ = conn.(*net.TCPConn).CloseWrite()
				}()
				_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
				got, err := io.ReadAll(conn)
				if want := n * len("$100\r\n\r\n"+strings.Repeat("v", 100)); err != nil || len(got) < want+4 {
					t.Errorf("no loops %t: %d commands: %d bytes, want %d and a little more; %v", noLoops, n, len(got), want, err)
				}
				conn.Close()
			}
		}
		eventually(t, "all have gone but one", func() bool { return clientsOf(s) == 1 })
	}
}

// A client that does not take its replies holds nobody up, and gets all of them, in order, when it does.
func TestSlowReadersHoldNobodyUp(t *testing.T) {
	s := start(t, Config{WriteTimeout: time.Minute})
	const size, n = 100_000, 200
	value := strings.Repeat("v", size)
	other := dial(t, s.Addr())
	other.do("set", "k", value)
	var slow []*wire
	for range 20 {
		w := dial(t, s.Addr())
		go func() { _, _ = io.WriteString(w.conn, strings.Repeat(cmd("get", "k")+cmd("echo", "x"), n)) }()
		slow = append(slow, w)
	}
	for range 200 {
		if got := other.do("ping"); got != "+PONG\r\n" {
			t.Fatal(got)
		}
	}
	want := fmt.Sprintf("$%d\r\n%s\r\n$1\r\nx\r\n", size, value)
	for _, w := range slow {
		got := make([]byte, len(want))
		for i := range n {
			w.wait()
			if _, err := io.ReadFull(w.r, got); err != nil || string(got) != want {
				t.Fatalf("reply %d: %v", i, err)
			}
		}
	}
}

// Commands that the loop answers and commands that need a goroutine, sent in any pieces by many clients, are answered in their order.
func TestOrderAcrossGoroutines(t *testing.T) {
	f := newFake()
	s := start(t, Config{Backend: sometimesFast{fastFake{f}}})
	dial(t, s.Addr()).do("set", "k", "v")
	var wg sync.WaitGroup
	for i := range 20 {
		w := dial(t, s.Addr())
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		wg.Go(func() {
			var sent, want bytes.Buffer
			for j := range 1000 {
				args, reply := []string{"echo", fmt.Sprint(j)}, fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(j)), j)
				switch rng.IntN(6) {
				case 0:
					args, reply = []string{"get", "k"}, "$1\r\nv\r\n"
				case 1:
					args, reply = []string{"set", fmt.Sprint("k", i), fmt.Sprint(j)}, "+OK\r\n"
				case 2:
					args, reply = []string{"get", "none"}, "$-1\r\n"
				case 3:
					args, reply = []string{"exists", "k", "none"}, ":1\r\n"
				case 4:
					args, reply = []string{"get", "k", "k"}, "-ERR wrong number of arguments for 'get' command\r\n"
				}
				sent.WriteString(cmd(args...))
				want.WriteString(reply)
			}
			go func() {
				for sent.Len() > 0 {
					if _, err := w.conn.Write(sent.Next(1 + rng.IntN(500))); err != nil {
						return
					}
				}
			}()
			got := make([]byte, want.Len())
			if n, err := io.ReadFull(w.r, got); err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("client %d: %v, %d of %d bytes", i, err, n, len(got))
			}
		})
	}
	wg.Wait()
}

// sometimesFast knows what is in its memory every other time.
type sometimesFast struct{ fastFake }

func (f sometimesFast) LookupNow(key string) (Entry, bool, bool) {
	if rand.IntN(2) == 0 {
		return Entry{}, false, false
	}
	return f.fastFake.LookupNow(key)
}

// Close ends clients at rest, those whose command is under way, and those that do not take their replies.
func TestCloseEndsClientsOfAllKinds(t *testing.T) {
	f := newFake()
	under := make(chan struct{}, 100)
	f.write = func(ctx context.Context, key string) error {
		if key != "wait" {
			return nil
		}
		under <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: fastFake{f}, Timeout: time.Minute, WriteTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	var all []*wire
	for range 10 {
		resting, writing, slow := dial(t, s.Addr()), dial(t, s.Addr()), dial(t, s.Addr())
		resting.do("set", "k", strings.Repeat("v", 100_000))
		go func() { _, _ = io.WriteString(writing.conn, cmd("set", "wait", "v")) }()
		go func() { _, _ = io.WriteString(slow.conn, strings.Repeat(cmd("get", "k"), 1000)) }()
		<-under
		all = append(all, resting, writing, slow)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Close does not end")
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	for _, w := range all {
		w.wait()
		if _, err := io.Copy(io.Discard, w.r); isTimeout(err) {
			t.Error("a connection is still open")
		}
	}
}

// Close finds a client that has just been let in, and that no loop has taken over yet.
func TestCloseAsClientsCome(t *testing.T) {
	for range 200 {
		s, err := Listen(Config{Addr: "unix:" + filepath.Join(t.TempDir(), "s"), Backend: newFake()})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve() }()
		conn := dial(t, s.Addr()).conn
		if err := errors.Join(s.Close(), <-served); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the server has closed, and its client reads: %v", err)
		}
	}
}

// Who gives up its login by RESET has to log in again in time; a timer of the past does no harm to who has.
func TestLoginAnewIsLimitedInTime(t *testing.T) {
	s := start(t, Config{Password: "secret", loginTime: 200 * time.Millisecond})
	in, out := dial(t, s.Addr()), dial(t, s.Addr())
	for _, w := range []*wire{in, out} {
		w.do("auth", "secret")
		if got := w.do("reset"); got != "+RESET\r\n" {
			t.Error(got)
		}
	}
	if got := in.do("auth", "secret"); got != "+OK\r\n" {
		t.Error(got)
	}
	out.wait()
	if got, err := resptest.ReadReply(out.r); err == nil || isTimeout(err) {
		t.Errorf("not cut off: %q, %v", got, err)
	}
	if got := in.do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	in.conn.Close()
	eventually(t, "all have gone", func() bool { return clientsOf(s) == 0 })
}

// hintedFake notes the keys it is told of.
type hintedFake struct {
	fastFake
	mu   *sync.Mutex
	told map[string]int
}

func (f hintedFake) Prefetch(keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		f.told[strings.Clone(key)]++
	}
}

// The backend is told the keys of a pipeline, and of nothing that is no read.
func TestKeysAreHinted(t *testing.T) {
	f := hintedFake{fastFake{newFake()}, new(sync.Mutex), make(map[string]int)}
	s := onLoops(t, Config{Backend: f})
	w := dial(t, s.Addr())
	const n = 3*PrefetchMost + 5
	var send strings.Builder
	for i := range n {
		send.WriteString(cmd("get", fmt.Sprint("k", i)) + cmd("time"))
	}
	w.send(send.String())
	for range 2 * n {
		w.reply()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.told) < n*9/10 { // what comes alone needs no hint
		t.Errorf("told %d keys of %d", len(f.told), n)
	}
	for key, times := range f.told {
		if key[0] != 'k' || times > 1 {
			t.Errorf("%q, %d times", key, times)
		}
	}
}

// What the loop does for one client in a turn is bounded, and nothing of it takes long or logs: the rest is for a goroutine.
func TestATurnOnTheLoopIsBounded(t *testing.T) {
	f := fastFake{newFake()}
	if err := f.Set(t.Context(), "k", []byte("v"), SetArgs{}); err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Backend: f, Password: "secret"})
	for _, tc := range []struct {
		raw  string
		runs bool
	}{
		{cmd("get", "k"), true},
		{cmd("ping"), true},
		{cmd("get"), true},
		{cmd("set", "k", "v"), false},
		{cmd("client", "list"), false},
		{cmd("command"), false},
		{cmd("config", "get", "*"), false},
		{cmd("auth", "guess"), false},
		{cmd("hello", "3", "auth", "default", "guess"), false},
		{cmd("nonsense"), false},
	} {
		const n = 10_000
		c := newClient(s, nil)
		c.authed, c.polled = true, &polled{loop: &loop{srv: s}, local: true}
		c.frames.buf = []byte(strings.Repeat(tc.raw, n))
		switch outcome := c.answer(); {
		case outcome != waits:
			t.Errorf("%.30q: a turn of %d comes to %v", tc.raw, n, outcome)
		case tc.runs && (len(c.rest) == n || len(c.rest) < n-1000):
			t.Errorf("%.30q: %d of %d were run in a turn", tc.raw, n-len(c.rest), n)
		case !tc.runs && (len(c.rest) != n || len(c.out) > 0):
			t.Errorf("%.30q: is run on the loop", tc.raw)
		}
	}
}

// The login is limited in time also for who never stops to send.
func TestLoginOfABusyClientIsLimitedInTime(t *testing.T) {
	s := start(t, Config{Password: "secret", loginTime: 200 * time.Millisecond})
	for _, try := range []string{cmd("auth", "guess"), cmd("ping"), cmd("multi")} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		begun := time.Now()
		for {
			if _, err := io.WriteString(conn, strings.Repeat(try, 20_000)); err != nil {
				break
			}
			if time.Since(begun) > 20*time.Second {
				t.Errorf("%.20q: not cut off", try)
				break
			}
		}
		conn.Close()
	}
	eventually(t, "all have gone", func() bool { return clientsOf(s) == 0 })
}

// A client at rest keeps nothing alive of what it has read or sent.
func TestClientsAtRestKeepNothing(t *testing.T) {
	f := fastFake{newFake()}
	s := onLoops(t, Config{MaxValueBytes: 1 << 20, Backend: laterFake{FastBackend: f}})
	const n = 32
	var gone atomic.Int64
	large := strings.Repeat("v", 1<<20)
	for i := range n {
		w, key := dial(t, s.Addr()), fmt.Sprint("k", i)
		w.do("set", key, large)
		f.mu.Lock()
		runtime.AddCleanup(&f.entries[key].value[0], func(*atomic.Int64) { gone.Add(1) }, &gone)
		f.mu.Unlock()
		w.do("strlen", key)
		w.do("multi")
		w.do("set", "other", large) // put into the queue: the loop itself has received it
		eventually(t, "only the queue is left", func() bool { return s.buffered.Load() < 1<<20+smallBuffers })
		w.do("discard")
		eventually(t, "nothing is left", func() bool { return s.buffered.Load() == 0 })
		w.do("del", key)
		w.do("ping")
	}
	eventually(t, "the values are gone", func() bool { runtime.GC(); return gone.Load() == n })
}

// Nor does it keep alive the buffer into which it received what it sent, once it has a smaller one: that is not counted any more.
func TestClientsAtRestKeepNoOldBuffer(t *testing.T) {
	const n, size = 16, 1 << 20
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{MaxValueBytes: size, noLoops: noLoops})
		inUse := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		large := strings.Repeat("v", size)
		before := inUse()
		for range n {
			dial(t, s.Addr()).do("set", "k", large)
		}
		eventually(t, "the buffers are gone", func() bool { return s.buffered.Load() == 0 && inUse() < before+n*size/4 })
	}
}
