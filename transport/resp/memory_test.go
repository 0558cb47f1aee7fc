package resp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What clients have sent of commands that are not whole is bounded over all of them, and given back when they go.
func TestHalfSentCommandsAreBounded(t *testing.T) {
	s := start(t, Config{maxBuffered: 4 << 20})
	half := "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1000000\r\n" + strings.Repeat("v", 900_000)
	var conns []net.Conn
	for range 12 { // each takes 1 MiB
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		_, _ = io.WriteString(conn, half) // it may be cut off already
	}
	eventually(t, "somebody is cut off", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.clients) < len(conns)
	})
	eventually(t, "little more is held", func() bool { return s.buffered.Load() <= 5<<20 }) // what is being cut off still counts
	if got := dial(t, s.Addr()).do("ping"); got != "+PONG\r\n" {
		t.Errorf("another client: %q", got)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, "the buffers are given back", func() bool { return s.buffered.Load() == 0 })
}

// Large replies that nobody takes are bounded over all clients. Who asks for one too many is told to try again, and what is small goes on.
func TestRepliesOfAllAreBounded(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 96 << 20
		s := start(t, Config{maxBuffered: limit, noLoops: noLoops})
		w := dial(t, s.Addr())
		if got := w.do("set", "k", strings.Repeat("v", 1<<20)); got != "+OK\r\n" {
			t.Fatal(got)
		}
		many := append([]string{"mget"}, slices.Repeat([]string{"k"}, 40)...)
		slow := dial(t, s.Addr())
		slow.send(cmd(many...)) // and does not take it
		eventually(t, "the reply is counted", func() bool { return s.buffered.Load() > 30<<20 })
		if got := w.do(many...); got != "-"+errTextCrowded+"\r\n" {
			t.Errorf("%.100q", got)
		}
		if got := w.do("set", "k2", strings.Repeat("v", 1<<20)); got != "+OK\r\n" {
			t.Error(got)
		}
		if got := w.do("get", "k2"); len(got) < 1<<20 {
			t.Errorf("%.100q", got)
		}
		if got := s.buffered.Load(); got > limit {
			t.Errorf("%d bytes are held", got)
		}
		if got := slow.reply(); len(got) < 40<<20 {
			t.Errorf("the slow one is answered with %d bytes: %.100q", len(got), got)
		}
		if got := w.do(many...); len(got) < 40<<20 {
			t.Errorf("when there is room: %.100q", got)
		}
		for _, x := range []*wire{w, slow} {
			_ = x.conn.Close()
		}
		eventually(t, "all is given back", func() bool { return s.buffered.Load() == 0 })
	}
}

// So is what waits for EXEC.
func TestTransactionsOfAllAreBounded(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 4 << 20
		s := start(t, Config{maxBuffered: limit, noLoops: noLoops})
		var queued, refused []*wire
		for i := range 12 {
			w := dial(t, s.Addr())
			w.do("multi")
			for j := 0; ; j++ {
				got := w.do("set", fmt.Sprint(i), strings.Repeat("v", 50_000))
				if got == "-"+errTextCrowded+"\r\n" {
					refused = append(refused, w)
					break
				}
				if got != "+QUEUED\r\n" {
					t.Fatal(got)
				}
				if j == 10 {
					queued = append(queued, w)
					break
				}
			}
			if got := s.buffered.Load(); got > limit {
				t.Fatalf("%d bytes are held", got)
			}
		}
		if len(queued) < 4 || len(refused) < 4 {
			t.Fatalf("%d have queued all, %d were refused", len(queued), len(refused))
		}
		if got := refused[0].do("exec"); !strings.HasPrefix(got, "-EXECABORT") {
			t.Error(got)
		}
		if got := queued[0].do("exec"); !strings.HasPrefix(got, "*11\r\n+OK\r\n") {
			t.Error(got)
		}
		eventually(t, "there is room again", func() bool { return s.mayBuffer(700_000) })
		w := refused[0]
		w.do("multi")
		for range 11 {
			if got := w.do("set", "k", strings.Repeat("v", 50_000)); got != "+QUEUED\r\n" {
				t.Error(got)
			}
		}
		for _, w := range slices.Concat(queued, refused) {
			_ = w.conn.Close()
		}
		eventually(t, "all is given back", func() bool { return s.buffered.Load() == 0 })
	}
}

// Buffers of any size but the smallest are counted, and clients at rest do not keep them when there are many.
func TestBuffersAtRestAreBounded(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 1 << 20
		s := start(t, Config{maxBuffered: limit, noLoops: noLoops})
		var all []*wire
		for range 100 { // each has needed 64 KiB
			w := dial(t, s.Addr())
			for range 2 {
				if got := w.do("set", "k", strings.Repeat("v", 50_000)); got != "+OK\r\n" {
					t.Fatal(got)
				}
			}
			all = append(all, w)
		}
		eventually(t, "clients at rest leave room", func() bool { return s.buffered.Load() <= limit/2 })
		if s.buffered.Load() == 0 {
			t.Error("a buffer of 64 KiB is not counted, or not kept when there is room")
		}
		for _, w := range all {
			if got := w.do("ping"); got != "+PONG\r\n" {
				t.Fatal(got)
			}
		}
		for i, w := range all { // now they hold 32 KiB each of a command that is not whole, which is too much
			_, _ = io.WriteString(w.conn, "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$50000\r\n"+strings.Repeat("v", 30_000))
			if i == 0 {
				eventually(t, "it is counted", func() bool { return s.buffered.Load() >= 32<<10 })
			}
		}
		eventually(t, "some are cut off", func() bool { return clientsOf(s) < len(all) })
		eventually(t, "the limit is kept", func() bool { return s.buffered.Load() <= limit })
	}
}

