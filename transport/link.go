package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// link is the wish for a session with a member.
type link struct {
	t      *Transport
	id     uint64
	name   string
	addr   string          // under t.mu
	wake   chan struct{}   // look again whether to dial
	ctx    context.Context // ended by Disconnect and Close
	cancel context.CancelFunc
}

func newLink(t *Transport, m *peerpb.Member) *link {
	l := &link{t: t, id: m.GetId(), name: m.GetName(), addr: m.GetAddr(), wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(t.ctx)
	return l
}

// poke makes run look again. It does not block.
func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// todo tells what to do about a session with the member, as whom, and where.
func (l *link) todo() (what task, self *peerpb.Member, addr string) {
	l.t.mu.RLock()
	defer l.t.mu.RUnlock()
	self = l.t.self
	switch {
	case l.t.sessions[l.id] != nil:
		what = rest
	case self.GetId() < l.id:
		what = dial
	default:
		what = probe
	}
	return what, self, l.addr
}

// task is what a link has to do.
type task int

const (
	rest  task = iota // there is a session
	dial              // open one
	probe             // the other side dials; see whether it is there
)

// run dials whenever this side should and there is no session. Where the other side is to dial, it looks whether anything
// listens there at all: so both sides soon learn of the end of a process.
func (l *link) run() {
	pause, told := firstRetry, ""
	for {
		what, self, addr := l.todo()
		var err error
		began := time.Now()
		switch what {
		case rest:
			if !l.wait(nil) {
				return
			}
			pause = firstRetry
			continue
		case dial:
			err = l.session(self, addr)
		case probe:
			err = l.probe(addr)
		}
		if err != nil && !l.report(err, &told) {
			return
		}
		if err == nil && what == dial {
			told = ""
			if time.Since(began) >= steady {
				pause = firstRetry
			}
		}
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // spreads retries, nothing secret
		ok := l.wait(timer.C)
		timer.Stop()
		if !ok {
			return
		}
		pause = min(2*pause, lastRetry)
	}
}

// probe opens a connection and closes it.
func (l *link) probe(addr string) error {
	ctx, cancel := context.WithTimeout(l.ctx, l.t.cfg.DialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return l.timedOut(ctx, addr, err)
	}
	return conn.Close()
}

// wait returns when the timer fires or, without one, when there is something to look at; false: the link is over.
func (l *link) wait(timer <-chan time.Time) bool {
	wake := l.wake
	if timer != nil {
		wake = nil
	}
	select {
	case <-l.ctx.Done():
		return false
	case <-wake:
	case <-timer:
	}
	return true
}

// report tells of a failed attempt, in the log once per reason; false: the link is over and nobody needs to know.
func (l *link) report(err error, told *string) bool {
	if l.ctx.Err() != nil {
		return false
	}
	if errors.Is(err, ErrNewSelf) {
		return true
	}
	var refused *RefusedError
	if errors.As(err, &refused) && *told != refused.Reason {
		*told = refused.Reason
		l.t.log.Warn("a peer refuses this node", "peer", l.name, "id", hexID(l.id), "reason", refused.Reason)
	} else {
		l.t.log.Debug("cannot reach a peer", "peer", l.name, "id", hexID(l.id), "error", err)
	}
	l.t.cfg.Handler.Unreachable(l.id, err)
	return true
}

// session opens one and waits until it is over. The error says why none was opened.
func (l *link) session(self *peerpb.Member, addr string) error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	timeout := time.AfterFunc(l.t.cfg.DialTimeout, cancel)
	conn, err := l.t.dial(ctx, addr, speaksRPC)
	if err != nil {
		return l.timedOut(ctx, addr, err)
	}
	cc, err := clientConn(conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	defer cc.Close()
	defer conn.Close() // first: to a peer that takes nothing gRPC would try for seconds to say farewell
	s, err := l.introduce(ctx, cc, self)
	if err == nil && !timeout.Stop() {
		s.fail(context.DeadlineExceeded)
	}
	if err != nil {
		return l.timedOut(ctx, addr, err)
	}
	s.serve()
	<-s.broken
	cancel()
	<-s.done
	return nil
}

// timedOut puts an error that comes of the time running out into words.
func (l *link) timedOut(ctx context.Context, addr string, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("dial %s: no answer within %v: %w", addr, l.t.cfg.DialTimeout, context.DeadlineExceeded)
}

// introduce exchanges the Hellos and registers the session.
func (l *link) introduce(ctx context.Context, cc *grpc.ClientConn, self *peerpb.Member) (*session, error) {
	stream, err := peerpb.NewPeerClient(cc).Link(ctx)
	if err != nil {
		return nil, l.hungUp(err)
	}
	ours := l.t.hello(self, l.id)
	if err := stream.Send(&peerpb.Frame{Hello: ours}); err != nil {
		return nil, l.unanswered(err)
	}
	frame, err := stream.Recv()
	if err != nil {
		return nil, l.unanswered(err)
	}
	theirs := frame.GetHello()
	if theirs.GetRefused() != "" {
		return nil, &RefusedError{Reason: refusal(ours, theirs)}
	}
	reason := checkHello(ours, theirs, true)
	if reason == "" && theirs.GetFrom().GetId() != l.id {
		reason = fmt.Sprintf("%s: %s answers, not %s", otherIncarnation, hexID(theirs.GetFrom().GetId()), hexID(l.id))
	}
	if reason == "" && len(frame.GetMessages()) > 0 {
		reason = "messages beside the Hello"
	}
	if reason != "" {
		return nil, &RefusedError{Reason: reason}
	}
	return l.t.register(self, theirs.GetFrom(), stream, l)
}

// hungUp explains a connection that ended before the peer spoke HTTP/2.
func (l *link) hungUp(err error) error {
	text := status.Convert(err).Message()
	if l.t.creds == nil {
		return fmt.Errorf("the peer hung up at once: does it have a key that this node lacks? (%s)", text)
	}
	return fmt.Errorf("the peer hung up at once: %s", text)
}

// unanswered explains a stream that ended before the peer said its Hello.
func (l *link) unanswered(err error) error {
	return fmt.Errorf("no Hello from the peer: %s", status.Convert(err).Message())
}

// dial opens a connection and, with secrets, secures it.
func (t *Transport) dial(ctx context.Context, addr, speaks string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tune(conn)
	if tcp, ok := conn.(*net.TCPConn); ok {
		conn = newDirect(tcp)
	}
	if t.creds == nil {
		return conn, nil
	}
	s, err := t.creds.client(ctx, conn, speaks)
	if err != nil {
		return nil, err
	}
	if !t.keep(s) {
		return nil, errors.New("the key has just been changed")
	}
	return s, nil
}

// clientConn speaks gRPC over a connection that stands, and over no other.
func clientConn(conn net.Conn) (*grpc.ClientConn, error) {
	once := make(chan net.Conn, 1)
	once <- conn
	return grpc.NewClient("passthrough:///peer",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the connection is secured already
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case conn := <-once:
				return conn, nil
			default:
				return nil, errors.New("the connection is lost")
			}
		}),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithReadBufferSize(socketBytes),
		grpc.WithWriteBufferSize(socketBytes),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxFrameBytes),
			grpc.ForceCodecV2(codec{}),
			grpc.MaxCallSendMsgSize(maxFrameBytes),
		),
	)
}
