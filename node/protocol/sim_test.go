package protocol

import (
	"container/heap"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
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
	seed     int64
	nodes    int
	replicas int
	mutant   string
	faults   map[string]float64 // relative weights; empty: none
	duration int64              // of the part with faults
	quiet    int64              // after it, without
	opEvery  int64              // mean time between two operations of a node
	trace    io.Writer
	careful  bool // one crash at a time, the next when all are in sync again (the premise of P2)
}

type sim struct {
	cfg      simConfig
	now, seq int64
	q        simQueue
	r        *rand.Rand
	procs    []*simProc // by slot; replaced on restart
	dead     []*simProc
	links    map[[2]*simProc]*simLink
	cut      map[[2]int]bool // slot -> slot
	sessions uint64
	events   int
	ended    []*simLink
	views    map[[2]uint64]string
	check    *checker
	faults   map[string]int
	quietNow bool
	stats    simStats
	doomed   map[int]bool // slots under a planned leave
}

type simStats struct {
	Ops, Hits, LocalHits, Misses, Unsure, Acked, Unacked, Messages, Revived int
}

// simProc is one run of a process.
type simProc struct {
	s       *sim
	slot    int
	name    string
	id      uint64
	m       *Machine
	rate    float64
	offset  int64
	born    int64
	paused  bool
	gone    bool
	backlog []func()
	wants   map[uint64]*pb.Member
	chain   uint64
	view    uint64
	size    int
	leaving bool
}

// simLink is a session between two processes; index 0 is the one with the smaller slot.
type simLink struct {
	session uint64
	ends    [2]*simProc
	up      [2]bool
	peerID  [2]uint64
	closed  bool
	last    [2]int64 // when the last message towards each end arrives: FIFO
	held    [2][]func()
	heldAt  int64
}

func newSim(cfg simConfig) *sim {
	s := &sim{
		cfg: cfg, r: rand.New(rand.NewSource(cfg.seed)), links: map[[2]*simProc]*simLink{}, cut: map[[2]int]bool{},
		views: map[[2]uint64]string{}, faults: map[string]int{}, doomed: map[int]bool{},
	}
	s.check = newChecker(s)
	for i := range cfg.nodes {
		s.procs = append(s.procs, nil)
		s.start(i)
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
		s: s, slot: slot, name: fmt.Sprintf("n%d", slot), rate: 1 + (s.r.Float64()*2-1)*0.01,
		offset: s.r.Int63n(100 * sec), born: s.now, wants: map[uint64]*pb.Member{},
	}
	p.id = s.r.Uint64() | 1
	st := store.New(store.Config{Partitions: simRing.Partitions, MaxBytes: 1 << 20, Now: p.Now})
	p.m = New(Config{
		Self: &pb.Member{Name: p.name, Id: p.id, Addr: p.name}, Replicas: s.cfg.replicas, Ring: simRing,
		Lease: sec, ExpelAfter: 2 * sec, ForgetAfter: 600 * sec, Expect: s.cfg.nodes, Settle: sec / 2, Retention: 3600 * sec,
		MaxHolders: 64, MaxPending: 10000, Log: slog.New(slog.DiscardHandler), Mutant: s.cfg.mutant,
	}, p, st)
	s.procs[slot] = p
	s.logf("%s starts, id %x", p.name, p.id>>48)
	var tick func()
	tick = func() {
		p.m.Tick()
		if p.m.Left() && !p.gone {
			s.logf("%s has left", p.name)
			s.kill(p, true)
			s.at(s.between(100*ms, 2*sec), nil, func() { delete(s.doomed, p.slot); s.start(p.slot) })
			return
		}
		s.at(20*ms, p, tick)
	}
	s.at(s.between(0, 20*ms), p, tick)
	s.client(p)
	return p
}

var simRing = ring.Params{Partitions: 7, VirtualNodes: 8, Load: 2}

// Env of the machine.

func (p *simProc) Now() int64 { return p.offset + int64(float64(p.s.now-p.born)*p.rate) + 1 }

func (p *simProc) Random() uint64 { return p.s.r.Uint64() }

