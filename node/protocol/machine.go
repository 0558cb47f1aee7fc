// Package protocol is the node's protocol as a deterministic state machine: who is a member, who serves what, who holds
// what, when a write is confirmed. It has no goroutine, no clock and no socket of its own: whoever drives it hands in
// what happened (a session stands, a message came, time went on) and carries out what it asks of its Env. The node
// package drives it under one lock with real sessions; the simulator drives whole clusters of it in virtual time.
//
// Only Read, ReadAt, Prefetch and Counters may be used beside the driver, from any goroutine: they are the path of a hit and take no lock of the machine.
//
// The rules, and why they suffice, stand in DESIGN.md; comments here name them by number.
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

// never is the lease of partitions that must not be served.
var never = &Lease{}

// route is all that a read needs, in one immutable snapshot.
type route struct {
	partitions int
	view       *Lease   // this node's own: nothing is served without it
	leases     []*Lease // per partition, for entries owned or copied here
	near       []*Lease // per partition, for near copies
	owned      []bool   // this node is the acting owner
}

// peer is what this node knows of another one.
type peer struct {
	member    *pb.Member
	session   uint64 // 0: none
	proven    bool   // a message has come on the session: the other side has dropped what it held under earlier ones
	heard     int64  // when the last message came
	answers   int64  // when it was asked what it has answered last
	metAt     int64  // when we first heard of it
	aliveAt   int64  // when it was last asked whether it runs, and has answered; 0: never
	outsideAt int64  // when it was asked, of this session, whether it is in no cluster, and has said so; 0: it has not
	downAt    int64  // when the session ended, or the peer was met
	barred    bool   // it and this node do not go together, and have no session
	refused   int64  // when its port first refused a connection since the last session; 0: it did not

	// What it grants to us.
	lease   *Lease // for copies: outlives sessions
	near    *Lease // for near copies: of this session
	confirm int64  // when we asked for its latest confirmation of the present view; 0: none
	asked   int64  // when we asked last

	// What we grant to it.
	grantEnd    int64 // until when it may serve under our grants, on our clock
	confirmedAt int64 // when we last confirmed a view to it

	adopted uint64 // highest view of our chain it is known to have adopted
	inSync  uint64 // highest view of our chain it is known to be in sync in

	// What it announced by gossip.
	gossiped    bool
	chain, view uint64
	size        int
	suspects    []uint64
	suspectsAt  int64
	decidedAt   int64 // when we last sent it our view, or a hint of it
	stash       []*pb.Message
	stashed     int // bytes of the stash

	backlog   []*write // that this copy is to confirm, and that wait for their turn
	confirmed int64    // when it last confirmed one
}

