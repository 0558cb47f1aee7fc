package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

// The echo service: Unary answers each request with a value; Link does so for many at a time, over one stream in both
// directions, with as many in a message as are there.
const (
	unaryMethod = "/bench.Echo/Unary"
	linkMethod  = "/bench.Echo/Link"
)

type echo struct{ value []byte }

var echoService = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := &wrapperspb.BytesValue{}
		if err := dec(in); err != nil {
			return nil, err
		}
		return &wrapperspb.BytesValue{Value: srv.(*echo).value}, nil
	}}},
	Streams: []grpc.StreamDesc{linkDesc},
}

var linkDesc = grpc.StreamDesc{StreamName: "Link", ServerStreams: true, ClientStreams: true, Handler: func(srv any, st grpc.ServerStream) error {
	value := srv.(*echo).value
	for {
		in := &wrapperspb.BytesValue{}
		if err := st.RecvMsg(in); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var answers []byte
		for rest := in.Value; len(rest) > 0; {
			id, _, after, err := cutItem(rest)
			if err != nil {
				return err
			}
			answers, rest = appendItem(answers, id, value), after
		}
		if err := st.SendMsg(&wrapperspb.BytesValue{Value: answers}); err != nil {
			return err
		}
	}
}}

// A message of Link is a sequence of items: number, length, bytes.
func appendItem(to []byte, id uint64, item []byte) []byte {
	to = binary.LittleEndian.AppendUint64(to, id)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(item)))
	return append(to, item...)
}

var errItem = errors.New("an item is cut off")

func cutItem(b []byte) (id uint64, item, rest []byte, err error) {
	if len(b) < 12 {
		return 0, nil, nil, errItem
	}
	n := int(binary.LittleEndian.Uint32(b[8:]))
	if len(b) < 12+n {
		return 0, nil, nil, errItem
	}
	return binary.LittleEndian.Uint64(b), b[12 : 12+n], b[12+n:], nil
}

func serveGRPC([]string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := grpc.NewServer()
	s.RegisterService(&echoService, &echo{value: make([]byte, 512)})
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), nil
}

// dialGRPC starts the service in another process.
func dialGRPC() (*grpc.ClientConn, func(), error) {
	addr, stop, err := start("serve-grpc")
	if err != nil {
		return nil, nil, err
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		stop()
		return nil, nil, err
	}
	return conn, func() { _ = conn.Close(); stop() }, nil
}

// noWrites is of what is only read.
type noWrites struct{}

var errNoWrites = errors.New("only read")

func (noWrites) Set(context.Context, string, []byte) error { return errNoWrites }
func (noWrites) Delete(context.Context, string) error      { return errNoWrites }

type unary struct {
	noWrites
	conn *grpc.ClientConn
}

func openUnary(_ context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
	conn, end, err := dialGRPC()
	return unary{conn: conn}, s.keys, end, err
}

func (u unary) Get(ctx context.Context, key string) (bool, error) {
	out := &wrapperspb.BytesValue{}
	err := u.conn.Invoke(ctx, unaryMethod, &wrapperspb.BytesValue{Value: []byte(key)}, out)
	return len(out.Value) > 0, err
}

// link is a stream shared by all callers.
type link struct {
	noWrites
	st   grpc.ClientStream
	wake chan struct{}

	mu      sync.Mutex
	queue   []byte
	next    uint64
	waiting map[uint64]chan bool
	err     error
}

func openStream(ctx context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
	conn, end, err := dialGRPC()
	if err != nil {
		return nil, nil, nil, err
	}
	st, err := conn.NewStream(ctx, &linkDesc, linkMethod)
	if err != nil {
		return nil, nil, end, err
	}
	l := &link{st: st, wake: make(chan struct{}, 1), waiting: map[uint64]chan bool{}}
	go l.send()
	go l.receive()
	return l, s.keys, func() { l.end(errors.New("closed")); end() }, nil
}

// send sends what is queued, and lets those who are about to queue something do so first.
func (l *link) send() {
	for range l.wake {
		runtime.Gosched()
		l.mu.Lock()
		batch, err := l.queue, l.err
		l.queue = nil
		l.mu.Unlock()
		if err != nil {
			return
		}
		if len(batch) == 0 {
			continue
		}
		if err := l.st.SendMsg(&wrapperspb.BytesValue{Value: batch}); err != nil {
			l.end(err)
			return
		}
	}
}

func (l *link) receive() {
	for {
		in := &wrapperspb.BytesValue{}
		if err := l.st.RecvMsg(in); err != nil {
			l.end(err)
			return
		}
		l.mu.Lock()
		for rest := in.Value; len(rest) > 0; {
			id, item, after, err := cutItem(rest)
			if err != nil {
				break
			}
			if ch := l.waiting[id]; ch != nil {
				delete(l.waiting, id)
				ch <- len(item) > 0
			}
			rest = after
		}
		l.mu.Unlock()
	}
}

func (l *link) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		for id, ch := range l.waiting {
			delete(l.waiting, id)
			close(ch)
		}
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *link) Get(_ context.Context, key string) (bool, error) {
	answer := make(chan bool, 1)
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return false, l.err
	}
	l.next++
	l.waiting[l.next] = answer
	l.queue = appendItem(l.queue, l.next, []byte(key))
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	found, ok := <-answer
	if !ok {
		return false, errors.New("the stream has ended")
	}
	return found, nil
}
