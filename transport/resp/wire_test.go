package resp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
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
	s, err := readReply(w.r)
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

func cmd(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func readReply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 3 {
		return line, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$', '=':
		if n < 0 {
			return line, nil
		}
		body := make([]byte, n+2)
		_, err = io.ReadFull(r, body)
		return line + string(body), err
	case '*', '~', '%':
		if line[0] == '%' {
			n *= 2
		}
		for range n {
			one, err := readReply(r)
			line += one
			if err != nil {
				return line, err
			}
		}
	}
	return line, nil
}

// redis starts a redis-server on a free port and returns its address.
func redis(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs redis-server")
	}
	bin := need(t, "redis-server", "redis-server")
	dir := t.TempDir()
	for range 5 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		_, port, _ := net.SplitHostPort(addr)
		ln.Close()
		c := exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ready := false
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				ready = true
				break
			}
		}
		if !ready { // another process took the port
			_ = c.Wait()
			continue
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, out)
		}()
		t.Cleanup(func() {
			_ = c.Process.Kill()
			<-drained
			_ = c.Wait()
		})
		return addr
	}
	t.Fatal("redis-server does not start")
	return ""
}

// need returns the path of a program, or fails with the name of the Debian package that has it.
func need(t testing.TB, program, debian string) string {
	t.Helper()
	bin, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s, or run with -short", program, debian)
	}
	return bin
}

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
		"set": "1", "options": "2", "setex": "3", "setnx": "4", "getset": "5", "mset1": "6", "mset2": "7", "ahead1": "9", "ahead2": "10", "queued": "11",
	} {
		if got := w.do("get", key); got != fmt.Sprintf("$%d\r\n%s\r\n", len(want), want) {
			t.Errorf("%s: %q, want %s", key, got, want)
		}
	}
	if got := w.do("sismember", "sadd", "8"); got != ":1\r\n" {
		t.Errorf("sadd: %q", got)
	}
}