// Machine is one node's state. See the package comment for how to drive it.
type Machine struct {
	cfg     Config
	env     Env
	log     *slog.Logger
	store   *store.Store
	self    *pb.Member
	clock   uint64 // Lamport clock (rule 9)
	stirred bool   // since the last AtRest something has happened that ticks go on with: a session, a view, news of gossip, a suspicion, Leave
	at      int64  // when the present step began, of those that read the clock once; see now
	ids     uint64 // correlation ids
	peers   map[uint64]*peer
	order   []uint64            // ids of peers, sorted: the machine never ranges over a map where the order shows
	named   map[string][]uint64 // ids of the peers of a name, sorted: more than one after a restart, or if two processes share it

	route atomic.Pointer[route]
	lay   *layout   // the present view; nil: none
	hist  []*layout // the sets of its history
	lease *Lease    // our view lease
	lays  layoutCache

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
	foundAfter  int64 // no founding before
	metAt       int64 // when the last new peer was met
	found       founding
	reached     bool
	leaving     bool // Leave has been called,
	parting     bool // and Part
	left        bool
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

// Found tells of a process that gossip knows, and of the cluster it says it is in.
func (m *Machine) Found(member *pb.Member, chain, view uint64, size int) {
	m.stirred = true
	if member.Id == m.self.Id || member.Id == 0 {
		return
	}
	p := m.meet(member)
	if chain == 0 { // gossip is behind what the peer has told us itself: who leaves a chain goes on under another id
		chain = p.chain
	}
	p.gossiped, p.chain, p.view, p.size = true, chain, view, size
}

// Gone tells that gossip no longer knows a process.
func (m *Machine) Gone(id uint64) {
	m.stirred = true
	p := m.peers[id]
	if p == nil {
		return
	}
	p.gossiped = false
	m.dropIfUseless(id)
}

// Reached tells that some join address has been reached.
func (m *Machine) Reached() { m.reached = true }

// meet returns the peer's record, made and connected if need be.
func (m *Machine) meet(member *pb.Member) *peer {
	p := m.peers[member.Id]
	if p == nil {
		p = &peer{member: member, lease: &Lease{}, near: &Lease{}, downAt: m.now(), metAt: m.now()}
		m.peers[member.Id] = p
		m.order = insertSorted(m.order, member.Id)
		m.named[member.Name] = insertSorted(m.named[member.Name], member.Id)
		m.metAt = m.now()
		m.env.Connect(member)
		m.askAlive(member.Name)
	}
	return p
}

// dropIfUseless forgets a peer that is no member, not gossiped, not connected and under none of our grants.
func (m *Machine) dropIfUseless(id uint64) {
	p := m.peers[id]
	if p == nil || p.gossiped || p.session != 0 || m.lay.has(id) || m.lay.isLeaving(id) || p.grantEnd > m.now() {
		return
	}
	delete(m.peers, id)
	m.order = removeSorted(m.order, id)
	if m.named[p.member.Name] = removeSorted(m.named[p.member.Name], id); len(m.named[p.member.Name]) == 0 {
		delete(m.named, p.member.Name)
	}
	delete(m.joiners, id)
	delete(m.byPeer, id)
	m.env.Disconnect(id)
}

// Up tells that a session with a peer stands.
func (m *Machine) Up(member *pb.Member, session uint64) {
	m.stirred = true
	if member.Id == m.self.Id {
		return
	}
	if p := m.peers[member.Id]; p != nil && p.session != 0 {
		m.Down(member.Id, p.session)
	}
	p := m.meet(member)
	p.session, p.proven, p.barred, p.refused, p.outsideAt = session, false, false, 0, 0
	p.heard = m.now()
	m.endNear(p)
	m.askAlive(member.Name)
	if len(m.byPeer[member.Id]) > 0 && p.adopted < m.lay.number() { // before what it can only keep until it knows the view
		p.decidedAt = 0
		m.sendView(p)
	}
	m.resend(p)
	m.resendCuts(p)
	m.askLease(p)
	m.unpark()
}

// Down tells that a session has ended: nothing more comes from it, and what was sent last may be lost.
func (m *Machine) Down(id, session uint64) {
	m.stirred = true
	p := m.peers[id]
	if p == nil || p.session != session {
		return
	}
	p.session, p.proven, p.downAt, p.outsideAt = 0, false, m.now(), 0
	p.stash, p.stashed, p.backlog = nil, 0, nil
	m.endNear(p)
	m.failOps(id)
	m.failPulls(id)
	m.dropIfUseless(id)
}

// giveUp ends a session and has another made, over which all that was not answered is sent again.
func (m *Machine) giveUp(p *peer) {
	id, session := p.member.Id, p.session
	m.log.Warn("too much has come ahead of the view it was sent in; the session is made anew", "peer", p.member.Name, "messages", len(p.stash), "bytes", p.stashed)
	m.env.Disconnect(id)
	m.Down(id, session)
	if m.peers[id] == p {
		m.env.Connect(p.member)
	}
}

// Barred tells that a peer and this node do not go together, for one of the two refuses the other's settings.
func (m *Machine) Barred(id uint64) {
	if p := m.peers[id]; p != nil {
		p.barred = true
	}
}

// Unreachable tells that a connection could not be made; refused: the port says that nobody listens.
func (m *Machine) Unreachable(id uint64, refused bool) {
	m.stirred = true
	p := m.peers[id]
	if p == nil || p.session != 0 {
		return
	}
	if !refused {
		p.refused = 0
	} else if p.refused == 0 {
		p.refused = m.now()
	}
}

// Receive takes messages that came on a session.
func (m *Machine) Receive(id, session uint64, msgs ...*pb.Message) {
	if m.beginStep() {
		defer m.endStep()
	}
	for _, msg := range msgs {
		m.receive(id, session, msg)
	}
}

func (m *Machine) receive(id, session uint64, msg *pb.Message) {
	p := m.peers[id]
	if p == nil || p.session != session {
		return
	}
	p.heard = m.now()
	if m.lay == nil && p.chain == 0 { // sooner than gossip does
		p.chain = msg.Chain
	}
	if !p.proven {
		p.proven = true
		m.proved(p)
	}
	m.handle(p, msg)
}

// handle sorts a message by the view it was sent in (rule 3).
func (m *Machine) handle(p *peer, msg *pb.Message) {
	// A clock of a later view is taken with the messages of that view, once this node is in it too: until then its versions and tickets
	// are of the present one, below all that a new owner gives (rules 9 and 13).
	if msg.Clock > m.clock && msg.Clock>>viewShift <= m.lay.number() {
		m.clock = msg.Clock
	}
	if m.handleMembership(p, msg) {
		return
	}
	if m.lay != nil && msg.Chain != m.lay.view.Chain || m.lay == nil && !isRequest(msg) {
		return // from another cluster, or answers what we asked in one
	}
	if m.lay != nil && msg.View != m.lay.number() && m.answerAcross(p, msg) {
		return
	}
	switch {
	case msg.View > m.lay.number() && !m.is("drop-early"): // we are behind, or not in yet: catch up first, then take it
		if len(p.stash) >= stashLimit || p.stashed >= stashBytes {
			m.giveUp(p) // to leave one out would lose it: on a session that stands nothing is sent again
			return
		}
		p.stash = append(p.stash, msg)
		p.stashed += msg.SizeVT()
		m.ahead = true
		m.catchUp(m.now())
		return
	case m.lay == nil, len(p.stash) > 0 && isRequest(msg):
		return // cannot be: a sender's views only grow
	}
	if p.adopted < msg.View {
		p.adopted = msg.View
		if m.adopted(p.member.Id) {
			delete(m.behind, p.member.Id)
			if !m.lay.has(p.member.Id) { // it has left, and serves nothing any more, near copies either
				p.grantEnd = 0
				m.finishWrites()
			}
		}
		m.checkBarrier()
	}
	if m.handleReply(p, msg) {
		return
	}
	if msg.View < m.lay.number() {
		m.hint(p)
		m.refuse(p, msg)
		return
	}
	m.handleRequest(p, msg)
}

// answerAcross takes the requests of an operation from a node that is in another view, where this node acts as the owner in its
// own: its answer is right whoever asks, so nobody waits for a change that does not concern the key. Nothing is kept of such an
// answer, for who keeps a near copy is to be in the view of the answer (rule 12). A write that was sent before this node took over is refused: another
// may have owned the key since, and confirmed what its asker sent again.
func (m *Machine) answerAcross(p *peer, msg *pb.Message) bool {
	acting := func(key string) bool {
		pt := &m.parts[ring.PartitionOf(key, len(m.parts))]
		return pt.owner && pt.acting && m.leased()
	}
	switch b := msg.Body.(type) {
	case *pb.Message_Get:
		if !acting(b.Get.Key) {
			return false
		}
		m.onGet(p, msg, &pb.Get{Key: b.Get.Key, Fill: b.Get.Fill})
	case *pb.Message_Write:
		if !acting(b.Write.Key) || msg.View < m.parts[ring.PartitionOf(b.Write.Key, len(m.parts))].since && !m.is("late-writes") {
			return false
		}
		m.onWrite(p, msg, b.Write)
	default:
		return false
	}
	if msg.View < m.lay.number() {
		m.hint(p)
	}
	return true
}

func isRequest(msg *pb.Message) bool {
	switch msg.Body.(type) {
	case *pb.Message_LeaseAsk, *pb.Message_Get, *pb.Message_Write, *pb.Message_Copy, *pb.Message_Invalidate,
		*pb.Message_Pull, *pb.Message_PullKey, *pb.Message_CutClock, *pb.Message_Cut, *pb.Message_Scan:
		return true
	}
	return false
}

// handleReply takes answers. They may come from an earlier view: what each is still worth, its handler knows.
func (m *Machine) handleReply(p *peer, msg *pb.Message) bool {
	switch b := msg.Body.(type) {
	case *pb.Message_LeaseGrant:
		m.onLeaseGrant(p, msg, b.LeaseGrant)
	case *pb.Message_GetReply:
		m.onGetReply(p, msg, b.GetReply)
	case *pb.Message_WriteReply:
		m.onWriteReply(p, msg, b.WriteReply)
	case *pb.Message_ScanReply:
		m.onScanReply(p, msg, b.ScanReply)
	case *pb.Message_CopyReply:
		m.onCopyReply(p, msg, b.CopyReply)
	case *pb.Message_InvalidateReply:
		m.onInvalidateReply(p, msg)
	case *pb.Message_PullReply:
		m.onPullReply(p, msg, b.PullReply)
	case *pb.Message_PullKeyReply:
		m.onPullKeyReply(p, msg, b.PullKeyReply)
	case *pb.Message_CutClockReply:
		m.onCutClockReply(p, msg)
	case *pb.Message_CutReply:
		m.onCutReply(p, msg, b.CutReply)
	default:
		return false
	}
	return true
}

// handleRequest takes requests of the present view.
func (m *Machine) handleRequest(p *peer, msg *pb.Message) {
	if !m.lay.has(p.member.Id) && !m.lay.isLeaving(p.member.Id) && !ofOperation(msg) {
		return
	}
	switch b := msg.Body.(type) {
	case *pb.Message_LeaseAsk:
		m.onLeaseAsk(p, msg, b.LeaseAsk)
	case *pb.Message_Get:
		m.onGet(p, msg, b.Get)
	case *pb.Message_Write:
		m.onWrite(p, msg, b.Write)
	case *pb.Message_Scan:
		m.onScan(p, msg, b.Scan)
	case *pb.Message_Copy:
		m.onCopy(p, msg, b.Copy)
	case *pb.Message_Invalidate:
		m.onInvalidate(p, msg, b.Invalidate)
	case *pb.Message_Pull:
		m.onPull(p, msg, b.Pull)
	case *pb.Message_PullKey:
		m.onPullKey(p, msg, b.PullKey)
	case *pb.Message_CutClock:
		m.reply(p, msg, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}})
	case *pb.Message_Cut:
		m.onCut(p, msg, b.Cut)
	}
}

// ofOperation tells whether a request is one of those by which operations are done. They are taken from everybody that goes by the present view:
// who is not in it has left it, and passes on what it has been asked for (leave.go).
func ofOperation(msg *pb.Message) bool {
	switch msg.Body.(type) {
	case *pb.Message_Get, *pb.Message_Write, *pb.Message_Scan, *pb.Message_CutClock, *pb.Message_Cut:
		return true
	}
	return false
}

// reply answers msg.
func (m *Machine) reply(p *peer, msg, answer *pb.Message) {
	answer.Id = msg.Id
	m.send(p, answer)
}

// refuse answers a request of an earlier view, where somebody waits for an answer.
func (m *Machine) refuse(p *peer, msg *pb.Message) {
	switch msg.Body.(type) {
	case *pb.Message_Get:
		m.reply(p, msg, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{Status: pb.Status_NOT_OWNER}}})
	case *pb.Message_Write:
		m.reply(p, msg, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: pb.Status_NOT_OWNER}}})
	case *pb.Message_Scan:
		m.reply(p, msg, &pb.Message{Body: &pb.Message_ScanReply{ScanReply: &pb.ScanReply{Status: pb.Status_NOT_OWNER}}})
	}
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
