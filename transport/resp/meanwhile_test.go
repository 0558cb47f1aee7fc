package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Replies that have been made are there while the command after them waits, and none is lost, twice there or out of order.
func TestRepliesDoNotWaitForWhatWaits(t *testing.T) {
	for _, way := range []string{"begun on a loop", "loops", "goroutines", "TLS"} {
		for name, tc := range map[string]struct{ slow, want string }{
			"SET":  {cmd("set", "slow", "x"), "+OK\r\n"},
			"INCR": {cmd("incr", "slow"), ":1\r\n"},
			"EXEC": {cmd("multi") + cmd("incr", "slow") + cmd("ping") + cmd("exec"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n+PONG\r\n"},
			"EXEC that is not carried out": {
				cmd("watch", "watched") + cmd("multi") + cmd("set", "watched", "slow") + cmd("exec"), "+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n",
			},
			"one without a reply": {cmd("client", "reply", "skip") + cmd("incr", "slow"), ""},
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				f := newFake()
				waits, goOn := make(chan struct{}), make(chan struct{})
				f.write = func(_ context.Context, key string) error {
					if key == "slow" || key == "watched" {
						close(waits)
						<-goOn
					}
					return nil
				}
				cfg := Config{Backend: fastFake{f}, noLoops: way == "goroutines"}
				var client *tls.Config
				switch way {
				case "begun on a loop":
					cfg.Backend = laterFake{FastBackend: fastFake{f}}
				case "TLS":
					cfg.TLS, client = selfSigned(t)
				}
				w := dial(t, start(t, cfg).Addr())
				if client != nil {
					w.conn = tls.Client(w.conn, client)
					w.r.Reset(w.conn)
				}
				w.do("echo", "begins")
				w.send(cmd("echo", "one") + cmd("get", "none") + tc.slow + cmd("echo", "last"))
				for _, want := range []string{"$3\r\none\r\n", "$-1\r\n"} {
					if got := w.reply(); got != want {
						t.Fatalf("%q, want %q", got, want)
					}
				}
				<-waits
				f.mu.Lock()
				f.clock++
				f.entries["watched"] = fakeEntry{value: wrap([]byte("other")), version: f.clock}
				f.mu.Unlock()
				close(goOn)
				takePairs(t, w, tc.want+"$4\r\nlast\r\n")
			})
		}
	}
}

// slowBackend notes what reaches it, and how long each may take. Of all keys but "quick" nothing is certain or confirmed, ever.
type slowBackend struct {
	*fake
	mu   sync.Mutex
	seen []string // key and, if it has little time, "late"
}

func newSlow(timeout time.Duration) *slowBackend {
	s := &slowBackend{fake: newFake()}
	s.lookup = func(ctx context.Context, key string) error {
		if strings.HasPrefix(key, "quick") {
			return nil
		}
		until, _ := ctx.Deadline()
		s.mu.Lock()
		if time.Until(until) <= min(lateTimeout, timeout/2) {
			key += " late"
		}
		s.seen = append(s.seen, key)
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, time.Until(until)*9/10) // a backend may give up a little before
		defer cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	s.write = s.lookup
	return s
}

func (s *slowBackend) LookupNow(string) (Entry, bool, bool) { return Entry{}, false, false }

// Once a command has needed all of its time those behind it in the pipeline get little, and those of the next all of it again.
func TestWaitsOfAPipelineDoNotAddUp(t *testing.T) {
	const timeout = time.Second
	for name, later := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSlow(timeout)
			cfg := Config{Backend: b, Timeout: timeout, noLoops: !later}
			if later {
				cfg.Backend = laterFake{FastBackend: b}
			}
			w := dial(t, start(t, cfg).Addr())
			w.do("ping")
			for range 2 {
				b.seen = nil
				batch := []string{"set a x", "get b", "incr c", "smembers d", "set e x", "get f", "expire g 10", "get quick", "del h"}
				var sent strings.Builder
				for _, line := range batch {
					sent.WriteString(cmd(strings.Fields(line)...))
				}
				w.send(sent.String())
				for _, line := range batch {
					want := "-UNCONFIRMED "
					switch line[:3] {
					case "get", "inc", "sme", "exp":
						want = "-TRYAGAIN "
					}
					if strings.Contains(line, "quick") {
						want = "$-1\r\n"
					}
					if got := w.reply(); !strings.HasPrefix(got, want) {
						t.Errorf("%s: %q, want %q", line, got, want)
					}
				}
				b.mu.Lock()
				if b.seen[0] != "a" {
					t.Errorf("the first of a pipeline: %q", b.seen[0])
				}
				for _, key := range b.seen[1:] {
					if !strings.HasSuffix(key, " late") {
						t.Errorf("%q has all of the time again", key)
					}
				}
				b.mu.Unlock()
			}
		})
	}
}

