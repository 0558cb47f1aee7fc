package protocol

import (
	"container/heap"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// The simulator: a cluster of real machines in virtual time, on a network and under clocks that misbehave by a seed.
// Everything a schedule does follows from its seed, so a failing one replays.

type simEvent struct {
	at, seq int64
	proc    *simProc // nil: the world
	fn      func()
}

type simQueue []*simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(*simEvent)) }
func (q *simQueue) Pop() any {
	o := *q
	x := o[len(o)-1]
	*q = o[:len(o)-1]
	return x
}

// simConfig describes a schedule.
type simConfig struct {
	seed      int64
	nodes     int
	replicas  int
	mutant    string
	faults    map[string]float64 // relative weights; empty: none
	duration  int64              // of the part with faults
	quiet     int64              // after it, without
	opEvery   int64              // mean time between two operations of a node
	trace     io.Writer
	keys      int
	tags      int
	cuts      float64 // share of the operations that cut a tag which nothing has
	revoked   int     // of the keys, the last ones are only ever deleted for good, and then replaced by new tokens
	retention int64   // Config.Retention; 0: an hour. If it ends within the schedule, other keys are revoked, too
	memory    int64   // bound of each node's store
	graves    int64   // bound of each node's tombstones; 0: an eighth of memory
	padding   int     // bytes added to each value
	repair    int64   // Config.RepairRate
	highWater int     // Config.HighWater, in messages; 0: none
	holders   int     // Config.MaxHolders; 0: enough
	pending   int     // Config.MaxPending; 0: enough
	forget    int64   // Config.ForgetAfter; parts found clusters of their own, and only P5 is judged, at the end. 0: not within the schedule
	late      int     // nodes that start together some seconds later, beside the first ones
	provoke   bool    // faults strike as views are accepted and adopted
	sharp     bool    // operations in dense bursts, with more writes and cuts
	careful   bool    // at most Replicas-1 die at a time, the next when all are in sync again (the premise of P2)
	ring      ring.Params
	calm      bool // no operations, no stalls of the network, gossip of changes alone: to measure what membership costs
}

type sim struct {
	cfg      simConfig
	now, seq int64
	q        simQueue
	r        *rand.Rand
	procs    []*simProc     // by slot; replaced on restart
	twins    map[int]string // the slots of second processes of a name
	older    []*simProc     // those that had a successor before they ended
	newcomer *simProc       // a second process of a name, until all have met it
	dead     []*simProc     // all that have been replaced
	listens  map[string]*simProc
	links    map[[2]*simProc]*simLink
	open     map[uint64]*simLink // by session
	cut      map[[2]int]bool     // slot -> slot
	slow     map[[2]int]int64    // slot -> slot: further delay
	sessions uint64
	events   int
	ended    []*simLink // all sessions, also those that not both ends have seen end
	rings    map[string]*ring.Table
	byIDs    map[uint64]*simProc
	slots    map[int][]*simProc // all that have been in a slot
	byPair   map[[2]*simProc][]*simLink
	views    map[[2]uint64]string
	check    *checker
	faults   map[string]int
	quietNow bool
	expect   int
	stats    simStats
	sparedTo int64 // no fault until then, if the schedule is careful
	lostAt   int64 // when a process last ended, or was expelled, with all that it had
}

type simStats struct {
	Ops, Hits, LocalHits, Misses, Unsure, Acked, Unacked, Messages, Revived int
}

// simProc is one run of a process.
type simProc struct {
	s       *sim
	slot    int
	name    string
	addr    string
	id      uint64
	m       *Machine
	rate    float64
	offset  int64
	born    int64
	paused  bool
	gone    bool
	backlog []func()
	stuck   bool // in a pause: what it has sent, and has not arrived, leaves when it resumes
	unsent  []func()
	wants   map[uint64]*pb.Member
	chain   uint64
	view    uint64
	size    int
	leaves  bool
	second  bool                 // when it started another had its name
	parts   bool                 // has handed over
	busy    int64                // further time that it takes to make a ring
	wall    int64                // the clock on the wall less Now
	heard   map[*simProc]simNews // what gossip has told it

	// In a calm schedule: what it has sent, and what gossip has told of it.
	sent, bytes int
	largest     int // message
	told        simNews
	greeted     bool // gossip has told it of all
}

// simNews is what gossip tells of a process.
type simNews struct {
	id, chain, view uint64
	size            int
	leaves, gone    bool
}

