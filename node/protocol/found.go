package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Founding a cluster (rule 2). It must not happen beside another that is only out of sight: its members could be within reach again with
// the next message, and two clusters would serve the same keys. What gossip knows may be of before a cut. So who founds has asked
// all it has met, over the present sessions, and each has answered that it is in no cluster and for a lease enters none but that one. With
// Expect, all nodes are among those: no other cluster has a member, then, and none can get one until the founder's is there.

// askOutsideEvery is how often a node that could found a cluster asks the others.
const askOutsideEvery = 100 * ms

// founding is what a node in no cluster has to do with the founding of one.
type founding struct {
	chain  uint64 // that this node would found; 0: not chosen yet
	asked  int64  // when the others were last asked
	called int64  // when those were last asked to be heard that gossip does not know
	unseen uint64 // the chain of one that is out of sight, and not known to have ended; 0: there is none
	said   int64  // when the others were last told that this node waits for that
	gaveUp uint64 // the chain that this node was in before: who of it is out of sight was so when it was given up

	// What this node has promised: it enters no chain but this one.
	to, only uint64
	until    int64
	// Of the processes that have asked in vain the first by foundsBefore, and when: its turn is next.
	next   uint64
	nextAt int64
}

// tickOutside: in no cluster. Ask to be let in, or found one.
func (m *Machine) tickOutside(now int64) {
	if m.leaving { // nothing is held here any more
		return
	}
	m.watchName(now)
	chains, alone, first := false, true, true
	with, barred, barredFirst := 1, 0, false
	met := map[string]bool{m.self.Name: true} // by name: the process before a restart may still be known
	m.callOut(now)
	for _, id := range slices.Clone(m.order) {
		p := m.peers[id]
		switch {
		case m.hung(p, now):
			if m.mayGoOn(p) {
				m.found.unseen = p.chain
			}
			continue
		case p.session == 0 && !p.gossiped && m.mayGoOn(p):
			m.dropIfUseless(id)
			chains = chains || m.peers[id] == p
			continue
		case p.session == 0 && (!p.gossiped || m.provenDead(p.member)):
			continue
		}
		alone = false
		switch {
		case p.session != 0:
			met[p.member.Name] = true
			with++
		case p.barred:
			barred++
		}
		switch {
		case p.chain != 0:
			chains = true
		case !foundsBefore(id, m.self.Id):
		case p.session == 0 && p.barred && !m.is("barred-holds-up"): // it founds none for this node
			barredFirst = true
		case p.waitsFor != 0 && !m.is("waiting-holds-up"):
		default:
			first = false
		}
	}
	if now-m.joinedAt >= joinEvery && m.mayComeBack(now) {
		m.joinedAt = now
		for _, id := range m.order {
			if p := m.peers[id]; p.session != 0 && p.chain != 0 {
				m.send(p, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: m.self}}})
			}
		}
	}
	if chains {
		m.knewAt = now
	} else if m.found.unseen != 0 && m.chosen == nil {
		m.exiled = true
		m.sayWaits(now)
	}
	if chains || now < m.foundAfter || m.chosen != nil || m.inExile(now) {
		return
	}
	if m.found.chain == 0 {
		m.found.chain = m.env.Random() | 1
	}
	v := &pb.View{Chain: m.found.chain, Number: 1, Members: []*pb.Member{m.self}}
	switch {
	case !m.prepared(v): // its ring comes first: between the answers and the founding there must be no time
		return
	case m.cfg.Solo && alone:
	case barred > with, barred == with && barredFirst, barred > 0 && now-m.metAt < m.cfg.Settle+2*m.cfg.ExpelAfter: // it is this node that does not fit, or the turn of as many; or a cluster may be there
		return
	case !m.reached && alone, !first, now-m.metAt < m.cfg.Settle, len(met) < m.cfg.Expect, !m.allOutside(now):
		return
	}
	m.learn(v)
}

// notExiled is set in the ids of all processes but those that started over because another cluster stands. Their ids are below all others, for of two
// processes the one with the smaller id dials: it is they who have to find the others.
const notExiled = 1 << 63

// NewID makes the id of a process that starts of a random number.
func NewID(random uint64) uint64 { return random | notExiled | 1 }

// foundsBefore is the order in which those outside found: by their ids, and exiles last.
func foundsBefore(id, other uint64) bool { return id^notExiled < other^notExiled }

