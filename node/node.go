// Package node is the embedded cache node: one per replica of a service. Nodes find each other by gossip, agree on their
// membership, split the keys among themselves, keep copies of each other's entries and answer reads from memory.
//
// # Use
//
// [Start] returns a node once it listens. [Node.Ready] is closed when it is in sync with its cluster. As long as it is in none,
// operations wait for that; at their deadline reads are unsure and writes refused. [Node.Leave] hands over what the node holds and closes
// it; [Node.Close] ends it at once, as a crash would. Any goroutine may call any method at any time.
//
// A read has three outcomes. The value is there: (value, true, nil). It is certainly absent: (nil, false, nil). Or it is not known
// just now, after a crash or while the node is cut off: [ErrUnsure]. A cache before a database takes unsure as a miss; a store of record must
// not, but asks again or fails. A write that returns nil is on all copies, and no node serves an older value any more. ErrUnavailable says
// that nothing was written, ErrUnconfirmed that the write may still take effect; a deletion goes on by itself.
//
// Tags join entries that end together: Set with [WithTags], then [Node.InvalidateTags] ends every entry that has one of them, on all nodes.
// [Revoke] deletes a key for good, so that a late Set does not bring it back. [IfAbsent], [IfPresent] and [IfVersion] make a Set depend on
// what is there; the version of an entry, in [Entry], grows with each write of its key, and means nothing beyond its key.
//
// To fill from a database what is absent: [Node.LookupOrTicket] hands out a ticket with the miss; read the database, then Set with
// [WithTicket]. That Set is called a fill. It fails with [ErrStaleFill] if the key was written or deleted, or its tags or everything were
// invalidated, after the miss: what was read is then out of date, and must be read again. Package strategy does all of this for sessions.
//
// A view is the list of the members that a majority has agreed on; each change of the members makes the next one, and they are numbered.
// [Node.Members], [Node.Stats] and the events of [Node.Subscribe] tell about it.
//
// # Inside
//
// The protocol lives in node/protocol, a state machine without goroutines; this package drives it: one lock around the
// machine, sessions from package transport, a ticker, and callers who wait for what the machine answers. The lock is never
// held across anything that blocks. A read that hits takes no lock of the node at all.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/node/internal/clock"
	"github.com/huddle-cache/huddle/node/internal/wire"
	"github.com/huddle-cache/huddle/node/protocol"
	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/gossip"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

const (
	tickEvery   = 20 * time.Millisecond
	quietTicks  = 50 // after so many in which nothing was under way they come as seldom as a node at rest needs them
	slowestTick = 500 * time.Millisecond
	sweepBudget = 4000 // entries looked at per tick
	maxKeyBytes = 1 << 10
	maxTags     = 64
	maxTTL      = 100 * 365 * 24 * time.Hour
	maxTagBytes = 1 << 10
	goOnAtLeast = time.Minute // see Node.goOn
)

// Node is one member of a cluster. Its methods are safe for concurrent use.
type Node struct {
	cfg       Config
	log       *slog.Logger
	logs      *logs // what log writes to
	clock     *clock.Clock
	store     *store.Store
	tokens    *tokens // nil: keys are not hashed
	transport *transport.Transport
	wire      *wire.Wire // nil but in tests
	gossip    atomic.Pointer[gossip.Gossip]

	mu      sync.Mutex // around m; see lock
	m       *protocol.Machine
	resting bool          // the ticks come seldom; under mu
	stirred chan struct{} // they are to come often again
	slow    time.Duration // between ticks at rest; under mu

	waiters sync.Pool // of *waiter
	rooms   *rooms

	ready  chan struct{}
	isUp   bool
	closed chan struct{}
	once   sync.Once
	left   atomic.Bool // the cluster, and not just closed
	wg     sync.WaitGroup
	view   atomic.Uint64

	builds chan []string // member sets whose rings are to be made

	subsMu     sync.Mutex
	subs       map[chan Event]bool
	subsClosed bool
	refusal    atomic.Pointer[refusal] // the last of those that tell most
	outMu      sync.Mutex
	meta       gossip.Peer
}

// Start starts a node. It returns once the node listens; Ready tells when it is in sync. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	logs := newLogs(cfg.Logger)
	cfg.Logger = logs.logger()
	n, err := launch(ctx, cfg, logs)
	if err != nil {
		logs.close()
	}
	return n, err
}

