// Package transport carries the messages of a cluster's nodes: one listener for gossip (UDP and TCP) and RPC, and one
// long-lived bidirectional gRPC stream per pair of nodes, multiplexed, batched and FIFO in each direction.
//
// A session is one such stream. What is sent on it arrives in order and without a gap, or the session ends: the protocol
// builds on that (an invalidation never overtakes a fill), so a queue that grows over its bound ends the session too.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// ProtocolVersion is refused when it differs between two nodes.
const ProtocolVersion = 1

// Handler is told of sessions and messages. The calls for one session come from one goroutine, in order: Up, Receive …,
// Down. No lock of the transport is held meanwhile.
type Handler interface {
	// Up: a session with the peer stands. An earlier session with the same peer has been reported Down before.
	Up(peer *pb.Member, session uint64)
	Receive(peer, session uint64, m *pb.Message)
	Down(peer, session uint64, err error)
	// Unreachable: a connection could not be made. refused: nobody listens on the port.
	Unreachable(peer uint64, refused bool, err error)
}

// Config describes a transport. Handler, Self, Ring and Cluster must be set.
type Config struct {
	Listen    string // host:port, TCP and UDP; port 0 picks one
	Advertise string // what peers dial; default: the address bound
	Self      *pb.Member
	Cluster   string // label; nodes with another one are refused
	Ring      string // ring parameters in words; likewise
	Replicas  int    // likewise
	Key       []byte // 32 bytes; empty: plain text
	Handler   Handler
	Logger    *slog.Logger

	DialTimeout time.Duration // default 1 s
	QueueBytes  int           // bound of what waits on one session; default 64 MiB
}

// Transport is one node's end of all its sessions. Its methods are safe for concurrent use.
type Transport struct {
	cfg    Config
	log    *slog.Logger
	tcp    net.Listener
	udp    *net.UDPConn
	rpc    *queueListener
	gossip *gossipTransport
	server *grpc.Server
	tls    *tls.Config

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	self     *pb.Member
	wanted   map[uint64]*dialer
	byPeer   map[uint64]*session
	sessions sync.Map // id -> *session
	refused  map[string]time.Time
	closed   bool

	ids             atomic.Uint64
	messages, bytes atomic.Uint64
}

// Listen binds the address. Nothing is accepted before Start.
func Listen(cfg Config) (*Transport, error) {
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = time.Second
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = 64 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Transport{
		cfg: cfg, log: cfg.Logger, wanted: map[uint64]*dialer{}, byPeer: map[uint64]*session{}, refused: map[string]time.Time{},
	}
	if len(cfg.Key) > 0 {
		conf, err := keyTLS(cfg.Key, cfg.Cluster)
		if err != nil {
			return nil, err
		}
		t.tls = conf
	}
	if err := t.bind(); err != nil {
		return nil, err
	}
	self := &pb.Member{Name: cfg.Self.Name, Id: cfg.Self.Id, Addr: cfg.Advertise}
	if self.Addr == "" {
		self.Addr = t.Addr()
	}
	t.self = self
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.rpc = newQueueListener(t.tcp.Addr())
	t.gossip = newGossipTransport(t)
	creds := insecure.NewCredentials()
	if t.tls != nil {
		creds = credentials.NewTLS(t.tls)
	}
	t.server = grpc.NewServer(
		grpc.Creds(creds), grpc.MaxRecvMsgSize(maxFrame), grpc.MaxSendMsgSize(maxFrame),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(window), grpc.ConnectionTimeout(5*time.Second),
		grpc.MaxConcurrentStreams(16),
	)
	pb.RegisterPeerServer(t.server, &peerServer{t: t})
	return t, nil
}

// bind takes one port for TCP and UDP.
func (t *Transport) bind() error {
	addr := t.cfg.Listen
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen %q: want host:port: %w", addr, err)
	}
	for try := 0; ; try++ {
		t.tcp, err = net.Listen("tcp", addr)
		if err != nil {
			return bindError(addr, err)
		}
		bound := t.tcp.Addr().(*net.TCPAddr)
		t.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: bound.IP, Port: bound.Port, Zone: bound.Zone})
		if err == nil {
			_ = t.udp.SetReadBuffer(2 << 20)
			return nil
		}
		t.tcp.Close()
		if port != "0" || try == 20 {
			return bindError(net.JoinHostPort(host, port), err)
		}
	}
}

func bindError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen %s: address already in use: another process has this port; choose another one: %w", addr, err)
	}
	return fmt.Errorf("listen %s: %w", addr, err)
}

// Start begins to accept and to dial.
func (t *Transport) Start() {
	t.wg.Go(t.accept)
	t.wg.Go(t.gossip.readPackets)
	t.wg.Go(func() { _ = t.server.Serve(t.rpc) })
}

// Addr is the address bound, host:port.
func (t *Transport) Addr() string { return t.tcp.Addr().String() }

// Self is this node as peers see it.
func (t *Transport) Self() *pb.Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.self
}

// SetSelf makes m the identity of this process: every session ends, and later ones use it.
func (t *Transport) SetSelf(m *pb.Member) {
	t.mu.Lock()
	t.self = m
	for _, s := range t.byPeer {
		s.end(errors.New("this node has started over"))
	}
	t.mu.Unlock()
}

// Counters are the messages and bytes sent so far.
func (t *Transport) Counters() (messages, bytes uint64) { return t.messages.Load(), t.bytes.Load() }

// Send puts m on a session. It never blocks and never calls the Handler. It returns false if the session has ended, or
// ends because too much waits on it.
func (t *Transport) Send(peer, id uint64, m *pb.Message) bool {
	v, ok := t.sessions.Load(id)
	if !ok {
		return false
	}
	s := v.(*session)
	return s.peer.Id == peer && s.push(m)
}

// Close ends everything. The Handler is not called after it returns.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	for _, d := range t.wanted {
		d.stop()
	}
	for _, s := range t.byPeer {
		s.end(net.ErrClosed)
	}
	t.mu.Unlock()
	t.cancel()
	t.tcp.Close()
	t.udp.Close()
	t.rpc.Close()
	t.server.Stop()
	t.gossip.close()
	t.wg.Wait()
	return nil
}

// logRefused says once a minute, per source and reason, that a stranger was turned away.
func (t *Transport) logRefused(remote, reason string) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	key := host + " " + reason
	t.mu.Lock()
	last, seen := t.refused[key]
	fresh := !seen || time.Since(last) > time.Minute
	if fresh {
		if len(t.refused) > 1024 {
			clear(t.refused)
		}
		t.refused[key] = time.Now()
	}
	t.mu.Unlock()
	if fresh {
		t.log.Warn("peer refused", "remote", host, "reason", reason)
	}
}