func (p *simProc) Event(kind, member, text string) {
	p.s.logf("%s: %s %s %s", p.name, kind, member, text)
	if kind != "view" || p.m.lay == nil {
		return
	}
	v := p.m.lay.view
	if v.Number == 1 { // a new cluster is empty: it has forgotten the revocations too (DESIGN.md, windows)
		p.s.check.revoked = map[string]int64{}
	}
	key := [2]uint64{v.Chain, v.Number}
	text = v.String()
	if old, ok := p.s.views[key]; ok && old != text {
		p.s.check.fail("two views of number %d: %s and %s", v.Number, old, text)
	}
	p.s.views[key] = text
}

func (p *simProc) Announce(chain, view uint64, size int) { p.chain, p.view, p.size = chain, view, size }

func (p *simProc) Connect(m *pb.Member) { p.wants[m.Id] = m; p.s.dial(p, m.Id) }
func (p *simProc) Disconnect(id uint64) { delete(p.wants, id) }
func (p *simProc) Reincarnate(self *pb.Member) {
	old := p.id
	p.id = self.Id
	for _, q := range p.s.procs {
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

func (p *simProc) down(l *simLink, tell bool) {
	i := l.end(p)
	if !l.up[i] {
		return
	}
	l.up[i] = false
	if tell {
		p.m.Down(l.peerID[1-i], l.session)
	}
}

func (p *simProc) Send(peer, session uint64, m *pb.Message) {
	p.s.stats.Messages++
	if tok := *simToken; tok != "" && p.s.cfg.trace != nil && strings.Contains(m.String(), tok) {
		p.s.logf("  %s -> %x: %s", p.name, peer>>48, m)
	}
	for _, l := range p.s.linksOf(p) {
		if l.session == session && l.up[l.end(p)] {
			p.s.transmit(l, l.end(p), m)
			return
		}
	}
}

func (l *simLink) end(p *simProc) int {
	if l.ends[0] == p {
		return 0
	}
	return 1
}

func (s *sim) linksOf(p *simProc) []*simLink {
	var out []*simLink
	for _, q := range append(append([]*simProc(nil), s.procs...), s.dead...) {
		if q == nil || q == p {
			continue
		}
		if l := s.links[pair(p, q)]; l != nil {
			out = append(out, l)
		}
	}
	return out
}

func pair(a, b *simProc) [2]*simProc {
	if a.slot < b.slot || a.slot == b.slot && a.born < b.born {
		return [2]*simProc{a, b}
	}
	return [2]*simProc{b, a}
}

// transmit delivers FIFO, later, unless the direction is cut: then the bytes wait, and after a while the session breaks.
func (s *sim) transmit(l *simLink, from int, m *pb.Message) {
	if l.closed {
		return
	}
	to := l.ends[1-from]
	deliver := func() {
		if l.up[1-from] && !to.gone {
			to.m.Receive(l.peerID[from], l.session, m)
		}
	}
	if s.cut[[2]int{l.ends[from].slot, to.slot}] {
		if len(l.held[0])+len(l.held[1]) == 0 {
			l.heldAt = s.now
		}
		l.held[1-from] = append(l.held[1-from], deliver)
		return
	}
	d := s.between(50, 2000) * 1000
	if s.chance(0.02) {
		d = s.between(1, 400) * ms
	}
	at := max(s.now+d, l.last[1-from]+1)
	l.last[1-from] = at
	s.at(at-s.now, to, deliver)
}

func (s *sim) breakLink(l *simLink) {
	if l.closed {
		return
	}
	l.closed = true
	delete(s.links, pair(l.ends[0], l.ends[1]))
	for i, p := range l.ends {
		i := i
		d := s.between(0, 300*ms)
		if s.cut[[2]int{l.ends[1-i].slot, p.slot}] {
			d = s.between(500*ms, 3*sec)
		}
		s.at(d, p, func() { p.down(l, true); s.redial(l) })
	}
}

func (s *sim) redial(l *simLink) {
	a, b := l.ends[0], l.ends[1]
	s.dial(a, b.id)
	s.dial(b, a.id)
}

func (s *sim) byID(id uint64) *simProc {
	for _, p := range s.procs {
		if p != nil && p.id == id {
			return p
		}
	}
	return nil
}

// dial: the process tries to reach id, again and again while it wants to.
func (s *sim) dial(p *simProc, id uint64) {
	if p.id > id && s.byID(id) != nil && !s.byID(id).gone {
		return // the other one dials, once it knows us
	}
	s.at(s.between(5*ms, 200*ms), p, func() {
		if p.gone || p.wants[id] == nil {
			return
		}
		q := s.byID(id)
		switch {
		case q == nil || q.gone:
			p.m.Unreachable(id, true)
			s.dial(p, id)
		case s.cut[[2]int{p.slot, q.slot}] || s.cut[[2]int{q.slot, p.slot}]:
			p.m.Unreachable(id, false)
			s.dial(p, id)
		case s.links[pair(p, q)] != nil:
		default:
			s.connect(p, q)
		}
	})
}

func (s *sim) connect(p, q *simProc) {
	s.sessions++
	l := &simLink{session: s.sessions, ends: pair(p, q)}
	s.links[pair(p, q)] = l
	for i, e := range l.ends {
		l.peerID[i] = e.id
	}
	for i, e := range l.ends {
		i, e := i, e
		s.at(s.between(100, 3000)*1000, e, func() {
			if l.closed || e.gone || e.id != l.peerID[i] {
				return
			}
			o := l.ends[1-i]
			for _, old := range s.oldLinks(e, o, l) {
				e.down(old, true)
			}
			l.up[i] = true
			e.m.Up(&pb.Member{Name: o.name, Id: l.peerID[1-i], Addr: o.name}, l.session)
			e.wants[l.peerID[1-i]] = &pb.Member{Name: o.name, Id: l.peerID[1-i], Addr: o.name}
		})
	}
	s.ended = append(s.ended, l)
}

// oldLinks are the earlier sessions that this end has not yet seen end.
func (s *sim) oldLinks(e, o *simProc, not *simLink) []*simLink {
	var out []*simLink
	keep := s.ended[:0]
	for _, l := range s.ended {
		if l != not && l.ends == pair(e, o) && l.up[l.end(e)] {
			out = append(out, l)
		}
		if !l.closed || l.up[0] || l.up[1] {
			keep = append(keep, l)
		}
	}
	s.ended = keep
	return out
}

func (s *sim) kill(p *simProc, graceful bool) {
	p.gone = true
	for _, l := range s.linksOf(p) {
		s.breakLink(l)
	}
	s.check.died(p)
	if !graceful {
		s.logf("%s is killed", p.name)
	}
}

func (s *sim) pause(p *simProc, d int64) {
	s.logf("%s pauses for %.2f s", p.name, float64(d)/1e9)
	p.paused = true
	s.at(d, nil, func() {
		if p.gone {
			return
		}
		p.paused = false
		s.logf("%s resumes", p.name)
		// The caller's reads run first: before the process has looked at its sockets.
		for range 3 {
			s.check.read(p, s.r.Intn(simKeys))
		}
		b := p.backlog
		p.backlog = nil
		for _, fn := range b {
			if !p.gone {
				fn()
			}
		}
	})
}

// gossip makes processes that can hear each other known, and the others unknown.
func (s *sim) gossip() {
	for _, p := range s.procs {
		for _, q := range s.procs {
			if p == q || p.gone || p.paused {
				continue
			}
			switch {
			case !q.gone && !q.paused && !s.cut[[2]int{q.slot, p.slot}] && !s.cut[[2]int{p.slot, q.slot}]:
				p, q, id, chain, view, size := p, q, q.id, q.chain, q.view, q.size
				s.at(s.between(ms, 100*ms), p, func() {
					p.m.Found(&pb.Member{Name: q.name, Id: id, Addr: q.name}, chain, view, size)
				})
			case q.gone && s.chance(0.3):
				p.m.Gone(q.id)
			}
		}
	}
	for _, l := range append([]*simLink(nil), s.ended...) {
		if !l.closed && len(l.held[0])+len(l.held[1]) > 0 && s.now-l.heldAt > 2500*ms {
			s.logf("session of %s and %s times out", l.ends[0].name, l.ends[1].name)
			s.breakLink(l)
		}
	}
	s.at(250*ms, nil, s.gossip)
}

func (s *sim) setCut(a, b int, on bool) {
	k := [2]int{a, b}
	if s.cut[k] == on {
		return
	}
	if on {
		s.cut[k] = true
		return
	}
	delete(s.cut, k)
	for _, l := range append([]*simLink(nil), s.ended...) {
		for to := range 2 {
			if !l.closed && l.ends[to].slot == b && l.ends[1-to].slot == a {
				held := l.held[to]
				l.held[to] = nil
				for _, fn := range held {
					l.last[to] = max(l.last[to]+1, s.now+ms)
					s.at(l.last[to]-s.now, l.ends[to], fn)
				}
			}
		}
	}
}

// fault does one of the configured mischiefs.
func (s *sim) fault() {
	if s.quietNow {
		return
	}
	defer s.at(s.between(300*ms, 3*sec), nil, s.fault)
	total := 0.0
	kinds := []string{"crash", "pause", "oneway", "split", "break", "leave", "isolate"}
	for _, k := range kinds {
		total += s.cfg.faults[k]
	}
	if total == 0 {
		return
	}
	x, kind := s.r.Float64()*total, ""
	for _, k := range kinds {
		if x -= s.cfg.faults[k]; x < 0 {
			kind = k
			break
		}
	}
	n := len(s.procs)
	p := s.procs[s.r.Intn(n)]
	if p.gone || s.doomed[p.slot] || s.cfg.careful && !s.allInSync() {
		return
	}
	s.faults[kind]++
	switch kind {
	case "crash":
		s.kill(p, false)
		slot := p.slot
		s.dead = append(s.dead, p)
		s.at(s.between(50*ms, 5*sec), nil, func() { s.start(slot) })
	case "pause":
		if !p.paused {
			s.pause(p, s.between(100*ms, 6*sec))
		}
	case "leave":
		s.logf("%s leaves", p.name)
		s.doomed[p.slot] = true
		s.dead = append(s.dead, p)
		s.at(0, p, func() { p.m.Leave() })
	case "oneway":
		o := s.r.Intn(n)
		if o == p.slot {
			return
		}
		s.logf("cut %s -> n%d", p.name, o)
		s.setCut(p.slot, o, true)
		s.at(s.between(200*ms, 8*sec), nil, func() { s.setCut(p.slot, o, false); s.logf("heal %s -> n%d", p.name, o) })
	case "isolate", "split":
		side := map[int]bool{p.slot: true}
		if kind == "split" {
			for i := range n {
				if s.chance(0.4) {
					side[i] = true
				}
			}
		}
		s.logf("split %v from the rest", side)
		for a := range n {
			for b := range n {
				if side[a] != side[b] {
					s.setCut(a, b, true)
				}
			}
		}
		s.at(s.between(500*ms, 10*sec), nil, func() {
			s.logf("heal the split")
			for a := range n {
				for b := range n {
					if side[a] != side[b] {
						s.setCut(a, b, false)
					}
				}
			}
		})
	case "break":
		if ls := s.linksOf(p); len(ls) > 0 {
			l := ls[s.r.Intn(len(ls))]
			s.logf("session of %s and %s breaks", l.ends[0].name, l.ends[1].name)
			s.breakLink(l)
		}
	}
}

func (s *sim) allInSync() bool {
	var v uint64
	for _, p := range s.procs {
		if p.gone || p.paused || p.m.lay == nil || !p.m.inSyncNow() || len(p.m.lay.ids) != len(s.procs) || len(p.m.lay.view.History) > 0 {
			return false
		}
		if v == 0 {
			v = p.m.lay.number()
		}
		if v != p.m.lay.number() {
			return false
		}
	}
	return true
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
	end := s.cfg.duration + s.cfg.quiet
	for len(s.q) > 0 && len(s.check.failures) == 0 {
		e := heap.Pop(&s.q).(*simEvent)
		if e.at > end {
			break
		}
		s.now = e.at
		if s.events++; s.events > 3_000_000 {
			s.check.fail("a storm: %d events by %.3f", s.events, f(s.now))
			break
		}
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
	s.check.end()
	if len(s.check.failures) > 0 {
		return fmt.Errorf("seed %d: %s", s.cfg.seed, strings.Join(s.check.failures, "; "))
	}
	return nil
}
