package resp

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listenOnly returns a server that accepts nobody: its clients come by serveOn, on connections that have no room for what is not read.
func listenOnly(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serveOn has the server serve one end of a connection, from a goroutine, and returns the other.
func serveOn(s *Server) net.Conn {
	ours, theirs := net.Pipe()
	c := newClient(s, theirs)
	s.admit(c)
	go func() {
		defer s.ended(c)
		c.serve()
	}()
	return ours
}

// Close waits for no client to take the farewell of TLS, which it might do in vain for one client after the other.
func TestCloseOfClientsThatTakeNothing(t *testing.T) {
	t.Parallel()
	server, trusting := selfSigned(t)
	s := listenOnly(t, Config{Backend: newFake(), TLS: server})
	for range 3 {
		conn := tls.Client(serveOn(s), trusting)
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := &wire{t, conn, bufio.NewReader(conn)}
		if got := w.do("ping"); got != "+PONG\r\n" {
			t.Fatal(got)
		}
	}
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 3*time.Second { // package tls gives a farewell 5 s
		t.Errorf("it takes %v", took)
	}
}

// A client that takes nothing has the time to take its replies once, also when the first of them are sent by themselves.
func TestWhoTakesNothingHasItsTimeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		f := newFake()
		f.write = func(context.Context, string) error {
			time.Sleep(time.Second)
			return nil
		}
		s := listenOnly(t, Config{Backend: f, Logger: log.logger()})
		conn := serveOn(s)
		begun := time.Now()
		w := &wire{t: t, conn: conn}
		w.send(cmd("ping") + cmd("incr", "n") + cmd("ping"))
		for clientsOf(s) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if took, most := time.Since(begun), s.cfg.WriteTimeout*3/2; took > most+time.Second {
			t.Errorf("it is cut off after %v, not %v", took, most)
		}
		if !strings.Contains(log.text(), "does not take its replies") {
			t.Errorf("it is cut off for another reason: %s", log.text())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Who gives up its login while it is slow to take replies owes the password as anybody: it is cut off when the time for that is over.
func TestLoginAnewOfWhoIsSlowToRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := listenOnly(t, Config{Backend: newFake(), Password: "secret"})
		conn := serveOn(s)
		w := &wire{t, conn, bufio.NewReader(conn)}
		value := strings.Repeat("v", 4000)
		const gets = 20 // more than is sent at a time
		w.send(cmd("auth", "secret") + cmd("set", "k", value) + strings.Repeat(cmd("get", "k"), gets) + cmd("reset"))
		time.Sleep(time.Second) // nothing of that is read
		takePairs(t, w, "+OK\r\n+OK\r\n"+strings.Repeat("$4000\r\n"+value+"\r\n", gets)+"+RESET\r\n")
		begun := time.Now()
		for clientsOf(s) > 0 && time.Since(begun) < time.Hour {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(begun); took > s.cfg.loginTime+time.Second {
			t.Errorf("it is there %v later", took)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
