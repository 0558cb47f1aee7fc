// Package protocol is the node's protocol as a deterministic state machine: who is a member, who serves what, who holds
// what, when a write is confirmed. It has no goroutine, no clock and no socket of its own: whoever drives it hands in
// what happened (a session stands, a message came, time went on) and carries out what it asks of its Env. The node
// package drives it under one lock with real sessions; the simulator drives whole clusters of it in virtual time.
//
// Only Read, ReadAt, Prefetch and Counters may be used beside the driver, from any goroutine: they are the path of a hit and take no lock of the machine.
//
// The rules, and why they suffice, stand in DESIGN.md; comments here name them by number. Where they are:
//
//	1, 2   members and views   chain, found, membership, paxos, suspicion, learn, clash, leave, carry
//	3      views of messages   receive (what comes), machine (what is sent), peers (from and to whom)
//	4      the ring            layout
//	5, 6   leases              lease; hit: what a reader does with them
//	7      writes              write, copies
//	8      take-over           adopt, fence, transfer, transfercuts, leave
//	9      versions, time      machine, step, entries
//	10     cuts                cut, save, transfercuts
//	11     tombstones          write, copies
//	12     near copies         read, holders, recall
//	13     fills               read (tickets), write (staleFill)
//
// What callers ask for comes by ops and scan; rest tells when there is nothing to do, status and counters what goes on.
package protocol

