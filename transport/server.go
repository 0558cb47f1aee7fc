package transport

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// newServer makes the gRPC server; its connections are accepted, and secured, by accept.
func (t *Transport) newServer() *grpc.Server {
	s := grpc.NewServer(
		grpc.ConnectionTimeout(sniffTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: time.Hour}),
		grpc.MaxConcurrentStreams(4),
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(maxFrameBytes),
		grpc.MaxSendMsgSize(maxFrameBytes),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(windowBytes),
		grpc.ReadBufferSize(socketBytes),
		grpc.WriteBufferSize(socketBytes),
		grpc.WaitForHandlers(true),
	)
	peerpb.RegisterPeerServer(s, linkServer{t: t})
	return s
}

// hello is what this node says as self.
func (t *Transport) hello(self *peerpb.Member, to uint64) *peerpb.Hello {
	return &peerpb.Hello{
		Protocol: ProtocolVersion,
		Ring:     t.cfg.Ring,
		Cluster:  t.cfg.Cluster,
		Replicas: uint32(t.cfg.Replicas), //nolint:gosec // checked by withDefaults
		From:     self,
		To:       to,
	}
}

// linkServer accepts streams.
type linkServer struct {
	peerpb.UnimplementedPeerServer
	t *Transport
}

// Link serves a stream. When it returns, gRPC ends the stream, and with it the session's goroutines.
func (l linkServer) Link(stream grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]) error {
	s, err := l.t.welcome(stream)
	if err != nil || s == nil {
		return err
	}
	s.serve()
	<-s.broken
	return status.Error(codes.Aborted, s.reason().Error())
}

// welcome exchanges the Hellos and registers the session. Without a session and error the Hello was refused.
func (t *Transport) welcome(stream grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]) (*session, error) {
	frame, err := t.firstFrame(stream)
	if err != nil {
		return nil, err
	}
	self := t.Self()
	ours := t.hello(self, 0)
	reason := checkHello(ours, frame.GetHello(), false)
	if reason == "" && len(frame.GetMessages()) > 0 {
		reason = "messages beside the Hello"
	}
	if reason != "" {
		remote := "unknown"
		if p, ok := peer.FromContext(stream.Context()); ok {
			remote = p.Addr.String()
		}
		t.refusePeer(t.askedFor(frame.GetHello().GetFrom().GetId()), remote, reason, nil)
		ours.From = nil
		ours.Refused = reason
		return nil, stream.Send(&peerpb.Frame{Hello: ours})
	}
	s, err := t.register(self, frame.GetHello().GetFrom(), stream, nil)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	if err := stream.Send(&peerpb.Frame{Hello: ours}); err != nil {
		s.fail(fmt.Errorf("cannot answer the Hello: %w", err))
	}
	return s, nil
}

// askedFor returns the id if Connect was called for it, else 0.
func (t *Transport) askedFor(id uint64) uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.links[id] == nil {
		return 0
	}
	return id
}

// firstFrame reads the first frame, but does not wait for it for ever.
func (t *Transport) firstFrame(stream framer) (*peerpb.Frame, error) {
	type result struct {
		frame *peerpb.Frame
		err   error
	}
	arrived := make(chan result, 1)
	if !t.spawn(func() { // ends when the stream does, at the latest
		frame, err := stream.Recv()
		arrived <- result{frame, err}
	}) {
		return nil, ErrClosed
	}
	timer := time.NewTimer(t.cfg.HelloTimeout)
	defer timer.Stop()
	select {
	case r := <-arrived:
		return r.frame, r.err
	case <-t.ctx.Done():
		return nil, ErrClosed
	case <-timer.C:
		return nil, status.Error(codes.DeadlineExceeded, "no Hello in time")
	}
}
