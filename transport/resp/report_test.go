package resp

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
)

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// What clients bring about at will is logged once for each source, and who guesses passwords is cut off.
func TestClientsDoNotFillTheLog(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		var log lines
		s := start(t, Config{Password: "secret", MaxConns: 2, maxBuffered: 1 << 20, Logger: log.logger(), noLoops: noLoops})
		for range 3 {
			w := dial(t, s.Addr())
			go func() { _, _ = io.WriteString(w.conn, strings.Repeat(cmd("auth", "guess"), 100)) }()
			for i := range maxGuesses {
				if got := w.reply(); !strings.HasPrefix(got, "-WRONGPASS") {
					t.Errorf("guess %d: %q", i, got)
				}
			}
			rest := make([]byte, 1)
			if n, err := w.r.Read(rest); n > 0 || err == nil || isTimeout(err) {
				t.Errorf("guesses go on: %q, %v", rest[:n], err)
			}
		}
		for range 3 {
			w := dial(t, s.Addr())
			w.send("post / http/1.1\r\n")
			w.closed()
		}
		eventually(t, "all have gone", func() bool { return clientsOf(s) == 0 })
		for range 2 {
			if got := dial(t, s.Addr()).do("auth", "secret"); got != "+OK\r\n" {
				t.Error(got)
			}
		}
		for range 3 {
			if got := dial(t, s.Addr()).reply(); got != "-ERR max number of clients reached\r\n" {
				t.Error(got)
			}
		}
		for _, what := range []string{"wrong password", "client speaks HTTP", "too many clients"} {
			if n := strings.Count(log.text(), what); n != 1 {
				t.Errorf("%q is logged %d times", what, n)
			}
		}
	}
}

// When there are too many sources to tell apart, one line says so.
func TestReportsOfManySources(t *testing.T) {
	var log lines
	s := start(t, Config{Logger: log.logger()})
	for i := range seldom.Most + 100 {
		s.report(&net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1}, "something")
	}
	if n := strings.Count(log.text(), "msg=something"); n != seldom.Most {
		t.Errorf("%d sources are logged", n)
	}
	if n := strings.Count(log.text(), "more sources"); n != 1 {
		t.Errorf("that there are more is logged %d times", n)
	}
}
