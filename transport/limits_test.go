package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// The bound on what waits is for what waits now: a session carries many times as much.
func TestQueueBytesAreGivenBack(t *testing.T) {
	const bound, size, n = 1 << 20, 128 << 10, 40
	a, _, ra, rb := pair(t, func(cfg *Config) { cfg.QueueBytes = bound })
	session, at := ra.session(2), rb.session(1)
	for i := range uint64(n) {
		if !a.Send(2, session, message(i, size)) {
			t.Fatalf("after %d bytes, of which at most %d wait: %v", i*size, size, ra.end(session))
		}
		rb.ids(at, int(i)+1)
	}
	for deadline := time.Now().Add(patience); a.Queued(2, session) != 0; runtime.Gosched() { // a message may arrive before it is noted as sent
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes wait, and all have arrived", a.Queued(2, session))
		}
	}
	if a.Queue(2, session, message(0, size)); a.Queued(2, session) < size || a.Queued(2, session+1) != 0 || a.Queued(3, session) != 0 {
		t.Errorf("%d bytes wait, and %d were queued", a.Queued(2, session), size)
	}
}

// frameLog is a stream that keeps what is sent.
type frameLog struct {
	framer
	sizes [][]int // of the messages of each frame
	ids   []uint64
}

func (l *frameLog) Send(f *peerpb.Frame) error {
	var sizes []int
	for _, m := range f.GetMessages() {
		sizes = append(sizes, m.SizeVT())
		l.ids = append(l.ids, m.GetId())
	}
	l.sizes = append(l.sizes, sizes)
	return nil
}

// A burst goes in frames that a peer takes, whole and in order, and gives back what it took of the bound.
func TestBurstGoesInBoundedFrames(t *testing.T) {
	log := new(frameLog)
	s := &session{t: new(Transport), stream: log}
	var batch []*peerpb.Message
	for i, size := range []int{1, batchBytes / 2, batchBytes / 3, batchBytes / 3, 3 * batchBytes, batchBytes / 2, batchBytes / 2, 0, 0, batchBytes} {
		batch = append(batch, message(uint64(i), size))
		s.bytes += batch[i].SizeVT()
	}
	if !s.writeBatch(batch) {
		t.Fatal("the session is broken")
	}
	for _, sizes := range log.sizes {
		total := 0
		for _, size := range sizes {
			total += size
		}
		if len(sizes) == 0 || len(sizes) > 1 && total > batchBytes {
			t.Errorf("a frame of %d messages with %d bytes", len(sizes), total)
		}
	}
	for i, id := range log.ids {
		if id != uint64(i) {
			t.Fatalf("sent in the order %v", log.ids)
		}
	}
	if len(log.ids) != len(batch) || len(log.sizes) == len(batch) {
		t.Errorf("%d messages of %d in %d frames", len(log.ids), len(batch), len(log.sizes))
	}
	if s.bytes != 0 {
		t.Errorf("%d bytes are not given back", s.bytes)
	}
}

// breaker breaks the session off while it is handed the first messages.
type breaker struct {
	counter
	s   *session
	err error
}

func (b *breaker) Receive(peer, session uint64, ms []*peerpb.Message) {
	b.counter.Receive(peer, session, ms)
	b.s.fail(b.err)
}

// Of what has come together, the part that is not handed over yet when the session breaks is not handed over.
func TestBrokenSessionDeliversNoMore(t *testing.T) {
	frame := new(peerpb.Frame)
	for i := range uint64(3 * receiveAtOnce) {
		frame.Messages = append(frame.Messages, message(i, 1))
	}
	s := &session{stream: &framesOf{frames: []*peerpb.Frame{frame, proto.CloneOf(frame)}}, broken: make(chan struct{})}
	b := &breaker{s: s, err: errors.New("broken off")}
	if err := s.receive(b, 1); !errors.Is(err, b.err) {
		t.Errorf("the stream ended with %v", err)
	}
	if b.n != receiveAtOnce {
		t.Errorf("%d messages are handed over", b.n)
	}
}

