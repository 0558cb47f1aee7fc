package transport

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// framer is a stream, of either side.
type framer interface {
	Send(*peerpb.Frame) error
	Recv() (*peerpb.Frame, error)
}

// session is one stream with a peer after the Hellos. Two goroutines serve it: read, the only one that calls the Handler for
// it, and write.
type session struct {
	t      *Transport
	peer   *peerpb.Member
	number uint64
	stream framer
	prev   *session // an earlier one with the same peer; nil if it is over

	wake   chan struct{} // something is queued, and write is to look
	broken chan struct{} // closed by the first fail
	done   chan struct{} // closed when Down has been reported, or Up never was

	mu    sync.Mutex
	err   error // why it is broken; nil while it stands
	queue []*peerpb.Message
	bytes int // of what is queued, and of what write has taken and not sent

	touched atomic.Bool // it is on the list of those that Flush pokes
	next    *session    // on that list
}

// register makes a session the current one with its peer; self is what the Hello sent was made of. It returns an error if
// this node has another id by now, or closes.
func (t *Transport) register(self, peer *peerpb.Member, stream framer, l *link) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, ErrClosed
	case t.self != self:
		return nil, ErrNewSelf
	case l != nil && t.links[peer.GetId()] != l:
		return nil, ErrDisconnected
	}
	t.last++
	s := &session{
		t: t, peer: peer, number: t.last, stream: stream,
		prev:   t.sessions[peer.GetId()],
		wake:   make(chan struct{}, 1),
		broken: make(chan struct{}),
		done:   make(chan struct{}),
	}
	if s.prev != nil {
		s.prev.fail(ErrReplaced)
	}
	t.sessions[peer.GetId()] = s
	return s, nil
}

// serve starts the goroutines. It is called once per session, also when it is broken already.
func (s *session) serve() {
	if !s.t.spawn(s.write) {
		s.fail(ErrClosed)
	}
	if !s.t.spawn(s.read) {
		s.over()
	}
}

// fail breaks the session off; the first reason stays. It takes no lock of the transport and does not wait.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	s.queue = nil
	close(s.broken)
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// send queues a message. It is sent after Flush.
func (s *session) send(m *peerpb.Message) bool {
	size := m.SizeVT()
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return false
	}
	var err error
	switch {
	case size > MaxMessageBytes:
		err = fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, size, MaxMessageBytes)
	case s.bytes+size > s.t.cfg.QueueBytes:
		err = fmt.Errorf("%w: over %d bytes", ErrQueueFull, s.t.cfg.QueueBytes)
	default:
		s.queue = append(s.queue, m)
		s.bytes += size
	}
	s.mu.Unlock()
	if err != nil {
		s.fail(err)
		return false
	}
	s.t.touch(s)
	return true
}

// poke makes write look. It does not block.
func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write sends what is queued, in batches. It yields once before it takes a batch, so that those who are about to send can.
func (s *session) write() {
	var spare []*peerpb.Message
	for {
		select {
		case <-s.broken:
			return
		case <-s.wake:
		}
		runtime.Gosched()
		s.mu.Lock()
		batch := s.queue
		s.queue = spare
		s.mu.Unlock()
		if !s.writeBatch(batch) {
			return
		}
		clear(batch)
		if cap(batch) > 4096 {
			batch = nil // a burst is over; let its memory go
		}
		spare = batch[:0]
	}
}

// writeBatch sends messages in frames of about batchBytes, and is false if the session is broken.
func (s *session) writeBatch(batch []*peerpb.Message) bool {
	for len(batch) > 0 {
		n, size := 0, 0
		for n < len(batch) {
			next := batch[n].SizeVT()
			if n > 0 && size+next > batchBytes {
				break
			}
			n, size = n+1, size+next
		}
		if err := s.stream.Send(&peerpb.Frame{Messages: batch[:n]}); err != nil {
			if !errors.Is(err, io.EOF) { // else the stream has ended, and read learns why
				s.fail(err)
			}
			return false
		}
		s.t.messages.Add(uint64(n))
		s.t.bytes.Add(uint64(size))
		s.mu.Lock()
		s.bytes -= size
		s.mu.Unlock()
		batch = batch[n:]
	}
	return true
}

// read reports the session: Up, what arrives, and Down.
func (s *session) read() {
	defer s.over()
	if s.prev != nil {
		<-s.prev.done
		s.prev = nil
	}
	if s.reason() != nil {
		return
	}
	id, h := s.peer.GetId(), s.t.cfg.Handler
	s.t.log.Info("session up", "peer", s.peer.GetName(), "id", hexID(id), "session", s.number)
	h.Up(s.peer, s.number)
	s.fail(s.receive(h, id))
	s.t.log.Info("session down", "peer", s.peer.GetName(), "id", hexID(id), "session", s.number, "reason", ending(s.reason()))
	h.Down(id, s.number, s.reason())
}

// receive hands over what arrives until the stream ends or the session is broken; it returns why.
func (s *session) receive(h Handler, id uint64) error {
	for {
		frame, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the peer has ended the session")
		}
		if err != nil {
			return err
		}
		if frame.GetHello() != nil {
			return errors.New("a second Hello in one session")
		}
		for some := range slices.Chunk(frame.GetMessages(), receiveAtOnce) {
			select {
			case <-s.broken:
				return s.reason()
			default:
			}
			h.Receive(id, s.number, some)
		}
	}
}

// over lets a later session with the same peer begin. Only now may the peer be without one.
func (s *session) over() {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	id := s.peer.GetId()
	if s.t.sessions[id] == s {
		delete(s.t.sessions, id)
	}
	close(s.done)
	if l := s.t.links[id]; l != nil {
		l.poke()
	}
}
