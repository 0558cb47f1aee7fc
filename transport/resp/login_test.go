package resp

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

func TestPassword(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Password: "secret"})
	w := dial(t, s.Addr())
	steps := func(w *wire, pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			w.send(pairs[i] + "\r\n")
			if got := w.reply(); got != pairs[i+1] && !strings.HasPrefix(got, pairs[i+1]) {
				t.Errorf("%s: %q, want %q", pairs[i], got, pairs[i+1])
			}
		}
	}
	const no, wrong = "-NOAUTH Authentication required.\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	steps(w,
		"ping", no, "get k", no, "set k v", no, "multi", no, "info", no, "hello",
		"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used",
		"hello 3", "-NOAUTH HELLO must be called", "hello 3 auth default wrong", wrong, "auth wrong", wrong, "auth default wrong", wrong,
		"auth other secret", wrong, "auth", "-ERR wrong number", "get k", no,
		"auth secret", "+OK\r\n", "get k", "$-1\r\n", "auth wrong", wrong, "ping", "+PONG", "reset", "+RESET", "ping", no,
		"hello 3 auth default secret setname me", "%7", "get k", "_", "client getname", "$2\r\nme")

	w = dial(t, s.Addr())
	value := strings.Repeat("x", 100_000)
	w.send(cmd("auth", "default", "secret") + cmd("set", "k", value) + cmd("strlen", "k"))
	if got := w.reply() + w.reply() + w.reply(); got != "+OK\r\n+OK\r\n:100000\r\n" {
		t.Errorf("a large value behind AUTH: %q", got)
	}
	for send, want := range map[string]string{
		"*2\r\n$3\r\nget\r\n$20000\r\n": "-ERR Protocol error: unauthenticated bulk length\r\n",
		"*3\r\n$5\r\nhello\r\n$5000\r\n" + strings.Repeat("x", 5000) + "\r\n$5000\r\n": "-ERR Protocol error: unauthenticated command too long\r\n",
		"*" + strings.Repeat("0", 8191): "-ERR Protocol error: unauthenticated command too long\r\n",
		"*11\r\n":                       "-ERR Protocol error: unauthenticated multibulk length\r\n",
	} {
		w = dial(t, s.Addr())
		w.send(send)
		if got := w.reply(); got != want {
			t.Errorf("%q: %q, want %q", send, got, want)
		}
		w.closed()
	}
	w = dial(t, s.Addr())
	w.send("\r\n*0\r\n\r\nauth secret\r\nping\r\n") // empty lines count for nothing
	if got := w.reply() + w.reply(); got != "+OK\r\n+PONG\r\n" {
		t.Error(got)
	}
	w = dial(t, s.Addr())
	w.send("quit\r\n")
	if got := w.reply(); got != "+OK\r\n" {
		t.Error(got)
	}
}

// What is accepted may change while clients are served: who is in stays, and is asked again only when it has given that up.
func TestWhatIsAcceptedMayChange(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		var accepted atomic.Value
		accepted.Store("old")
		s := start(t, Config{CheckPassword: func(p []byte) bool { return string(p) == accepted.Load() }, noLoops: noLoops})
		in := dial(t, s.Addr())
		if got := in.do("ping") + in.do("auth", "old"); got != "-NOAUTH Authentication required.\r\n+OK\r\n" {
			t.Error(got)
		}
		accepted.Store("new")
		if got := in.do("ping"); got != "+PONG\r\n" {
			t.Errorf("who is in: %q", got)
		}
		late := dial(t, s.Addr())
		if got := late.do("hello", "3", "auth", "default", "old"); !strings.HasPrefix(got, "-WRONGPASS") {
			t.Errorf("the old one: %q", got)
		}
		if got := late.do("auth", "other", "new"); !strings.HasPrefix(got, "-WRONGPASS") {
			t.Errorf("another user: %q", got)
		}
		if got := late.do("auth", "new"); got != "+OK\r\n" {
			t.Errorf("the new one: %q", got)
		}
		if got := in.do("reset") + in.do("auth", "old"); !strings.HasPrefix(got, "+RESET\r\n-WRONGPASS") {
			t.Errorf("who has given it up: %q", got)
		}
	}
	if _, err := Listen(Config{Backend: newFake(), Password: "x", CheckPassword: func([]byte) bool { return true }}); err == nil {
		t.Error("a password is given that nobody would be asked for")
	}
}

// Who owes the password is cut off, however busy it is; who has given it may stay.
func TestLoginIsLimitedInTime(t *testing.T) {
	const limit = 300 * time.Millisecond
	s := start(t, Config{Password: "secret", loginTime: limit})
	in, out := dial(t, s.Addr()), dial(t, s.Addr())
	if got := in.do("auth", "secret"); got != "+OK\r\n" {
		t.Error(got)
	}
	began := time.Now()
	for {
		if _, err := io.WriteString(out.conn, cmd("ping")); err != nil {
			break
		}
		if _, err := resptest.ReadReply(out.r); err != nil {
			break
		}
	}
	if d := time.Since(began); d < limit/2 || d > 10*time.Second {
		t.Errorf("cut off after %v", d)
	}
	if got := in.do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
}