// launch starts a node with a Config that is whole.
func launch(ctx context.Context, cfg Config, logs *logs) (*Node, error) {
	n := &Node{
		cfg: cfg, log: cfg.Logger, logs: logs, clock: clock.New(), ready: make(chan struct{}), closed: make(chan struct{}), stirred: make(chan struct{}, 1), slow: slowTick(cfg.Lease), builds: make(chan []string, 256), subs: map[chan Event]bool{},
		wire: wire.From(ctx), rooms: newRooms(),
	}
	params := ring.Params{Partitions: cfg.Partitions, VirtualNodes: cfg.VirtualNodes, Load: cfg.Load}
	var err error
	if n.tokens, err = newTokens(cfg); err != nil {
		return nil, err
	}
	n.store = store.New(store.Config{Partitions: cfg.Partitions, MaxBytes: cfg.MaxBytes, Now: n.clock.Now})
	id := protocol.NewID(rand.Uint64())
	name := cfg.Name
	if name == "" {
		name = "starting"
	}
	n.transport, err = transport.Listen(ctx, transport.Config{
		Listen: cfg.Listen, Advertise: cfg.Advertise, Self: &pb.Member{Name: name, Id: id}, Cluster: cfg.Cluster,
		Ring: params.String() + n.tokens.String() + ", lease " + cfg.Lease.String(), Replicas: cfg.Replicas, Secrets: cfg.secrets(), Handler: (*handler)(n), Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("huddle: %w", err)
	}
	if cfg.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "node"
		}
		_, port, _ := net.SplitHostPort(n.transport.Addr())
		n.cfg.Name = host + "-" + port
		n.transport.SetSelf(&pb.Member{Name: n.cfg.Name, Id: id, Addr: n.transport.Self().Addr})
	}
	n.log = cfg.Logger.With("node", n.cfg.Name)
	self := n.transport.Self()
	n.m = protocol.New(protocol.Config{
		Self: self, Solo: len(cfg.Join) == 0, Expect: cfg.Expect, Replicas: cfg.Replicas, Ring: params,
		Lease: int64(cfg.Lease), ExpelAfter: int64(cfg.ExpelAfter), ForgetAfter: int64(max(cfg.ForgetAfter, 0)), Settle: int64(cfg.Settle),
		Retention: int64(cfg.Retention), Tombstone: int64(min(time.Minute, cfg.Retention)), RepairRate: cfg.RepairRate, MaxHolders: int(max(cfg.MaxBytes/1024, 1024)), MaxPending: 1 << 16, MaxUnacked: int(max(cfg.MaxBytes/4, 2*int64(cfg.MaxValueBytes))), HighWater: highWater, Log: n.log,
	}, (*env)(n), n.store)
	n.meta = gossip.Peer{Member: self}
	g, err := gossip.Start(gossip.Config{
		Transport: n.wire.Wrap(n.transport.Gossip()), Self: n.meta, Cluster: cfg.Cluster, Join: cfg.Join, Profile: cfg.Profile,
		Found: n.found, Gone: n.gone, Logger: n.log,
	})
	if err != nil {
		n.transport.Close()
		return nil, fmt.Errorf("huddle: %w", err)
	}
	n.gossip.Store(g)
	n.outMu.Lock()
	g.Announce(n.meta)
	n.outMu.Unlock()
	n.transport.Start()
	n.wg.Go(n.run)
	n.wg.Go(n.builder)
	return n, nil
}

// Ready is closed once the node is in sync with its cluster for the first time. A node that is closed before never is: see WaitReady.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// WaitReady waits for Ready. The error is ErrClosed, or that of ctx with what the node waits for, as far as it knows: where nobody is reached at the
// addresses to join, or the others refuse this node, it goes on trying without an end.
func (n *Node) WaitReady(ctx context.Context) error {
	select {
	case <-n.ready:
	case <-n.closed:
	case <-ctx.Done():
	}
	if n.isClosed() { // of several that are so select takes any
		return fmt.Errorf("not in sync: %w", ErrClosed)
	}
	select {
	case <-n.ready:
		return nil
	default:
	}
	if n.InSync() { // which the next tick tells by Ready
		return nil
	}
	why := n.Stats().Waiting
	if why == "" {
		why = "entries are still to come from the others"
	}
	return fmt.Errorf("%s is not in sync: %w (%s)", n.cfg.Name, ctx.Err(), why)
}

// InSync tells whether the node is a member of a view with a majority, holds all it should hold, and does not leave.
func (n *Node) InSync() bool {
	n.lock()
	defer n.unlock()
	return n.m.InSync()
}

// Addr is the address the node listens on.
func (n *Node) Addr() string { return n.transport.Addr() }

// Name is the node's name.
func (n *Node) Name() string { return n.cfg.Name }

// Forget takes the named lost member out of the count of the majority: if what remains within reach is a majority
// without it, these nodes start over as a new, empty cluster. A name that no member of the present view has, or one that is
// alive, is refused with ErrInvalid, and the text says what the names are.
func (n *Node) Forget(ctx context.Context, name string) error {
	if name == "" {
		return fmt.Errorf("%w: no name", ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	n.lock()
	defer n.unlock()
	if n.isClosed() {
		return ErrClosed
	}
	if err := n.m.Forget(name); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Close stops the node at once, without hand-over. Its goroutines have ended when it returns. Operations under way end with ErrClosed, and with
// ErrUnconfirmed too if they are changes that may take effect.
func (n *Node) Close() error {
	n.once.Do(func() {
		close(n.closed)
		n.lock()
		n.m.Abandon() // callers wait for this
		n.unlock()
		n.wg.Wait()
		if g := n.gossip.Load(); g != nil {
			g.Close()
		}
		n.transport.Close()
		n.endSubscriptions()
		n.logs.close()
	})
	return nil
}
