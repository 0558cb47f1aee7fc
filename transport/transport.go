package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
	"github.com/huddle-cache/huddle/transport/peerpb"
)

// Transport is one end of all sessions of a node. Its methods may be called from any goroutine and, but for Close, from
// within the Handler and under a lock that the Handler takes.
type Transport struct {
	cfg      Config
	log      *slog.Logger
	creds    *credentials // nil: no secrets
	secured  securedSet
	ln       *net.TCPListener
	server   *grpc.Server
	rpc      *handedListener // connections for the server
	gossip   *gossipTransport
	waiting  *pending
	refusals *seldom.Reports // of strangers that were refused

	ctx    context.Context // ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of ours; grows under mu, while not closed

	messages, bytes atomic.Uint64
	touched         atomic.Pointer[session] // the first of those with messages that wait for Flush
	accepted        atomic.Int64            // connections that stand and have said what they are for

	mu       sync.RWMutex
	started  bool
	closed   bool
	self     *peerpb.Member // replaced, never changed
	sessions map[uint64]*session
	links    map[uint64]*link
	last     uint64 // number of the newest session
}

// Listen binds the address, for TCP, and for UDP if there are no secrets. Nothing is accepted or dialled before Start. The error says what to do.
// ctx bounds the looking up of names, also of that to advertise.
func Listen(ctx context.Context, cfg Config) (*Transport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Transport{
		cfg:      cfg,
		log:      cfg.Logger,
		self:     cfg.Self,
		sessions: make(map[uint64]*session),
		links:    make(map[uint64]*link),
		waiting:  newPending(maxPending),
		refusals: seldom.New(refusedInterval),
		secured:  securedSet{conns: make(map[*secured]struct{})},
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	if cfg.Secured() {
		if t.creds, err = newCredentials(cfg.Secrets, cfg.Cluster); err != nil {
			return nil, err
		}
	}
	t.cfg.Secrets = Secrets{} // the credentials have what is needed
	ln, udp, err := bind(ctx, cfg.Listen, t.creds == nil)
	if err != nil {
		return nil, err
	}
	host, port, err := advertised(ln.Addr().(*net.TCPAddr), cfg.Advertise)
	var ip net.IP
	if err == nil {
		ip, err = lookUp(ctx, host)
	}
	if err != nil {
		_ = ln.Close()
		if udp != nil {
			_ = udp.Close()
		}
		return nil, err
	}
	if t.self.GetAddr() == "" {
		t.self.Addr = joinHostPort(host, port)
	}
	t.ln = ln
	t.rpc = newHandedListener(ln.Addr())
	t.gossip = newGossipTransport(t, udp, ip, port)
	t.server = t.newServer()
	return t, nil
}

// Start begins to accept and to dial. A second call, or one after Close, does nothing.
func (t *Transport) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.started || t.closed {
		return
	}
	t.started = true
	t.wg.Go(t.accept)
	t.wg.Go(func() { _ = t.server.Serve(t.rpc) }) // ends with an error because Close ends it
	t.gossip.start()
	for _, l := range t.links {
		t.wg.Go(l.run)
	}
}

// Addr returns the address bound, with its port.
func (t *Transport) Addr() string { return t.ln.Addr().String() }

// Self returns what this node introduces itself as. It must not be changed.
func (t *Transport) Self() *peerpb.Member {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.self
}

// SetSelf makes this process a new member: every session ends, and later Hellos carry m. An empty Addr stays what it was.
// The ends are reported by Down, after SetSelf has returned. An m that is no valid member, or is the present one, is ignored.
func (t *Transport) SetSelf(m *peerpb.Member) {
	if reason := checkMember(m); reason != "" {
		t.log.Error("a new self is not valid", "reason", reason)
		return
	}
	m = proto.CloneOf(m)
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.GetAddr() == "" {
		m.Addr = t.self.GetAddr()
	}
	if proto.Equal(m, t.self) {
		return
	}
	t.self = m
	for _, s := range t.sessions {
		s.fail(ErrNewSelf)
	}
}

