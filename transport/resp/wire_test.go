package resp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// wire is a client that speaks bytes.
type wire struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &wire{t, conn, bufio.NewReader(conn)}
	w.wait()
	return w
}

// wait gives the server time for what comes next.
func (w *wire) wait() {
	if err := w.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		w.t.Error(err)
	}
}

func (w *wire) send(raw string) {
	w.t.Helper()
	w.wait()
	if _, err := io.WriteString(w.conn, raw); err != nil {
		w.t.Fatal(err)
	}
}

// reply reads one reply and returns its bytes.
func (w *wire) reply() string {
	w.t.Helper()
	s, err := resptest.ReadReply(w.r)
	if err != nil {
		w.t.Fatalf("reading a reply: %v (after %q)", err, s)
	}
	return s
}

// do sends a command and returns the bytes of the reply.
func (w *wire) do(args ...string) string {
	w.t.Helper()
	w.send(cmd(args...))
	return w.reply()
}

// closed checks that the server has ended the connection.
func (w *wire) closed() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.r); len(rest) > 0 || isTimeout(err) {
		w.t.Errorf("the connection is not closed: %q, %v", rest, err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func cmd(args ...string) string { return resptest.Command(args...) }

// What is kept of a command outlives it: the next one is received into the same buffer.
func TestWhatIsKeptIsCopied(t *testing.T) {
	w := dial(t, start(t, Config{}).Addr())
	noise := func() { w.do("echo", strings.Repeat("#", 400)) }
	noise()
	for _, write := range [][]string{
		{"set", "set", "1"},
		{"set", "options", "2", "ex", "100"},
		{"setex", "setex", "100", "3"},
		{"setnx", "setnx", "4"},
		{"getset", "getset", "5"},
		{"mset", "mset1", "6", "mset2", "7"},
		{"sadd", "sadd", "8"},
		{"hset", "hset", "name", "12"},
		{"hsetnx", "hset", "other", "13"},
		{"hincrby", "hset", "number", "14"},
		{"set", "before", "15"},
		{"rename", "before", "renamed"},
	} {
		w.do(write...)
		noise()
	}
	w.send(cmd("set", "ahead1", "9") + cmd("set", "ahead2", "10"))
	w.reply()
	w.reply()
	noise()
	w.do("multi")
	w.do("set", "queued", "11")
	noise()
	w.do("exec")
	noise()
	for key, want := range map[string]string{
		"set": "1", "options": "2", "setex": "3", "setnx": "4", "getset": "5", "mset1": "6", "mset2": "7", "ahead1": "9", "ahead2": "10", "queued": "11", "renamed": "15",
	} {
		if got := w.do("get", key); got != fmt.Sprintf("$%d\r\n%s\r\n", len(want), want) {
			t.Errorf("%s: %q, want %s", key, got, want)
		}
	}
	if got, want := w.do("hgetall", "hset"), "*6\r\n$4\r\nname\r\n$2\r\n12\r\n$5\r\nother\r\n$2\r\n13\r\n$6\r\nnumber\r\n$2\r\n14\r\n"; got != want {
		t.Errorf("hset: %q", got)
	}
	if got := w.do("sismember", "sadd", "8"); got != ":1\r\n" {
		t.Errorf("sadd: %q", got)
	}
}