func newSim(cfg simConfig) *sim {
	s := &sim{
		cfg: cfg, r: rand.New(rand.NewSource(cfg.seed)), links: map[[2]*simProc]*simLink{}, open: map[uint64]*simLink{},
		cut: map[[2]int]bool{}, slow: map[[2]int]int64{},
		views: map[[2]uint64]string{}, faults: map[string]int{}, twins: map[int]string{}, listens: map[string]*simProc{},
		rings: map[string]*ring.Table{}, byIDs: map[uint64]*simProc{}, slots: map[int][]*simProc{}, byPair: map[[2]*simProc][]*simLink{},
	}
	if cfg.ring.Partitions == 0 {
		s.cfg.ring = simRing
	}
	if cfg.retention == 0 {
		s.cfg.retention = 3600 * sec
	}
	s.expect = cfg.nodes
	s.check = newChecker(s)
	for i := range cfg.nodes {
		s.procs = append(s.procs, nil)
		s.start(i)
	}
	if cfg.late > 0 {
		s.at(s.between(3*sec, 5*sec), nil, func() {
			s.expect += cfg.late // who starts from now on, or over, waits for all: two cold starts at once are another story
			for _, p := range s.procs {
				p.m.cfg.Expect = s.expect
			}
			for range cfg.late {
				s.procs = append(s.procs, nil)
				s.start(len(s.procs) - 1)
			}
		})
	}
	return s
}

func (s *sim) at(d int64, p *simProc, fn func()) {
	s.seq++
	heap.Push(&s.q, &simEvent{at: s.now + d, seq: s.seq, proc: p, fn: fn})
}

func (s *sim) between(lo, hi int64) int64 { return lo + s.r.Int63n(hi-lo+1) }
func (s *sim) chance(p float64) bool      { return s.r.Float64() < p }

func (s *sim) logf(format string, args ...any) {
	if s.cfg.trace != nil {
		fmt.Fprintf(s.cfg.trace, "%9.3f  ", float64(s.now)/1e9)
		fmt.Fprintf(s.cfg.trace, format+"\n", args...)
	}
}

func (s *sim) start(slot int) *simProc {
	p := &simProc{
		s: s, slot: slot, name: fmt.Sprintf("n%d", slot), addr: fmt.Sprintf("n%d:1", slot), rate: 1 + (s.r.Float64()*2-1)*0.01,
		offset: s.r.Int63n(100 * sec), born: s.now, wants: map[uint64]*pb.Member{}, heard: map[*simProc]simNews{},
	}
	if name := s.twins[slot]; name != "" {
		p.name = name
	}
	p.second = s.namesake(p) != nil
	if before := s.procs[slot]; before != nil {
		s.dead = append(s.dead, before)
		if !before.gone {
			s.older = append(s.older, before)
			s.faults["overlap"]++
			// Or it takes over the address, where the older one is then not to be reached any more: as if that had died before it had handed over.
			if before.addr == p.addr && (s.chance(0.5) || s.cfg.careful) {
				p.addr = fmt.Sprintf("n%d:2", slot)
			} else if before.addr == p.addr {
				s.lostAt = s.now
			}
		}
	}
	p.id = NewID(s.r.Uint64())
	s.byIDs[p.id], s.listens[p.addr] = p, p
	highWater, unacked := 1<<30, 1<<30
	if s.cfg.highWater > 0 {
		highWater, unacked = s.cfg.highWater, 40 // bytes: of some eight values
	}
	st := store.New(store.Config{Partitions: s.cfg.ring.Partitions, MaxBytes: s.cfg.memory, MaxTombstoneBytes: s.cfg.graves, Now: p.Now})
	pending := 10000
	if s.cfg.pending > 0 {
		pending = s.cfg.pending
	}
	holders := 64
	if s.cfg.holders > 0 {
		holders = s.cfg.holders
	}
	forget, expect := 600*sec, s.expect
	if s.cfg.forget > 0 {
		forget, expect = s.cfg.forget, 0
	}
	p.m = New(Config{
		Self: p.member(), Replicas: s.cfg.replicas, Ring: s.cfg.ring,
		Lease: sec, ExpelAfter: 2 * sec, ForgetAfter: forget, Expect: expect, Settle: sec / 2, Retention: s.cfg.retention,
		Tombstone: 2 * sec, RepairRate: s.cfg.repair,
		MaxHolders: holders, MaxPending: pending, MaxUnacked: unacked, HighWater: highWater, Log: slog.New(slog.DiscardHandler), Mutant: s.cfg.mutant,
	}, p, st)
	s.procs[slot] = p
	s.slots[slot] = append(s.slots[slot], p)
	s.logf("%s starts at %s, id %x", p.name, p.addr, p.id>>48)
	var tick, wait func()
	quiet, due, late := 0, int64(0), int64(0)
	tick = func() {
		if quiet++; !p.m.AtRest() {
			quiet = 0
		}
		pace := 20 * ms
		if quiet > 10 {
			const every = sec / LeasesRenewed
			if !s.cfg.calm && s.chance(0.02) { // somebody sets the clock on the wall
				p.wall = s.between(0, 3600*sec)
			}
			pace = every - (p.Now()+p.wall+ms)%every + ms
		}
		p.m.Tick(pace)
		st.Sweep(1000)
		if p.m.HandedOver() && !p.parts {
			p.parts = true
			s.logf("%s has handed over", p.name)
			if s.cfg.calm {
				p.m.Part()
			} else { // its callers go on for a while; and it waits for what they began only so long
				s.at(s.between(0, sec/2), p, p.m.Part)
				s.at(5*sec, p, p.m.Abandon)
			}
		}
		if p.m.Left() && !p.gone {
			s.logf("%s has left", p.name)
			if n := p.m.Lost(); n > 0 && s.cfg.careful {
				s.check.fail("P2: %s has left and says that %d entries are lost", p.name, n)
			}
			s.kill(p, true)
			if s.cfg.calm {
				return
			}
			s.at(s.between(100*ms, 2*sec), nil, func() { s.succeed(p) })
			return
		}
		due, late = p.Now()+pace, 0
		if !s.cfg.calm && s.chance(0.1) { // a driver may be late, also for what is urgent
			late = s.between(0, 80*ms)
		}
		s.at(20*ms, p, wait)
	}
	wait = func() {
		if p.m.Busy() && late == 0 || p.Now() >= due+late-ms/2 {
			tick()
			return
		}
		s.at(max(min(20*ms, due+late-p.Now()), ms/4), p, wait)
	}
	s.at(s.between(0, 20*ms), p, tick)
	if !s.cfg.calm {
		s.client(p)
	}
	return p
}

