package resp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The buffers of a unix socket are small, and do not grow: a client that sends more before it reads fills them.
const (
	pairs     = 100
	pairValue = 20_000
)

// sendPairs sends a pipeline of SETs and GETs, all of it before the first reply is read.
func sendPairs(t *testing.T, w *wire) (want string) {
	t.Helper()
	var sent, replies strings.Builder
	for i := range pairs {
		value := fmt.Sprintf("%0*d", pairValue, i)
		sent.WriteString(cmd("set", "k", value) + cmd("get", "k"))
		fmt.Fprintf(&replies, "+OK\r\n$%d\r\n%s\r\n", pairValue, value)
	}
	w.send(sent.String())
	return replies.String()
}

func takePairs(t *testing.T, w *wire, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(w.r, got); err != nil || string(got) != want {
		t.Errorf("%d bytes of %d: %v", n, len(want), err)
	}
}

// A client that sends all of a pipeline before it takes a reply is answered, however large both are.
func TestPipelineLargerThanTheBuffersOfSockets(t *testing.T) {
	for _, way := range []string{"loops", "goroutines", "TLS"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Addr: "unix:" + filepath.Join(t.TempDir(), "s"), noLoops: way == "goroutines"}
			var client *tls.Config
			if way == "TLS" {
				cfg.TLS, client = selfSigned(t)
			}
			s := start(t, cfg)
			for range 3 { // it is the same again on the same connection
				w := dial(t, s.Addr())
				if client != nil {
					w.conn = tls.Client(w.conn, client)
					w.r.Reset(w.conn)
				}
				for range 3 {
					takePairs(t, w, sendPairs(t, w))
				}
				if got := w.do("ping"); got != "+PONG\r\n" {
					t.Error(got)
				}
			}
			eventually(t, "nothing is counted for buffers that are empty", func() bool { return s.buffered.Load() <= clientBuffers*int64(clientsOf(s)) })
		})
	}
}

// clientBuffers is what a client may keep at rest.
const clientBuffers = 128<<10 + 256<<10

// When all clients together take too much, one waits to send more until there is room.
func TestPipelineWhileOthersTakeTheRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{Addr: "unix:" + filepath.Join(t.TempDir(), "s"), noLoops: noLoops, maxBuffered: 16 << 20})
		const others = 12 << 20
		s.buffered.Add(others)
		w := dial(t, s.Addr())
		want := make(chan string)
		go func() { want <- sendPairs(t, w) }()
		eventually(t, "something is received", func() bool { return s.buffered.Load() > others })
		if h, _ := newClient(s, nil).receiveEarly(nil); h != crowded {
			t.Errorf("there is room: %v", h)
		}
		select {
		case <-want:
			t.Error("too much is received")
		default:
		}
		s.buffered.Add(-others)
		takePairs(t, w, <-want)
	}
}

// A client that goes on to send is given more time to take its replies; one after the other, that is longer than it would have had in all.
func TestWhoSendsSlowlyIsGivenMoreTime(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		t.Run(fmt.Sprint("goroutines ", noLoops), func(t *testing.T) {
			t.Parallel()
			for patience := time.Second; ; patience *= 2 {
				longest, err := sendSlowly(t, noLoops, patience)
				if err == nil {
					return
				}
				if longest < patience*3/4 || patience > 10*time.Second { // else it is the machine that is slow
					t.Fatalf("of %v each step had %v at most: %v", patience, longest, err)
				}
			}
		})
	}
}

// sendSlowly sends in steps, with a pause before each, and then takes the replies. It returns how long the longest of these took.
func sendSlowly(t *testing.T, noLoops bool, patience time.Duration) (longest time.Duration, err error) {
	t.Helper()
	const steps, value = 8, 100_000
	s := start(t, Config{Addr: "unix:" + filepath.Join(t.TempDir(), "s"), noLoops: noLoops, WriteTimeout: patience})
	w := dial(t, s.Addr())
	key := strings.Repeat("k", 1000) // few commands are many bytes
	w.do("set", key, strings.Repeat("v", value))
	w.send(strings.Repeat(cmd("get", key), 20)) // more than the sockets hold
	step := func(do func() error) {
		begun := time.Now()
		w.wait()
		if err == nil {
			err = do()
		}
		longest = max(longest, time.Since(begun))
	}
	many := earlyStep/len(cmd("strlen", key)) + 1
	for range steps {
		step(func() error {
			time.Sleep(patience / 4)
			_, err := io.WriteString(w.conn, strings.Repeat(cmd("strlen", key), many))
			return err
		})
	}
	step(func() error {
		one := fmt.Sprintf("$%d\r\n%s\r\n", value, strings.Repeat("v", value))
		want := strings.Repeat(one, 20) + strings.Repeat(fmt.Sprintf(":%d\r\n", value), steps*many)
		got := make([]byte, len(want))
		n, err := io.ReadFull(w.r, got)
		if string(got[:n]) != want[:n] {
			t.Errorf("other replies than were asked for among %d bytes", n)
		}
		return err
	})
	return longest, err
}

