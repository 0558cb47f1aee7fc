package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Who is taken for dead or cut off, and who of those that do not hear each other is to go (rule 2).

// provenDead tells whether a member is known to have ended, because another process has its name. Three things have to hold:
//
//   - The other has answered what it was asked after we had heard of this one. A session alone would prove nothing: it may be what is left of an earlier
//     process.
//   - The member has answered nothing that it was asked after we had heard of the other. Else both live, or the other is the older, and hands over.
//   - The member is not heard on its session. The other may only have been the first of the two to answer.
func (m *Machine) provenDead(member *pb.Member) bool {
	q := m.peers[member.Id]
	if q == nil || q.session != 0 && m.now()-q.heard <= m.cfg.ExpelAfter && !m.is("stale-proof") {
		return false
	}
	for _, id := range m.named[member.Name] {
		p := m.peers[id]
		beside := max(q.answers, q.aliveAt) >= p.metAt && !m.is("twin-proves")
		if id != member.Id && p.session != 0 && !beside && (p.aliveAt >= q.metAt || m.is("stale-proof")) {
			return true
		}
	}
	return false
}

// askAlive asks those of a name whether they run, if there are several.
func (m *Machine) askAlive(name string) {
	ids := m.named[name]
	if len(ids) < 2 {
		return
	}
	for _, id := range ids {
		if p := m.peers[id]; p.session != 0 {
			m.send(p, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: m.now()}}})
		}
	}
}

func (m *Machine) onAlive(p *peer, b *pb.Alive) {
	switch {
	case !b.Answer:
		outside := b.Outside && m.promiseOutside(p, b.Chain)
		m.send(p, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: b.Asked, Answer: true, Outside: outside}}})
	case b.Asked <= m.now():
		if b.Asked == 0 {
			p.waitsFor = b.Chain
			return
		}
		p.aliveAt = max(p.aliveAt, b.Asked)
		if b.Outside {
			p.outsideAt = max(p.outsideAt, b.Asked)
		}
	}
}

// silent tells whether we take a member for dead or cut off.
func (m *Machine) silent(id uint64, now int64) bool {
	p := m.peers[id]
	if p == nil {
		return false
	}
	if p.session == 0 && p.refused != 0 && now-p.refused > refusedGrace {
		return true
	}
	if p.session == 0 && m.lay.has(id) && m.provenDead(p.member) {
		return true
	}
	since := p.heard
	if m.lay != nil {
		since = max(since, m.lay.adoptedAt)
	}
	return now-since > m.cfg.ExpelAfter
}

// report tells the members whom we do not hear.
func (m *Machine) report(now int64) {
	if now-m.reportedAt < reportEvery {
		return
	}
	m.reportedAt = now
	var ids []uint64
	for _, mem := range slices.Concat(m.lay.view.Members, m.lay.view.Leaving) {
		if mem.Id != m.self.Id && (m.silent(mem.Id, now) || m.stuck(mem.Id, now)) {
			ids = append(ids, mem.Id)
		}
	}
	had := m.mySuspects
	m.mySuspects = ids
	if len(ids) == 0 && len(had) == 0 {
		return
	}
	for _, id := range m.lay.ids {
		if id != m.self.Id {
			m.send(m.peers[id], &pb.Message{Body: &pb.Message_Suspect{Suspect: &pb.Suspect{Members: ids}}})
		}
	}
}

// suspected tells whether this node or another member has reported that it does not hear id.
func (m *Machine) suspected(id uint64, now int64) bool {
	if slices.Contains(m.mySuspects, id) {
		return true
	}
	for _, from := range m.lay.ids {
		if p := m.peers[from]; p != nil && now-p.suspectsAt < reportLife && slices.Contains(p.suspects, id) {
			return true
		}
	}
	return false
}

// answers tells whether a member has answered what it was asked within the last d. This node answers itself.
func (m *Machine) answers(id uint64, now, d int64) bool {
	p := m.peers[id]
	return id == m.self.Id || p != nil && now-p.answers <= d
}

// carries tells whether a majority of members would be there to choose the view after theirs: they answer, or are new and have a
// session with us. A view that could not be followed by another is not proposed.
func (m *Machine) carries(members []*pb.Member, now int64) bool {
	there := 0
	for _, mem := range members {
		p := m.peers[mem.Id]
		if m.answers(mem.Id, now, m.cfg.ExpelAfter) || !m.lay.has(mem.Id) && p != nil && p.session != 0 {
			there++
		}
	}
	return there >= quorum(len(members))
}

// condemned picks the members to expel: a small set that explains who does not hear whom. A dead member is in every
// report; of two that do not hear each other one goes (the later in the order, rather than the one that reports most).
func (m *Machine) condemned(now int64) map[uint64]bool {
	type edge struct{ a, b uint64 }
	edges := map[edge]bool{}
	add := func(from uint64, ids []uint64) {
		for _, id := range ids {
			if m.lay.has(id) && m.lay.has(from) && id != from {
				edges[edge{min(id, from), max(id, from)}] = true
			}
		}
	}
	add(m.self.Id, m.mySuspects)
	for _, id := range m.lay.ids {
		if p := m.peers[id]; p != nil && now-p.suspectsAt < reportLife {
			add(id, p.suspects)
		}
	}
	out := map[uint64]bool{}
	// No more than leave a quorum behind, which alone decides (see staying). The worst go first, the others from the next view.
	size := len(m.lay.ids)
	for len(edges) > 0 && (size <= 2 || size-len(out) > quorum(size)) {
		degree := map[uint64]int{}
		for e := range edges {
			degree[e.a]++
			degree[e.b]++
		}
		var worst uint64
		score := -1
		for i, id := range m.lay.ids {
			if degree[id] == 0 {
				continue
			}
			s := degree[id]*4096 + i
			// Who is deaf does not hear the others and says so; that it does not answer tells who of the two it is. So it does of one that
			// has died just now, which only one of the others may have noticed: all that live have answered within half a lease.
			switch {
			case slices.Contains(m.mySuspects, id) || !m.answers(id, now, m.cfg.Lease):
				s += 2048
			case !m.answers(id, now, m.cfg.Lease/2):
				s += 1024
			}
			if id == m.self.Id {
				s -= 2047
			}
			if s > score {
				score, worst = s, id
			}
		}
		out[worst] = true
		for e := range edges {
			if e.a == worst || e.b == worst {
				delete(edges, e)
			}
		}
	}
	return out
}