func (p *simProc) member() *pb.Member { return &pb.Member{Name: p.name, Id: p.id, Addr: p.addr} }

var simRing = ring.Params{Partitions: 7, VirtualNodes: 8, Load: 2}

// Env of the machine.

func (p *simProc) Now() int64 { return p.offset + int64(float64(p.s.now-p.born)*p.rate) + 1 }

func (p *simProc) Random() uint64 { return p.s.r.Uint64() }
func (p *simProc) Yield()         {}

func (p *simProc) Build(names []string) {
	p.s.at(p.s.between(0, 40*ms)+p.busy, p, func() {
		t, err := p.s.ring(names)
		if err != nil {
			p.s.check.fail("no ring: %v", err)
		}
		p.m.Built(names, t)
	})
}

// ring makes each ring once.
func (s *sim) ring(names []string) (t *ring.Table, err error) {
	key := cacheKey(names)
	if t = s.rings[key]; t == nil {
		if t, err = ring.Build(names, s.cfg.replicas, s.cfg.ring); err == nil {
			s.rings[key] = t
		}
	}
	return t, err
}

func (p *simProc) Event(kind, member, text string) {
	p.s.logf("%s: %s %s %s", p.name, kind, member, text)
	if kind != "view" || p.m.lay == nil {
		return
	}
	v := p.m.lay.view
	if v.Number == 1 && p.s.cfg.forget == 0 { // a new cluster is empty: the revocations that all who held them have lost are forgotten too (DESIGN.md, what remains)
		p.s.check.revoked = map[string][]*simWrite{}
	}
	key := [2]uint64{v.Chain, v.Number}
	text = v.String()
	if old, ok := p.s.views[key]; ok && old != text {
		p.s.check.fail("two views of number %d: %s and %s", v.Number, old, text)
	}
	p.s.views[key] = text
	for _, set := range v.History {
		for _, mem := range set.Members {
			if !lists(v.Members, mem.Id) && !lists(v.Leaving, mem.Id) {
				p.s.lostAt = p.s.now
			}
		}
	}
	p.s.provoke(p, v, 0.2)
}

func (p *simProc) Announce(chain, view uint64, size int) { p.chain, p.view, p.size = chain, view, size }

func (p *simProc) Connect(m *pb.Member) { p.wants[m.Id] = m; p.s.dial(p, m.Id) }
func (p *simProc) Disconnect(id uint64) {
	delete(p.wants, id)
	if l := p.linkTo(id); l != nil && l.up[l.end(p)] {
		p.s.breakLink(l)
		p.down(l, false)
	}
}

func (p *simProc) Reincarnate(self *pb.Member) {
	old := p.id
	p.s.lostAt = p.s.now
	p.id = self.Id
	p.s.byIDs[p.id] = p
	for _, q := range p.s.running() {
		if q != nil && q != p {
			p.s.at(p.s.between(50*ms, sec), q, func() { q.m.Gone(old) })
		}
	}
	for _, l := range p.s.linksOf(p) {
		p.s.breakLink(l)
		p.down(l, false)
	}
	for _, id := range append([]uint64(nil), p.m.order...) {
		p.s.dial(p, id)
	}
}

