package resp

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// Drain ends clients at rest at once, and the others when they have their answers: one whose command is under way, one that has sent half of
// one, and one in a transaction. Nobody gets in any more.
func TestDrain(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		t.Run(fmt.Sprintf("without loops: %v", noLoops), func(t *testing.T) {
			f := newFake()
			under, goOn := make(chan struct{}), make(chan struct{})
			f.write = func(_ context.Context, key string) error {
				if key == "slow" {
					close(under)
					<-goOn
				}
				return nil
			}
			s := start(t, Config{Backend: fastFake{f}, noLoops: noLoops})
			atRest, slow, half, tx := dial(t, s.Addr()), dial(t, s.Addr()), dial(t, s.Addr()), dial(t, s.Addr())
			tx.do("multi")
			atRest.do("ping")
			half.do("ping")
			half.send("*2\r\n$3\r\nget\r\n")
			slow.send(cmd("set", "slow", "v") + cmd("get", "slow"))
			<-under
			drained := make(chan error, 1)
			go func() { drained <- s.Drain(t.Context()) }()
			atRest.closed()
			if conn, err := net.Dial("tcp", s.Addr()); err == nil {
				conn.Close()
				t.Error("another client got in")
			}
			if got := tx.do("get", "k") + tx.do("exec"); got != "+QUEUED\r\n*1\r\n$-1\r\n" {
				t.Errorf("in the transaction: %q", got)
			}
			tx.closed()
			half.send("$1\r\nk\r\n")
			if got := half.reply(); got != "$-1\r\n" {
				t.Errorf("of the command that had been begun: %q", got)
			}
			half.closed()
			select {
			case err := <-drained:
				t.Fatalf("drained while a command is under way: %v", err)
			default:
			}
			close(goOn)
			if got := slow.reply() + slow.reply(); got != "+OK\r\n$1\r\nv\r\n" {
				t.Errorf("of what was under way: %q", got)
			}
			slow.closed()
			if err := <-drained; err != nil {
				t.Error(err)
			}
		})
	}
}

// Clients that go on sending are ended between two commands: each finds as many answers as it has sent commands, or one fewer.
func TestDrainOfBusyClients(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{noLoops: noLoops})
		const clients = 16
		began, ended := make(chan struct{}, clients), make(chan error, clients)
		for range clients {
			w := dial(t, s.Addr())
			go func() {
				for i := 0; ; i++ {
					if i == 10 {
						began <- struct{}{}
					}
					w.wait()
					if _, err := io.WriteString(w.conn, cmd("set", "k", "v")); err != nil {
						ended <- nil
						return
					}
					got := make([]byte, len("+OK\r\n"))
					if n, err := io.ReadFull(w.r, got); n > 0 && (err != nil || string(got) != "+OK\r\n") {
						ended <- fmt.Errorf("%q: %w", got[:n], err)
						return
					} else if err != nil {
						ended <- nil
						return
					}
				}
			}()
		}
		for range clients {
			<-began
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := s.Drain(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		for range clients {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
}

// What a client has sent that was let in just before Drain stopped listening is answered, as that of any other.
func TestDrainAsAClientComes(t *testing.T) {
	s := onLoops(t, Config{})
	dial(t, s.Addr()).do("ping") // its loops are there
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w := dial(t, other.Addr().String())
	w.send(cmd("ping"))
	conn, err := other.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(s, conn)
	s.admit(c)
	s.draining.Store(true)
	s.adopt(c)
	if got := w.reply(); got != "+PONG\r\n" {
		t.Errorf("got %q", got)
	}
	w.closed()
}

// Drain gives up with its context, and Close ends who is left.
func TestDrainIsBounded(t *testing.T) {
	s := start(t, Config{})
	w := dial(t, s.Addr())
	w.do("multi")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); err == nil {
		t.Error("all have ended")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	w.closed()
}