// Who owes the password takes nothing of what clients may send together, and keeps no one else from sending.
func TestStrangersTakeNoRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 256 << 10
		s := start(t, Config{Password: strings.Repeat("p", maxPassword), maxBuffered: limit, noLoops: noLoops, loginTime: time.Minute})
		var strangers []*wire
		for _, half := range []string{
			"*3\r\n$4\r\nauth\r\n$7000\r\n" + strings.Repeat("x", 6900),
			strings.Repeat("x", 8000), // a line
			strings.Repeat("ping\r\n", 1300) + "pin",
		} {
			for range 100 {
				w := dial(t, s.Addr())
				go func() { _, _ = io.Copy(io.Discard, w.conn) }()
				w.send(half)
				strangers = append(strangers, w)
			}
		}
		arg := "$12000\r\n" + strings.Repeat("x", 12_000) + "\r\n"
		for range 20 {
			conn, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "*10\r\n$4\r\nauth\r\n"+strings.Repeat(arg, 8)) // it is cut off before all is sent
		}
		w := dial(t, s.Addr())
		if got := w.do("auth", strings.Repeat("u", 3000), "x"); !strings.HasPrefix(got, "-WRONGPASS") {
			t.Errorf("a long name: %q", got)
		}
		if got := w.do("auth", "default", strings.Repeat("p", maxPassword)); got != "+OK\r\n" {
			t.Errorf("a long password: %q", got)
		}
		for range 3 {
			if got := w.do("set", "k", strings.Repeat("v", 100_000)); got != "+OK\r\n" {
				t.Errorf("%q", got)
			}
		}
		if got := w.do("ping"); got != "+PONG\r\n" {
			t.Error(got)
		}
		eventually(t, "those are left that sent no more than they may", func() bool { return clientsOf(s) == len(strangers)+1 })
		eventually(t, "only the buffers of the one who is in are counted", func() bool { return s.buffered.Load() <= limit })
	}
}

// When all places are taken, who owes the password for longest makes room for who comes; who has given it stays.
func TestStrangersMakeRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{Password: "secret", MaxConns: 4, noLoops: noLoops, loginTime: time.Hour})
		in := dial(t, s.Addr())
		if got := in.do("auth", "secret"); got != "+OK\r\n" {
			t.Fatal(got)
		}
		left := dial(t, s.Addr()) // it gives its place back
		left.do("auth", "secret")
		left.do("reset")
		var silent []*wire
		for range 20 {
			silent = append(silent, dial(t, s.Addr()))
			eventually(t, "it has a place, and who made room has gone", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.leaving == 0 && int(s.lastID.Load()) == 2+len(silent)
			})
		}
		w := dial(t, s.Addr())
		if got := w.do("auth", "secret"); got != "+OK\r\n" {
			t.Errorf("who comes when all places are taken: %q", got)
		}
		left.closed()
		for _, w := range silent[:18] {
			w.closed()
		}
		for _, w := range silent[18:] {
			if got := w.do("auth", "secret"); got != "+OK\r\n" {
				t.Errorf("the last to come: %q", got)
			}
		}
		for _, w := range append(silent[18:], in, w) {
			if got := w.do("ping"); got != "+PONG\r\n" {
				t.Errorf("who is in: %q", got)
			}
		}
		late := dial(t, s.Addr())
		if got := late.reply(); got != "-ERR max number of clients reached\r\n" {
			t.Errorf("when all that are there have logged in: %q", got)
		}
		s.mu.Lock()
		if s.owing.Len() > 0 || s.leaving > 0 {
			t.Errorf("%d owe the password, %d leave", s.owing.Len(), s.leaving)
		}
		s.mu.Unlock()
	}
}

// Who does not take what it is sent, and owes the password, is closed all the same.
func TestStrangersThatDoNotReadMakeRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{Password: "secret", MaxConns: 1, noLoops: noLoops, loginTime: time.Hour, WriteTimeout: time.Hour})
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for err == nil { // until it is not received any more
			_, err = io.WriteString(conn, strings.Repeat(cmd("ping"), 1000))
		}
		w := dial(t, s.Addr())
		if got := w.do("auth", "secret"); got != "+OK\r\n" {
			t.Errorf("no loops %t: %q", noLoops, got)
		}
		eventually(t, "the other has gone", func() bool { return clientsOf(s) == 1 })
	}
}

// SECURITY.md states how long the password may take.
func TestTimeForThePassword(t *testing.T) {
	cfg, err := Config{Backend: newFake()}.withDefaults()
	if err != nil || cfg.loginTime != 10*time.Second {
		t.Errorf("%v, %v", cfg.loginTime, err)
	}
}
