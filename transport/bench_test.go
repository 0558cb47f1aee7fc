package transport

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

const echoBytes = 512

// echo is a Handler that sends back, or wakes who waits for the answer.
type echo struct {
	mute
	tr      *Transport
	up      chan uint64
	waiting []chan struct{} // by the message's id; nil: send back
}

// mute does nothing.
type mute struct{}

func (mute) Up(*peerpb.Member, uint64)                 {}
func (mute) Receive(uint64, uint64, []*peerpb.Message) {}
func (mute) Down(uint64, uint64, error)                {}
func (mute) Unreachable(uint64, error)                 {}
func (mute) Refused(uint64, string, string)            {}

func (e *echo) Up(_ *peerpb.Member, session uint64) { e.up <- session }

func (e *echo) Receive(peer, session uint64, ms []*peerpb.Message) {
	for _, m := range ms {
		if e.waiting == nil {
			e.tr.Queue(peer, session, m)
		} else {
			e.waiting[m.GetId()] <- struct{}{}
		}
	}
	e.tr.Flush()
}

// benchCallers runs call from so many callers at once.
func benchCallers(b *testing.B, callers int, call func(caller int)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				call(i)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func forCallers(b *testing.B, f func(b *testing.B, callers int)) {
	b.Helper()
	b.Run("callers=1", func(b *testing.B) { f(b, 1) })
	b.Run("callers=64", func(b *testing.B) { f(b, 64) })
}

// BenchmarkSession is a round trip of 512 B over one session.
func BenchmarkSession(b *testing.B) {
	for name, key := range map[string][]byte{"plain": nil, "tls": testKey(1)} {
		b.Run(name, func(b *testing.B) { forCallers(b, func(b *testing.B, callers int) { benchSession(b, callers, key) }) })
	}
}

func benchSession(b *testing.B, callers int, key []byte) {
	b.Helper()
	client := &echo{up: make(chan uint64, 1)}
	server := &echo{up: make(chan uint64, 1)}
	for range callers {
		client.waiting = append(client.waiting, make(chan struct{}, 1))
	}
	for i, e := range []*echo{client, server} {
		cfg := testConfig(uint64(i)+1, e)
		cfg.Key = key
		tr, err := Listen(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer tr.Close()
		e.tr = tr
		tr.Start()
	}
	client.tr.Connect(server.tr.Self())
	session := <-client.up
	value := make([]byte, echoBytes)
	benchCallers(b, callers, func(caller int) {
		client.tr.Send(2, session, &peerpb.Message{
			Chain: 1, View: 1, Id: uint64(caller), Body: &peerpb.Message_Copy{Copy: &peerpb.Copy{Entry: &peerpb.Entry{Key: "k", Value: value}}},
		})
		<-client.waiting[caller]
	})
}

// BenchmarkUnary is the same round trip as a gRPC call of its own, to compare.
func BenchmarkUnary(b *testing.B) { forCallers(b, benchUnary) }

func benchUnary(b *testing.B, callers int) {
	b.Helper()
	desc := &grpc.ServiceDesc{
		ServiceName: "test.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Echo",
			Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				m := new(peerpb.Message)
				return m, dec(m)
			},
		}},
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.InitialWindowSize(windowBytes), grpc.InitialConnWindowSize(windowBytes))
	server.RegisterService(desc, nil)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(ln) }()
	defer func() { server.Stop(); <-served }()
	cc, err := grpc.NewClient("passthrough:///"+ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(windowBytes))
	if err != nil {
		b.Fatal(err)
	}
	defer cc.Close()
	value := make([]byte, echoBytes)
	benchCallers(b, callers, func(caller int) {
		m := &peerpb.Message{
			Chain: 1, View: 1, Id: uint64(caller), Body: &peerpb.Message_Copy{Copy: &peerpb.Copy{Entry: &peerpb.Entry{Key: "k", Value: value}}},
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		if err := cc.Invoke(ctx, "/test.Echo/Echo", m, new(peerpb.Message)); err != nil {
			b.Error(err)
		}
	})
}