// Connect keeps a session with a member until Disconnect: the side with the smaller id dials, and dials again. Calling it
// again changes at most the address dialled. A member without an id, and this node itself, are ignored.
func (t *Transport) Connect(m *peerpb.Member) {
	if m.GetId() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || m.GetId() == t.self.GetId() {
		return
	}
	if l := t.links[m.GetId()]; l != nil {
		l.addr = m.GetAddr()
		return
	}
	l := newLink(t, m)
	t.links[m.GetId()] = l
	if t.started {
		t.wg.Go(l.run)
	}
}

// Disconnect ends the session with a member, if there is one, and dials it no more.
func (t *Transport) Disconnect(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sessions[id]; s != nil {
		s.fail(ErrDisconnected) // first: that its link is given up is no reason
	}
	if l := t.links[id]; l != nil {
		delete(t.links, id)
		l.cancel()
	}
}

// Send queues a message on exactly that session. It never blocks and never calls the Handler. It is false if the session has
// ended, or is broken off because the message does not fit: over Config.QueueBytes wait already, or the message is larger
// than MaxMessageBytes. True promises no arrival. The message must not be changed from then on; it may be sent to others.
func (t *Transport) Send(peer, number uint64, m *peerpb.Message) bool {
	queued := t.Queue(peer, number, m)
	t.Flush()
	return queued
}

// Queue is Send, but the message may wait for the next Flush: who has several to send has them sent together.
func (t *Transport) Queue(peer, number uint64, m *peerpb.Message) bool {
	t.mu.RLock()
	s := t.sessions[peer]
	t.mu.RUnlock()
	return s != nil && s.number == number && s.send(m)
}

// Queued is how many bytes wait on exactly that session; 0 if it has ended.
func (t *Transport) Queued(peer, number uint64) int {
	t.mu.RLock()
	s := t.sessions[peer]
	t.mu.RUnlock()
	if s == nil || s.number != number {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Flush has everything sent that was queued before. It does not block.
func (t *Transport) Flush() {
	if t.touched.Load() == nil {
		return
	}
	for s := t.touched.Swap(nil); s != nil; {
		next := s.next
		s.next = nil
		s.touched.Store(false) // first: who finds it touched has queued before this, and the poke comes after
		s.poke()
		s = next
	}
}

// touch puts a session on the list of those that Flush pokes.
func (t *Transport) touch(s *session) {
	if !s.touched.CompareAndSwap(false, true) {
		return // who flushes pokes it after this
	}
	for {
		first := t.touched.Load()
		s.next = first
		if t.touched.CompareAndSwap(first, s) {
			return
		}
	}
}

// Gossip is the transport for memberlist on the same address. There is one; its Shutdown ends gossip only.
func (t *Transport) Gossip() memberlist.NodeAwareTransport { return t.gossip }

// Counters returns how many messages, and bytes of them, have been sent.
func (t *Transport) Counters() (messages, bytes uint64) { return t.messages.Load(), t.bytes.Load() }

// Close ends all sessions and joins every goroutine. When it returns, every session has been reported Down, and the Handler
// is not called again. It must not be called from within the Handler nor under a lock that the Handler takes.
func (t *Transport) Close() error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	for _, s := range t.sessions {
		s.fail(ErrClosed)
	}
	t.cancel()
	t.mu.Unlock()
	var err error
	if first {
		err = t.ln.Close()
		t.waiting.close()
	}
	_ = t.gossip.Shutdown() // never fails
	t.server.Stop()         // waits for the handlers of streams
	t.wg.Wait()
	return err
}

// spawn runs f in a goroutine that Close joins, and is false if the transport is closed.
func (t *Transport) spawn(f func()) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return false
	}
	t.wg.Go(f)
	return true
}