// A deletion goes on by itself once it is begun, so each is: of a pipeline as of an EXEC, in one command or in many.
func TestEachDeletionIsBegun(t *testing.T) {
	keys := strings.Fields("a b c d e f g h")
	var apart string
	for _, key := range keys {
		apart += cmd("del", key)
	}
	for name, tc := range map[string]struct {
		sent    string
		replies int
		want    []string
	}{
		"a pipeline":                {apart + cmd("set", "s", "x"), 9, append(keys, "s")},
		"one command":               {cmd(append([]string{"unlink"}, keys...)...), 1, keys},
		"EXEC":                      {cmd("multi") + apart + cmd("set", "not begun", "x") + cmd("exec"), 11, keys},
		"EXEC after another":        {cmd("multi") + cmd("incr", "i") + cmd("flushall") + apart + cmd("exec"), 12, append(keys, "i", "")},
		"EXEC with several in each": {cmd("multi") + cmd("del", "a", "b", "c", "d") + cmd("del", "e", "f", "g", "h") + cmd("exec"), 4, keys},
	} {
		t.Run(name, func(t *testing.T) {
			for _, later := range []bool{false, true} {
				b := newSlow(200 * time.Millisecond)
				b.lookup = nil // or INCR would not come to write
				cfg := Config{Backend: b, Timeout: 200 * time.Millisecond}
				if later {
					cfg.Backend = laterFake{FastBackend: b}
				}
				w := dial(t, start(t, cfg).Addr())
				w.send(tc.sent)
				var all string
				for range tc.replies {
					all += w.reply()
				}
				b.mu.Lock()
				got := make(map[string]bool)
				for _, key := range b.seen {
					got[strings.TrimSuffix(key, " late")] = true
				}
				for _, key := range tc.want {
					if !got[key] {
						t.Errorf("later %t: %q never came to the backend; replies %q", later, key, all)
					}
				}
				if len(got) != len(tc.want) {
					t.Errorf("later %t: %d keys, want %d", later, len(got), len(tc.want))
				}
				b.mu.Unlock()
			}
		})
	}
}

// sendingConn is the connection of a client that sends without end. Nobody waits for anybody on it, as the kernel's locks would have it.
type sendingConn struct {
	net.Conn
	ended chan struct{} // ends what it sends
	taken chan struct{} // ends Write
	given *atomic.Int64 // how often Write was given time
}

func (c sendingConn) Read(b []byte) (int, error) {
	select {
	case <-c.ended:
		return 0, errors.New("ended")
	default:
		return len(b), nil
	}
}

func (c sendingConn) Write(b []byte) (int, error) {
	<-c.taken
	return len(b), nil
}

func (c sendingConn) SetWriteDeadline(time.Time) error {
	if c.given.Add(1) == 3 { // by who writes, and twice by who receives
		close(c.taken)
	}
	return nil
}

func (c sendingConn) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		close(c.ended)
	}
	return nil
}

// While replies are sent by themselves, a client that is slow to take them is received from, and given more time for what it sends.
func TestMoreTimeWhileRepliesAreSentByThemselves(t *testing.T) {
	s := start(t, Config{})
	conn := sendingConn{ended: make(chan struct{}), taken: make(chan struct{}), given: new(atomic.Int64)}
	c := newClient(s, conn)
	c.out = []byte("+OK\r\n")
	c.before = len(c.out)
	c.sendMeanwhile()
	time.Sleep(100 * promptly) // to look whether they are being sent would be to wait for who sends
	c.endMeanwhile()
	if len(c.out) != 0 || c.early.size < 2*earlyStep {
		t.Errorf("%d bytes are left to send, %d are received", len(c.out), c.early.size)
	}
	if left := time.Until(c.sendBy); left < s.cfg.WriteTimeout {
		t.Errorf("it is given %v", left)
	}
	s.buffered.Add(-int64(c.held))
}

// Who sends replies by itself while their client waits for the cluster ends with the client, and does not send to another that has its socket.
func TestCloseWhileRepliesAreSentByThemselves(t *testing.T) {
	held := make(chan struct{})
	s := start(t, Config{Backend: laterFake{FastBackend: neverFast{newFake()}, held: held}})
	w := dial(t, s.Addr())
	w.send(cmd("ping") + cmd("get", "k"))
	if got := w.reply(); got != "+PONG\r\n" {
		t.Error(got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	close(held)
	goleak.VerifyNone(t)
}