// While all clients are over the limit, who does not take its replies is cut off soon, whatever it has a goroutine for.
func TestPatienceIsShortWhileThereIsNoRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 8 << 20
		var log lines
		s := start(t, Config{Addr: "unix:" + filepath.Join(t.TempDir(), "s"), noLoops: noLoops, WriteTimeout: time.Hour, maxBuffered: limit, Logger: log.logger()})
		w := dial(t, s.Addr())
		dial(t, s.Addr()).do("set", "k", strings.Repeat("v", 100_000))
		w.do("ping")
		s.buffered.Add(2 * limit)
		w.send(strings.Repeat(cmd("get", "k"), 20))
		eventually(t, "it is cut off", func() bool { return clientsOf(s) == 1 })
		if !strings.Contains(log.text(), "does not take its replies") {
			t.Errorf("it is cut off for another reason: %s", log.text())
		}
	}
}

// Who never takes a reply is cut off, and takes no more than it may until then. Its source is logged once.
func TestWhoTakesNoReplyIsCutOff(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 8 << 20
		var log lines
		s := start(t, Config{noLoops: noLoops, WriteTimeout: 100 * time.Millisecond, maxBuffered: limit, Logger: log.logger()})
		other := dial(t, s.Addr())
		other.do("set", "k", strings.Repeat("v", 100_000))
		many := strings.Repeat(cmd("get", "k"), 10_000)
		for range 2 {
			w := dial(t, s.Addr())
			for {
				w.wait()
				if _, err := io.WriteString(w.conn, many); err != nil {
					if isTimeout(err) {
						t.Error("it is not cut off")
					}
					break
				}
				if got := s.buffered.Load(); got > limit {
					t.Fatalf("%d bytes are held", got)
				}
			}
		}
		if got := other.do("ping"); got != "+PONG\r\n" {
			t.Error(got)
		}
		eventually(t, "they are gone", func() bool { return clientsOf(s) == 1 })
		if n := strings.Count(log.text(), "does not take its replies"); n != 1 {
			t.Errorf("it is logged %d times: %s", n, log.text())
		}
	}
}

// What is received early comes out as it went in, and is bounded for each client, together with its replies. More time is given for
// what is received, not for asking.
func TestWhatIsReceivedEarlyIsBounded(t *testing.T) {
	s := start(t, Config{})
	c := newClient(s, nil)
	c.out = make([]byte, 0, 10<<20)
	noise := rand.NewChaCha8([32]byte{1})
	rng := rand.New(noise)
	var in, out bytes.Buffer
	extended := 0
	for {
		h, more := c.receiveEarly(func(b []byte) (int, error) {
			n := rng.IntN(len(b) + 1)
			_, _ = noise.Read(b[:n]) // never fails
			in.Write(b[:n])
			return n, nil
		})
		if more {
			extended++
		}
		if h == noRoom {
			break
		}
	}
	if all := c.early.size + cap(c.out); all > maxReplyBytes || all < maxReplyBytes-earlyChunk || in.Len() > c.early.size || in.Len() < c.early.size-earlyChunk {
		t.Errorf("%d bytes are received and take %d, beside %d", in.Len(), c.early.size, cap(c.out))
	}
	if most := in.Len() / earlyStep; extended > most || extended < most-2 {
		t.Errorf("more time is given %d times for %d bytes", extended, in.Len())
	}
	c.quit = true // it is not to be received from any more
	if h, _ := c.receiveEarly(nil); h != noRoom {
		t.Error(h)
	}
	c.account()
	if got := s.buffered.Load(); got < int64(c.early.size+cap(c.out)) {
		t.Errorf("%d bytes are counted", got)
	}
	for b := make([]byte, 1000); ; {
		n := c.early.take(b[:1+rng.IntN(len(b))])
		if n == 0 {
			break
		}
		out.Write(b[:n])
	}
	if !bytes.Equal(in.Bytes(), out.Bytes()) || c.early.size != 0 || c.early.chunks != nil {
		t.Errorf("%d of %d bytes come out", out.Len(), in.Len())
	}
}
