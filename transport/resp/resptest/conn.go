package resptest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// conn is a client that speaks bytes.
type conn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &conn{t, c, bufio.NewReader(c)}
}

// send sends bytes as they are.
func (c *conn) send(raw string) {
	c.t.Helper()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		c.t.Error(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads one reply and returns its bytes.
func (c *conn) reply() string {
	c.t.Helper()
	s, err := ReadReply(c.r)
	if err != nil {
		c.t.Fatalf("reading a reply: %v (after %q)", err, s)
	}
	return s
}

func (c *conn) do(args ...string) string {
	c.t.Helper()
	c.send(Command(args...))
	return c.reply()
}

// Command returns a command as clients send it.
func Command(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// ReadReply reads one reply, of RESP2 or RESP3, and returns its bytes.
func ReadReply(r *bufio.Reader) (string, error) {
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
			one, err := ReadReply(r)
			line += one
			if err != nil {
				return line, err
			}
		}
	}
	return line, nil
}
