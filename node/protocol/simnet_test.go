package protocol

import (
	"slices"
	"strings"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// The network between the simulated processes: ordered sessions that delay, stall, break and are made anew.

// simLink is a session between two processes; index 0 is the one with the smaller slot.
type simLink struct {
	session  uint64
	ends     [2]*simProc
	up       [2]bool
	opened   [2]bool     // has been up
	early    [2][]func() // came before this end was up
	peerID   [2]uint64
	closed   bool
	queued   [2]int   // messages that an end has sent and that have not arrived
	last     [2]int64 // when the last message towards each end arrives: FIFO
	held     [2][]func()
	heldAt   int64
	patience int64 // how long something may be held before it breaks
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
	if p.s.cfg.calm {
		p.sent++
		p.bytes += m.SizeVT()
		p.largest = max(p.largest, m.SizeVT())
	}
	if tok := *simToken; tok != "" && p.s.cfg.trace != nil && strings.Contains(m.String(), tok) {
		p.s.logf("  %s -> %x: %s", p.name, peer>>48, m)
	}
	if a, ok := m.Body.(*pb.Message_Accepted); ok && a.Accepted.Ok {
		p.s.provoke(p, nil, 0.15)
	}
	if l := p.s.open[session]; l != nil && l.up[l.end(p)] {
		p.s.transmit(l, l.end(p), m)
	}
}

// Queued counts messages rather than bytes.
func (p *simProc) Queued(_, session uint64) int {
	if l := p.s.open[session]; l != nil {
		return l.queued[l.end(p)]
	}
	return 0
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

// linkTo is the session with id, or nil.
func (p *simProc) linkTo(id uint64) *simLink {
	q := p.s.byIDs[id]
	if q == nil {
		return nil
	}
	return p.s.links[pair(p, q)]
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
	l.queued[from]++
	arrived := false
	var deliver func()
	deliver = func() {
		if !arrived {
			arrived = true
			l.queued[from]--
		}
		if !l.opened[1-from] {
			l.early[1-from] = append(l.early[1-from], deliver)
			return
		}
		if e := l.ends[from]; e.paused && e.stuck { // it has not left the process yet
			e.unsent = append(e.unsent, func() { s.at(0, to, deliver) })
			return
		}
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
	if !s.cfg.calm && s.chance(0.02) {
		d = s.between(1, 400) * ms
	}
	d += s.slow[[2]int{l.ends[from].slot, to.slot}]
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
	delete(s.open, l.session)
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
	if p := s.byIDs[id]; p != nil && p.id == id {
		return p
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
		case q == nil || q.gone || s.listens[q.addr] != q: // nobody listens, or another
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
	l := &simLink{session: s.sessions, ends: pair(p, q), patience: s.between(500*ms, 10*sec)}
	s.links[pair(p, q)], s.open[l.session] = l, l
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
			with := &pb.Member{Name: o.name, Id: l.peerID[1-i], Addr: o.addr}
			e.m.Up(with, l.session)
			e.wants[with.Id] = with
			l.opened[i] = true
			for _, fn := range l.early[i] {
				fn()
			}
			l.early[i] = nil
		})
	}
	s.ended = append(s.ended, l)
	s.byPair[l.ends] = append(s.byPair[l.ends], l)
}

// oldLinks are the earlier sessions that this end has not yet seen end.
func (s *sim) oldLinks(e, o *simProc, not *simLink) []*simLink {
	var out []*simLink
	k := pair(e, o)
	s.byPair[k] = slices.DeleteFunc(s.byPair[k], func(l *simLink) bool {
		if l != not && l.up[l.end(e)] {
			out = append(out, l)
		}
		return l.over()
	})
	return out
}

// over: both ends have seen it end.
func (l *simLink) over() bool { return l.closed && !l.up[0] && !l.up[1] }

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
