package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// dialer keeps a session to one member, as long as it is wanted.
type dialer struct {
	member *pb.Member
	cancel context.CancelFunc
}

func (d *dialer) stop() { d.cancel() }

// Connect keeps a session with a member until Disconnect. Of two members the one with the smaller id dials; the other
// waits to be dialed. The member's address is dialed again and again, with a pause of 20 ms that grows to one second.
func (t *Transport) Connect(m *pb.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.wanted[m.Id] != nil {
		return
	}
	ctx, cancel := context.WithCancel(t.ctx)
	d := &dialer{member: m, cancel: cancel}
	t.wanted[m.Id] = d
	t.wg.Go(func() { t.keep(ctx, d) })
}

// Disconnect gives up the session with a member.
func (t *Transport) Disconnect(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.wanted[id]; d != nil {
		d.stop()
		delete(t.wanted, id)
	}
	if s := t.byPeer[id]; s != nil {
		s.end(errors.New("no longer wanted"))
	}
}

func (t *Transport) keep(ctx context.Context, d *dialer) {
	pause := 20 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		t.mu.Lock()
		up := t.byPeer[d.member.Id]
		smaller := t.self.Id < d.member.Id
		t.mu.Unlock()
		switch {
		case up != nil:
			select {
			case <-up.done:
			case <-ctx.Done():
			}
			pause = 20 * time.Millisecond
			continue
		case smaller:
			err := t.dial(ctx, d.member)
			if ctx.Err() == nil && err != nil {
				t.cfg.Handler.Unreachable(d.member.Id, errors.Is(err, syscall.ECONNREFUSED), err)
			}
		default:
			// The other side dials. Whether its port still listens we find out ourselves, to notice its end soon.
			if err := t.probe(ctx, d.member.Addr); err != nil && ctx.Err() == nil {
				t.cfg.Handler.Unreachable(d.member.Id, errors.Is(err, syscall.ECONNREFUSED), err)
			}
		}
		if time.Since(began) > 2*time.Second {
			pause = 20 * time.Millisecond
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(pause*2, 500*time.Millisecond)
	}
}

// probe opens and closes a connection.
func (t *Transport) probe(ctx context.Context, addr string) error {
	conn, err := t.dialTCP(ctx, addr)
	if err == nil {
		conn.Close()
	}
	return err
}

func (t *Transport) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	nd := net.Dialer{Timeout: t.cfg.DialTimeout, Control: controlSocket}
	return nd.DialContext(ctx, "tcp", addr)
}

// dial makes one session and carries it until it ends. The error says why there was none; nil if there was one.
func (t *Transport) dial(ctx context.Context, m *pb.Member) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := t.dialTCP(ctx, m.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	creds := insecure.NewCredentials()
	if t.tls != nil {
		creds = credentials.NewTLS(t.tls)
	}
	var once sync.Once
	cc, err := grpc.NewClient("passthrough:///huddle",
		grpc.WithTransportCredentials(creds),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxFrame), grpc.MaxCallSendMsgSize(maxFrame)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			err := net.ErrClosed
			once.Do(func() { err = nil })
			return conn, err
		}))
	if err != nil {
		return err
	}
	defer cc.Close()
	st, err := pb.NewPeerClient(cc).Link(ctx)
	if err != nil {
		return err
	}
	ours := t.hello(m.Id)
	if err := st.Send(&pb.Frame{Hello: ours}); err != nil {
		return err
	}
	frame, err := recvIn(ctx, st, t.cfg.DialTimeout*2)
	if err != nil {
		return err
	}
	theirs := frame.GetHello()
	reason := theirs.GetRefused()
	if reason == "" {
		reason = checkHello(ours, theirs)
	}
	if reason == "" && theirs.From.Id != m.Id {
		reason = "another incarnation answers"
	}
	if reason != "" {
		t.logRefused(m.Addr, reason)
		return errors.New(reason)
	}
	_ = t.run(ctx, cancel, ours.From.Id, theirs.From, st)
	return nil
}

// recvIn is Recv with a bound on the time.
func recvIn(ctx context.Context, st stream, d time.Duration) (*pb.Frame, error) {
	type result struct {
		f   *pb.Frame
		err error
	}
	out := make(chan result, 1)
	go func() { // ends with the stream
		f, err := st.Recv()
		out <- result{f, err}
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case r := <-out:
		return r.f, r.err
	case <-timer.C:
		return nil, errors.New("no introduction in time")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