// mayGoOn tells, for a node in no cluster, whether a peer that it does not hear may go on in one: it is not known to have ended, nor has it said that it
// goes.
func (m *Machine) mayGoOn(p *peer) bool {
	return m.lay == nil && p.chain != 0 && p.chain != m.found.gaveUp && !p.goes && p.refused == 0 && !m.provenDead(p.member) && !m.is("unseen-founds")
}

// sayWaits tells the others that this node founds no cluster for now, so that it holds up none of them. It does not take another id for that, for it may
// be a member under this one, and have to learn it yet: without it that cluster might have no majority.
func (m *Machine) sayWaits(now int64) {
	if now-m.found.said < askOutsideEvery || !m.inExile(now) {
		return
	}
	m.found.said = now
	for _, id := range m.order {
		m.send(m.peers[id], &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Answer: true, Chain: m.found.unseen}}})
	}
}

// inExile tells whether this node founds no cluster because one expelled it, or it gave its own up for one, or has waited for one to let it in, which may
// be there though nobody of it is within reach. It waits for that as long as a part without a majority does for the others. It holds nobody up, for who has been started since
// knows of no cluster, and may found one with this node in it.
func (m *Machine) inExile(now int64) bool {
	return m.exiled && (m.cfg.ForgetAfter == 0 || now-m.knewAt <= m.cfg.ForgetAfter) && !m.is("exile-founds")
}

// callOut asks the peers with a session that gossip does not know to be heard. After a cut gossip may take long to find them again, and members of a cluster
// say nothing to who is in none: that must not pass for a process that is stopped. The answer tells in which cluster they are, too.
func (m *Machine) callOut(now int64) {
	if now-m.found.called < askOutsideEvery || m.is("hung-unasked") {
		return
	}
	m.found.called = now
	for _, id := range m.order {
		if p := m.peers[id]; p.session != 0 && !p.gossiped {
			p.calls++
			m.send(p, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: now}}})
		}
	}
}

// hung tells whether a peer neither answers nor gossips, though its session stands: a process that is stopped, whose kernel still is there. What counts is how
// often it was asked: in a pause of this node nobody is.
func (m *Machine) hung(p *peer, now int64) bool {
	if m.is("hung-unasked") {
		return p.session != 0 && !p.gossiped && now-p.heard > m.cfg.ExpelAfter
	}
	return p.session != 0 && !p.gossiped && int64(p.calls)*askOutsideEvery > m.cfg.ExpelAfter
}

// allOutside tells whether all peers within reach are known to be in no cluster, and to enter none but this node's for long enough.
// Those of whom it is not known are asked. A promise lasts for a lease from the answer; here it counts for half of one, from the question.
func (m *Machine) allOutside(now int64) bool {
	if m.is("found-unasked") {
		return true
	}
	all, ask := true, now-m.found.asked >= askOutsideEvery
	for _, id := range m.order {
		p := m.peers[id]
		if p.session == 0 || m.hung(p, now) || p.outsideAt != 0 && now-p.outsideAt < m.cfg.Lease/2 {
			continue
		}
		all = false
		if ask {
			m.found.asked = now
			m.send(p, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: now, Outside: true, Chain: m.found.chain}}})
		}
	}
	return all
}

// promiseOutside answers who asks: true only if this node is in no cluster, knows of none, and has promised nobody else. Of several that ask
// the first by foundsBefore has the next turn, so that none is kept waiting by others that found nothing.
func (m *Machine) promiseOutside(p *peer, chain uint64) bool {
	now, f := m.now(), &m.found
	if m.lay != nil || m.chosen != nil || m.left {
		return false
	}
	for _, id := range m.order {
		if q := m.peers[id]; q.session != 0 && q.chain != 0 {
			return false
		}
	}
	id, waits := p.member.Id, now-f.nextAt < m.cfg.Lease
	if now < f.until && f.to != id || waits && foundsBefore(f.next, id) {
		if !waits || !foundsBefore(f.next, id) {
			f.next, f.nextAt = id, now
		}
		return false
	}
	f.to, f.only, f.until = id, chain, now+m.cfg.Lease
	return true
}

// promisedAway tells whether this node has promised not to enter a chain just now. It will be told of it again.
func (m *Machine) promisedAway(chain uint64) bool {
	return m.now() < m.found.until && chain != m.found.only
}
