package transport

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

const (
	maxFrame   = 32 << 20  // one frame on the wire
	batchBytes = 256 << 10 // messages gathered into one frame
	window     = 4 << 20   // HTTP/2 flow control, of a stream and of a connection
)

// stream is what both ends of Peer.Link have.
type stream interface {
	Send(*pb.Frame) error
	Recv() (*pb.Frame, error)
}

// session is one stream in use.
type session struct {
	t      *Transport
	id     uint64
	peer   *pb.Member
	stream stream
	cancel context.CancelFunc
	done   chan struct{} // closed when Down has been reported

	mu    sync.Mutex
	queue []*pb.Message
	size  int
	ended bool
	err   error
	wake  chan struct{}
}

func (s *session) push(m *pb.Message) bool {
	n := proto.Size(m) + 8
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return false
	}
	s.queue = append(s.queue, m)
	s.size += n
	over := s.size > s.t.cfg.QueueBytes
	s.mu.Unlock()
	if over {
		s.end(errors.New("too much waits to be sent"))
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// end ends the session; Down follows from its own goroutine.
func (s *session) end(err error) {
	s.mu.Lock()
	if !s.ended {
		s.ended, s.err, s.queue = true, err, nil
	}
	s.mu.Unlock()
	s.cancel()
}

// write sends what is queued, in batches. It yields once before it takes a batch, so that those who are about to send
// are in it too.
func (s *session) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		runtime.Gosched()
		s.mu.Lock()
		batch := s.queue
		s.queue, s.size = nil, 0
		s.mu.Unlock()
		for len(batch) > 0 {
			n, size := 0, 0
			for n < len(batch) && (n == 0 || size < batchBytes) {
				size += proto.Size(batch[n]) + 8
				n++
			}
			if err := s.stream.Send(&pb.Frame{Messages: batch[:n]}); err != nil {
				s.end(err)
				return
			}
			s.t.messages.Add(uint64(n))
			s.t.bytes.Add(uint64(size))
			batch = batch[n:]
		}
	}
}

// run registers the session, reports it, and carries it until it ends. self is the id it was introduced with: if this
// process has started over since, there is no session.
func (t *Transport) run(ctx context.Context, cancel context.CancelFunc, self uint64, p *pb.Member, st stream) error {
	s := &session{
		t: t, id: t.ids.Add(1), peer: p, stream: st, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return errors.New("closed")
		}
		if t.self.Id != self {
			t.mu.Unlock()
			return errors.New("this node has started over")
		}
		old := t.byPeer[p.Id]
		if old == nil {
			t.byPeer[p.Id] = s
			t.mu.Unlock()
			break
		}
		t.mu.Unlock()
		old.end(errors.New("replaced by a newer session"))
		select {
		case <-old.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.sessions.Store(s.id, s)
	t.cfg.Handler.Up(p, s.id)
	var writer sync.WaitGroup
	writer.Go(func() { s.write(ctx) })
	for {
		frame, err := st.Recv()
		if err != nil {
			s.end(err)
			break
		}
		if ctx.Err() != nil {
			break
		}
		for _, m := range frame.Messages {
			t.cfg.Handler.Receive(p.Id, s.id, m)
		}
	}
	s.end(errors.New("stream ended"))
	writer.Wait()
	t.sessions.Delete(s.id)
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	t.cfg.Handler.Down(p.Id, s.id, err)
	t.mu.Lock()
	delete(t.byPeer, p.Id)
	t.mu.Unlock()
	close(s.done)
	return err
}

// hello is how this process introduces itself.
func (t *Transport) hello(to uint64) *pb.Hello {
	return &pb.Hello{
		Protocol: ProtocolVersion, Ring: t.cfg.Ring, Cluster: t.cfg.Cluster, Replicas: uint32(t.cfg.Replicas), From: t.Self(), To: to,
	}
}

// checkHello says why another process cannot be a peer, or "".
func checkHello(ours, theirs *pb.Hello) string {
	switch {
	case theirs == nil || theirs.From == nil || theirs.From.Id == 0 || theirs.From.Name == "" || len(theirs.From.Name) > 255:
		return "no introduction"
	case theirs.Protocol != ours.Protocol:
		return fmt.Sprintf("protocol version differs: ours is %d, theirs %d; run the same release everywhere", ours.Protocol, theirs.Protocol)
	case theirs.Cluster != ours.Cluster:
		return fmt.Sprintf("cluster label differs: ours is %q", ours.Cluster)
	case theirs.Ring != ours.Ring:
		return fmt.Sprintf("ring parameters differ: ours are %q, theirs %q", ours.Ring, theirs.Ring)
	case theirs.Replicas != ours.Replicas:
		return fmt.Sprintf("replicas differ: ours are %d, theirs %d", ours.Replicas, theirs.Replicas)
	}
	return ""
}

type peerServer struct {
	pb.UnimplementedPeerServer
	t *Transport
}

// Link is the accepting end of a session.
func (p *peerServer) Link(st pb.Peer_LinkServer) error {
	t := p.t
	t.wg.Add(1)
	defer t.wg.Done()
	ctx, cancel := context.WithCancel(st.Context())
	defer cancel()
	frame, err := recvIn(ctx, st, t.cfg.DialTimeout*2)
	if err != nil {
		return err
	}
	ours := t.hello(0)
	reason := checkHello(ours, frame.GetHello())
	if h := frame.GetHello(); reason == "" && h.To != ours.From.Id {
		reason = "another incarnation is meant"
	} else if reason != "" {
		remote := "unknown"
		if pr, ok := peer.FromContext(st.Context()); ok {
			remote = pr.Addr.String()
		}
		t.logRefused(remote, reason)
	}
	ours.Refused = reason
	if err := st.Send(&pb.Frame{Hello: ours}); err != nil {
		return err
	}
	if reason != "" {
		return errors.New(reason)
	}
	// The stream's own context is what unblocks Recv here: returning ends it. So the reader runs beside.
	out := make(chan error, 1)
	go func() { out <- t.run(ctx, cancel, ours.From.Id, frame.Hello.From, &serverStream{st: st, ctx: ctx}) }()
	return <-out
}

// serverStream lets Recv return when the session is ended on our side.
type serverStream struct {
	st     pb.Peer_LinkServer
	ctx    context.Context
	frames chan *pb.Frame
	errs   chan error
	once   sync.Once
}

func (s *serverStream) Send(f *pb.Frame) error { return s.st.Send(f) }

func (s *serverStream) Recv() (*pb.Frame, error) {
	s.once.Do(func() {
		s.frames, s.errs = make(chan *pb.Frame), make(chan error, 1)
		go func() { // ends with the stream, which ends when Link returns
			for {
				f, err := s.st.Recv()
				if err != nil {
					s.errs <- err
					return
				}
				select {
				case s.frames <- f:
				case <-s.ctx.Done():
					return
				}
			}
		}()
	})
	select {
	case f := <-s.frames:
		return f, nil
	case err := <-s.errs:
		return nil, err
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}