// What has changed while the Hellos were exchanged is seen before the session stands.
func TestSessionUnderAnIdentityGivenUp(t *testing.T) {
	a, _ := node(t, 1, nil)
	peer := &peerpb.Member{Name: "node-2", Id: 2, Addr: "127.0.0.1:1"}
	introducedAs := a.Self()
	a.SetSelf(&peerpb.Member{Name: "node-1", Id: 9})
	if _, err := a.register(introducedAs, peer, nil, nil); !errors.Is(err, ErrNewSelf) {
		t.Errorf("as who it was: %v", err)
	}
	l := newLink(a, peer) // one that Disconnect has ended
	defer l.cancel()
	if _, err := a.register(a.Self(), peer, nil, l); !errors.Is(err, ErrDisconnected) {
		t.Errorf("after Disconnect: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := a.register(a.Self(), peer, nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// So many connections and no more are accepted, and each that ends makes room for another.
func TestAcceptedConnectionsAreLimited(t *testing.T) {
	forEachSecurity(t, func(t *testing.T, change func(*Config)) {
		b, rb := node(t, 2, change)
		a, _ := node(t, 1, change)
		b.accepted.Store(maxAccepted - 2) // as if there were so many
		// open returns b's end of a new connection, or nil if it is not accepted; b has closed it then.
		open := func() net.Conn {
			t.Helper()
			refused := make(chan struct{})
			out, err := a.Gossip().DialAddressTimeout(memberlist.Address{Addr: b.Addr()}, patience)
			if err != nil {
				return nil // during the handshake
			}
			t.Cleanup(func() { _ = out.Close() })
			if _, err := out.Write([]byte{244, 4}); err == nil {
				_ = out.SetReadDeadline(time.Now().Add(patience))
				go func() {
					defer close(refused)
					_, _ = out.Read(make([]byte, 1))
				}()
			} else {
				close(refused)
			}
			select {
			case in := <-b.Gossip().StreamCh():
				t.Cleanup(func() { _ = in.Close() })
				return in
			case <-refused:
				return nil
			}
		}
		open()
		for round := range 5 {
			in := open()
			if in == nil {
				t.Fatalf("round %d: there is room, and none is accepted", round)
			}
			if open() != nil {
				t.Fatalf("round %d: more than %d are accepted", round, maxAccepted)
			}
			_ = in.Close()
			_ = in.Close() // counts once
		}
		rb.wait("a report", func() bool { return len(rb.refused) > 0 })
		rb.mu.Lock()
		defer rb.mu.Unlock()
		if len(rb.refused) != 1 {
			t.Errorf("reported: %q", rb.refused)
		}
	})
}

// Who is refused for ever other words of its own is reported once per kind of reason.
func TestVaryingStrangerIsReportedOnce(t *testing.T) {
	b, rb := node(t, 2, nil)
	kinds := map[string]func(h *peerpb.Hello, i int){
		"clusters differ":          func(h *peerpb.Hello, i int) { h.Cluster = fmt.Sprint("blue", i) },
		"settings differ":          func(h *peerpb.Hello, i int) { h.Ring = fmt.Sprint("partitions ", i) },
		"replicas differ":          func(h *peerpb.Hello, i int) { h.Replicas = uint32(10 + i) },
		"protocol versions differ": func(h *peerpb.Hello, i int) { h.Protocol = uint32(100 + i) },
		"another incarnation":      func(h *peerpb.Hello, i int) { h.To = uint64(100 + i) },
		"the name has":             func(h *peerpb.Hello, i int) { h.From.Name = string(make([]byte, 300+i)) },
	}
	for i := range 8 {
		for kind, change := range kinds {
			hello := &peerpb.Hello{
				Protocol: ProtocolVersion, Ring: "partitions 1021", Cluster: "test", Replicas: 2,
				From: &peerpb.Member{Name: "raw", Id: 1}, To: 2,
			}
			change(hello, i)
			stream := rawStream(t, b.Addr())
			if err := stream.Send(&peerpb.Frame{Hello: hello}); err != nil {
				t.Fatal(err)
			}
			if f, err := stream.Recv(); err != nil || f.GetHello().GetRefused() == "" {
				t.Fatalf("%s: %v, %v", kind, f, err)
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				t.Fatalf("%s: the stream ended with %v", kind, err)
			}
		}
	}
	rb.mu.Lock()
	defer rb.mu.Unlock()
	if len(rb.refused) != len(kinds) {
		t.Errorf("%d reports: %q", len(rb.refused), rb.refused)
	}
}