import (
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

const (
	ms  = int64(1e6)
	sec = int64(1e9)

	// driftShare is the share of a lease kept as a margin by each side: who holds one counts 1/64 less, who waits for its
	// end 1/64 more. It covers clocks whose rates differ by up to 3 %.
	driftShare = 64

	// viewShift places the view's number in the high part of a version (rule 9).
	viewShift = 40
	// viewVersions is how many versions a view has: four months of 100,000 writes a second.
	viewVersions = 1<<viewShift - 1

	batchDelay    = 200 * ms // membership changes gather for so long,
	gatherMore    = 800 * ms // and joins and departures for up to so much longer, while more come
	prospectSteps = 4        // ticks within which the members are told of a view to come
	refusedGrace  = 150 * ms // a member whose port refuses connections for so long is taken for dead
	reportEvery   = 200 * ms
	reportLife    = sec
	ballotLife    = 300 * ms
	joinEvery     = 200 * ms
	joinLife      = 1500 * ms
	stashLimit    = 1 << 14 // messages of one peer that wait for the view they were sent in,
	stashBytes    = 32 << 20
	holdLife      = sec
)

// LeasesRenewed is how often a lease is renewed in the time that one lasts.
const LeasesRenewed = 3

// Env is what the machine needs done. Its methods, but for Now and Yield, are called by the driver's goroutine, inside a step; they must not
// call back into the machine.
type Env interface {
	// Now is a clock in ns that also runs on while the machine sleeps. It may be called from any goroutine.
	Now() int64
	// Send puts m on the session. It never blocks.
	Send(peer, session uint64, m *pb.Message)
	// Queued is how many bytes wait on the session.
	Queued(peer, session uint64) int
	// Connect asks for a session with a member; Disconnect gives it up.
	Connect(m *pb.Member)
	Disconnect(id uint64)
	// Reincarnate makes self the process's identity: all sessions end.
	Reincarnate(self *pb.Member)
	// Announce spreads what cluster this node is in.
	Announce(chain, view uint64, size int)
	// Build makes the ring of these members beside the machine and brings it with Built.
	Build(names []string)
	// Random returns 64 random bits.
	Random() uint64
	// Yield lets others have the processor: leases are renewed late, perhaps because those who read leave none. It may be called from
	// any goroutine that reads.
	Yield()
	// Event tells what happened to the membership.
	Event(kind, member, text string)
}

// Config holds the machine's parameters; every field must be set.
type Config struct {
	Self        *pb.Member
	Solo        bool // no join addresses: found a cluster at once
	Expect      int
	Replicas    int
	Ring        ring.Params
	Lease       int64 // ns, as all times here
	ExpelAfter  int64
	ForgetAfter int64 // 0: never
	Settle      int64
	Retention   int64
	Tombstone   int64 // how long a plain tombstone is kept
	RepairRate  int64 // bytes a second that this node pulls from others in a hand-over; 0: no bound
	MaxHolders  int   // near copies elsewhere that this node keeps account of
	MaxPending  int   // writes under way on this node as an owner,
	MaxUnacked  int   // and bytes of their values, unless it is one alone
	HighWater   int   // bytes that wait on a session from which on values wait for their turn; leases travel on the same
	Log         *slog.Logger
	// Mutant switches one rule off, to show that the checker sees its absence. Empty in every build that serves.
	Mutant string
}

// Lease is a permission to serve until an instant of the node's clock.
type Lease struct{ until atomic.Int64 }

// extend lets it run until a time, unless it runs for longer already. It is called by the driver only.
func (l *Lease) extend(until int64) { l.until.Store(max(l.until.Load(), until)) }

// never is the lease of partitions that must not be served.
var never = &Lease{}

// route is all that a read needs, in one immutable snapshot.
type route struct {
	partitions int
	view       *Lease   // this node's own: nothing is served without it
	grants     []grant  // a few, so that they stay in the processor's cache: two for each member, and two more
	of         []uint32 // per partition, which of grants it is read under
}

// grant is what lets a node serve the entries of a partition. The zero grant, with the lease never, lets it serve none.
type grant struct {
	lease *Lease
	near  bool // near copies, and nothing else; otherwise anything but near copies
	owned bool // this node is the acting owner
}

// Machine is one node's state. See the package comment for how to drive it.
type Machine struct {
	cfg     Config
	env     Env
	log     *slog.Logger
	store   *store.Store
	self    *pb.Member
	clock   uint64 // Lamport clock (rule 9)
	past    [2]pastClock
	spared  spared
	cameAt  int64  // when this node came into the chain
	stirred bool   // since the last AtRest something has happened that ticks go on with: a session, a view, news of gossip, a suspicion, Leave
	at      int64  // when the present step began, of those that read the clock once; see now
	ids     uint64 // correlation ids
	peers   map[uint64]*peer
	order   []uint64            // ids of peers, sorted: the machine never ranges over a map where the order shows
	named   map[string][]uint64 // ids of the peers of a name, sorted: more than one after a restart, or if two processes share it

	route   atomic.Pointer[route]
	gaveWay atomic.Int64 // when readers did so last
	lay     *layout      // the present view; nil: none
	hist    []*layout    // the sets of its history
	lease   *Lease       // our view lease
	lays    layoutCache

	leasedFrom int64 // when those were asked whose confirmations make our view lease
	confirmed  int   // members that have confirmed the present view, and were asked after countFrom
	countFrom  int64
	retriedAt  int64 // when all that is parked was last tried again

	ahead    bool             // there are peers in a later view than we are
	pleaseAt int64            // when one of them was last asked for it
	pleased  uint64           // and which
	chosen   *pb.View         // the newest view that waits for its rings
	building map[string]int64 // rings asked for, and when

	vote       vote
	campaign   *campaign
	prospected *pb.View // what the members were last told is about to be proposed
	prospects  int      // how many have been told
	wantedAt   int64    // since when a change of the view has been wanted
	expelsAt   int64    // since when that would expel a member; 0: it would not
	gatheredAt int64    // when a process first asked to be let in, or to go
	rivalAt    int64    // when another member last tried to have one chosen
	joiners    map[uint64]*joiner
	leavers    map[uint64]int64

	parts      []part
	waiting    []int            // owned partitions whose take-over is not complete
	barrier    int64            // when every lease of earlier views has ended (rule 8)
	barrierOff bool             // every member of earlier views has adopted this one
	behind     map[uint64]bool  // members of earlier views not known to have adopted this one
	fences     map[uint64]fence // for members that a view left out: until when their view leases may run
	missing    int              // partitions held that are not complete
	pulls      map[uint64]*pull
	cutPulls   map[uint64]*cutPull // by source
	cutsFrom   uint64              // all cuts are here that may have ended a value of this age or a younger one
	cutsUnread bool                // nobody has told the others yet
	tellers    []uint64            // who can tell them
	pullNext   int                 // the partition looked at last for something to pull
	keyPulls   map[string]*keyPull

	held          []heldGet
	ops           map[uint64]*op // by the id of the present attempt
	orphans       map[uint64]*op // those whose callers have given up
	parked        []*op
	parkedOrphans []*op
	writes        map[uint64]*write
	unacked       int                          // bytes of their values
	byPeer        map[uint64]map[uint64]*write // peer -> writes that wait for it
	cuts          map[uint64]*cut
	cutBy         map[uint64]*cut // by the number of its round
	givenUp       int             // in this step, see tellGivenUp
	holders       int
	recalls       recalls
	carried       carried
	unparking     bool

	allowance   int64 // bytes that may be pulled now
	allowanceAt int64
	toPull      int // partitions that were to be pulled when the present round of hand-over began

	mySuspects  []uint64
	suspectedAt int64 // when a member last told whom it does not hear
	askedAt     int64
	reportedAt  int64
	joinedAt    int64
	sweptHold   int
	lostAt      int64 // since when the majority has been out of touch; 0: in touch
	lost        bool  // and that was announced
	betterAt    int64 // since when another cluster has been in sight that ours gives way to because of that; 0: none is
	shown       shown
	foundAfter  int64 // no founding before
	metAt       int64 // when the last new peer was met
	found       founding
	expelledAt  int64 // when others last expelled this node,
	pause       int64 // and how long it then stays outside, see mayComeBack
	exiled      bool  // outside, because another cluster stands, see inExile;
	knewAt      int64 // and when one was last known of
	reached     bool
	leaving     bool // Leave has been called,
	parting     bool // and Part
	left        bool
	lostHere    int // entries that were held here only, when this node was expelled, or gave up its cluster, as it was leaving
	forgotten   map[string]bool
	clash       clash

	Counters Counters
}

// New makes a machine. The driver calls Tick about every 10 to 20 ms from then on, or, while AtRest and until Busy, as seldom as leases are
// renewed.
func New(cfg Config, env Env, st *store.Store) *Machine {
	m := &Machine{
		cfg: cfg, env: env, log: cfg.Log, store: st, self: cfg.Self,
		peers: map[uint64]*peer{}, named: map[string][]uint64{}, lease: &Lease{}, joiners: map[uint64]*joiner{}, leavers: map[uint64]int64{},
		parts: make([]part, cfg.Ring.Partitions), pulls: map[uint64]*pull{}, cutPulls: map[uint64]*cutPull{}, keyPulls: map[string]*keyPull{},
		ops: map[uint64]*op{}, orphans: map[uint64]*op{}, writes: map[uint64]*write{}, byPeer: map[uint64]map[uint64]*write{}, cuts: map[uint64]*cut{}, cutBy: map[uint64]*cut{},
		fences: map[uint64]fence{}, forgotten: map[string]bool{}, building: map[string]int64{}, metAt: env.Now(),
	}
	m.lays.replicas, m.lays.params = cfg.Replicas, cfg.Ring
	return m
}

func (m *Machine) is(mutant string) bool { return m.cfg.Mutant == mutant }

func (m *Machine) nextID() uint64 { m.ids++; return m.ids }

// nextVersion advances the Lamport clock past everything seen and into the present view. The view must not be spent.
func (m *Machine) nextVersion() uint64 {
	if low := m.lay.number() << viewShift; m.clock < low {
		m.clock = low
	}
	m.clock++
	return m.clock
}

// spent tells whether the present view has no more versions: what comes next is of the next view, and would not be below all that its
// owners give. halfSpent tells it long before; then the coordinator proposes a view of the same members.
func (m *Machine) spent() bool {
	return m.clock+2 > m.lay.number()<<viewShift|viewVersions
}

func (m *Machine) halfSpent() bool {
	return m.clock>>viewShift >= m.lay.number() && m.clock&viewVersions > viewVersions/2
}

// send stamps a message and puts it on the peer's session, if there is one.
func (m *Machine) send(p *peer, msg *pb.Message) {
	if p == nil || p.session == 0 {
		return
	}
	if m.lay != nil {
		msg.Chain, msg.View = m.lay.view.Chain, m.lay.view.Number
	}
	msg.Clock = m.clock
	m.env.Send(p.member.Id, p.session, msg)
}

// crowded tells whether so much waits on the session with a peer that values are held back: to break the session off would have all of it sent
// again, and what waits before a lease makes it late.
func (m *Machine) crowded(p *peer) bool {
	return p.session != 0 && m.env.Queued(p.member.Id, p.session) > m.cfg.HighWater
}

// Tick lets time pass. next is when the driver means to tick again, in ns from now: what would be due before is done at once. See New for
// how often.
func (m *Machine) Tick(next int64) {
	now := m.now()
	if m.lay != nil && len(m.peers) > len(m.lay.ids)-1 { // one could not be forgotten when gossip had: it was under a grant
		for _, id := range slices.Clone(m.order) {
			m.dropIfUseless(id)
		}
	}
	m.catchUp(now)
	m.tickMembership(now)
	if m.lay != nil {
		if slack := m.cfg.Lease / (16 * LeasesRenewed); now+next-m.askedAt > m.cfg.Lease/LeasesRenewed+slack { // a timer is never quite in time
			m.askLeasesUnless(now, m.early())
		}
		m.checkBarrier()
		m.tickTransfer(now)
		m.tickWrites()
		m.sweepHolders(now, next)
	}
	m.revokeAgain()
	m.tickOps(now)
	m.tickCuts(now)
	m.tellGivenUp("for their time is up")
	m.tickPart()
}