// What a command collects for its reply is bounded by what a reply may take, and by what others have; it is given back.
func TestWhatIsCollectedIsBounded(t *testing.T) {
	s := &Server{cfg: Config{maxBuffered: 2 * maxReplyBytes}}
	for _, other := range []int64{0, maxReplyBytes} {
		s.buffered.Store(other)
		c := claim{srv: s}
		if err := c.add(largeReply); err != nil {
			t.Errorf("what is small: %v", err)
		}
		want := error(nil)
		if other > 0 {
			want = errCrowded
		}
		if err := c.add(maxReplyBytes/2 + 1); !errors.Is(err, want) {
			t.Errorf("half of the largest reply, while others have %d: %v, want %v", other, err, want)
		}
		if err := c.add(maxReplyBytes / 2); !errors.Is(err, errOver) {
			t.Errorf("more than the largest reply: %v", err)
		}
		c.giveBack(largeReply)
		if c.end(); s.buffered.Load() != other {
			t.Errorf("%d bytes are not given back", s.buffered.Load()-other)
		}
	}
}

// What is read ahead for a client that does not take its replies is counted, let go when there is no room, and given back.
func TestWhatIsReadAheadIsBounded(t *testing.T) {
	const size, n, limit = 30_000, 256, 8 << 20
	for _, noLoops := range []bool{false, true} {
		var asked, gone atomic.Int64
		var backend Backend = copyFake{fake: newFake(), size: size, asked: &asked, gone: &gone}
		if !noLoops {
			backend = laterFake{FastBackend: slowCopies{backend.(copyFake)}}
		}
		s := start(t, Config{Backend: backend, noLoops: noLoops, maxBuffered: limit, WriteTimeout: time.Minute})
		var all []*wire
		for i := range 30 {
			w := dial(t, s.Addr())
			if i > 0 { // through so small a window the first could not take all in the end
				if err := w.conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
					t.Fatal(err)
				}
			}
			w.send(strings.Repeat(cmd("get", "k"), n)) // and takes nothing
			all = append(all, w)
			if got := s.buffered.Load(); got > limit+largeReply*int64(len(all)) {
				t.Fatalf("%d bytes are held", got)
			}
		}
		eventually(t, "it is counted", func() bool { return s.buffered.Load() > 1<<20 })
		w := dial(t, s.Addr())
		if got := w.do("get", "k"); len(got) < size {
			t.Errorf("another client: %.100q", got)
		}
		for i := range n { // who was slow gets all, if there was room for what it had not taken
			if got := all[0].reply(); len(got) < size {
				t.Fatalf("reply %d: %.100q", i, got)
			}
		}
		for _, w := range append(all, w) {
			_ = w.conn.Close()
		}
		eventually(t, "all is given back", func() bool { return s.buffered.Load() == 0 })
	}
}

// While all clients are over the limit, who does not take its replies is cut off; there is room again, and the others go on.
func TestWhoDoesNotReadIsCutOffWhenThereIsNoRoom(t *testing.T) {
	const size, limit = 60_000, 1 << 20
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{noLoops: noLoops, maxBuffered: limit, WriteTimeout: time.Hour})
		w := dial(t, s.Addr())
		w.do("set", "k", strings.Repeat("v", size))
		for range 60 { // each holds 64 KiB at least that nobody refuses
			slow := dial(t, s.Addr())
			if err := slow.conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
				t.Fatal(err)
			}
			slow.send(strings.Repeat(cmd("get", "k"), 400))
		}
		eventually(t, "some are cut off, and there is room", func() bool { return clientsOf(s) < 50 && s.buffered.Load() <= limit })
		if got := w.do("get", "k"); len(got) < size {
			t.Errorf("another client: %.100q", got)
		}
	}
}

// What clients may take grows with the memory for entries, and one largest value always fits: a quarter of that.
func TestBuffersGrowWithMaxMemory(t *testing.T) {
	for maxMemory, want := range map[int64]int64{1 << 20: 24<<20 + 1<<19, 64 << 20: 56 << 20, 256 << 20: 152 << 20, 464 << 20: 256 << 20, 1 << 40: 256 << 20} {
		if got := bufferedFor(maxMemory); got != want {
			t.Errorf("with %d: %d, want %d", maxMemory, got, want)
		}
	}
	for _, maxMemory := range []int64{1 << 20, 16 << 20, 64 << 20} {
		value := min(int(maxMemory/4), 16<<20)
		w := dial(t, start(t, Config{MaxMemory: maxMemory, MaxValueBytes: value}).Addr())
		if got := w.do("set", "k", strings.Repeat("v", value)); got != "+OK\r\n" {
			t.Errorf("with %d, a value of %d: %.100q", maxMemory, value, got)
		}
		if got := w.do("get", "k"); len(got) < value {
			t.Errorf("with %d, a value of %d: %.100q", maxMemory, value, got)
		}
	}
}