// gossip makes processes that can hear each other known, and the others unknown.
func (s *sim) gossip() {
	all := append(s.older[:len(s.older):len(s.older)], s.procs...)
	for _, q := range all {
		if s.cfg.calm { // as a gossip library does: what changed, to all, and all to who is new
			news := q.news()
			changed := news != q.told
			q.told = news
			for _, p := range all {
				if changed || !p.greeted {
					s.tell(p, q)
				}
			}
			continue
		}
		for _, p := range all {
			if news := q.news(); p != q && (p.heard[q] != news || s.chance(0.02) || s.cfg.forget > 0 && s.cut[[2]int{q.slot, p.slot}]) { // it may repeat itself
				s.tell(p, q)
			}
		}
	}
	for _, p := range s.procs {
		p.greeted = true
	}
	s.ended = slices.DeleteFunc(s.ended, (*simLink).over)
	for _, l := range append([]*simLink(nil), s.ended...) {
		if !l.closed && len(l.held[0])+len(l.held[1]) > 0 && s.now-l.heldAt > l.patience {
			s.logf("session of %s and %s times out", l.ends[0].name, l.ends[1].name)
			s.breakLink(l)
		}
	}
	s.at(250*ms, nil, s.gossip)
}

func (p *simProc) news() simNews { return simNews{p.id, p.chain, p.view, p.size, p.leaves, p.gone} }

// tell lets gossip tell p what it knows of q.
func (s *sim) tell(p, q *simProc) {
	if p == q || p.gone || p.paused {
		return
	}
	switch {
	case !q.gone && !q.paused && !s.cut[[2]int{q.slot, p.slot}] && !s.cut[[2]int{p.slot, q.slot}]:
		id, chain, size, news := q.id, q.chain, q.size, q.news()
		s.at(s.between(ms, 100*ms), p, func() {
			p.heard[q] = news
			for _, before := range s.slots[q.slot] { // it takes the place of those that had the name before
				if p.heard[before] != before.news() && before.gone {
					p.heard[before] = before.news()
					p.m.Gone(before.id)
				}
			}
			p.m.Found(&pb.Member{Name: q.name, Id: id, Addr: q.addr}, chain, size)
			if news.leaves {
				p.m.Goes(id)
			}
		})
	case q.gone && (s.cfg.calm || s.chance(0.3)):
		p.heard[q] = q.news()
		p.m.Gone(q.id)
	case s.cfg.forget > 0 && !q.gone && !q.paused && s.chance(0.2):
		p.heard[q] = simNews{} // it is told when they meet again
		p.m.Gone(q.id)
	}
}

// allInSync tells whether there is one settled view, of one process of each name, and all of these are in sync.
func (s *sim) allInSync() bool {
	var first *pb.View
	in := 0
	for _, p := range s.procs {
		if p.gone || p.paused || p.m.lay == nil {
			continue // none is missed that is a second one of its name
		}
		v := p.m.lay.view
		if first == nil {
			first = v
		}
		if !p.m.inSyncNow() || v.Chain != first.Chain || v.Number != first.Number || len(v.History) > 0 {
			return false
		}
		in++
	}
	return in == len(s.procs)-len(s.twins) && in == len(first.Members)
}

// run plays the schedule and returns what went wrong, or nil.
func (s *sim) run() error {
	s.at(0, nil, s.gossip)
	s.at(2*sec, nil, s.fault)
	s.at(s.cfg.duration, nil, func() {
		s.quietNow = true
		s.logf("quiet")
		for a := range s.procs {
			for b := range s.procs {
				s.setCut(a, b, false)
			}
		}
	})
	s.at(s.cfg.duration+s.cfg.quiet/2-2*sec, nil, s.again)
	s.play(s.cfg.duration+s.cfg.quiet, func() bool {
		if s.events++; s.events > 3_000_000 {
			s.check.fail("a storm: %d events by %.3f", s.events, f(s.now))
		}
		return len(s.check.failures) > 0
	})
	s.check.end()
	if len(s.check.failures) > 0 {
		return fmt.Errorf("seed %d: %s", s.cfg.seed, strings.Join(s.check.failures, "; "))
	}
	return nil
}

// play lets virtual time go on until end, or until enough, which is asked before each event, says so.
func (s *sim) play(end int64, enough func() bool) {
	for len(s.q) > 0 && !enough() {
		if s.q[0].at > end {
			s.now = end
			return
		}
		e := heap.Pop(&s.q).(*simEvent)
		s.now = e.at
		switch p := e.proc; {
		case p == nil:
			e.fn()
		case p.gone:
		case p.paused:
			p.backlog = append(p.backlog, e.fn)
		default:
			e.fn()
		}
	}
}
