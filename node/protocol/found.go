package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Founding a cluster (rule 2). It must not happen beside another that is only out of sight: its members could be within reach again with
// the next message, and two clusters would serve the same keys. What gossip knows may be of before a cut. So who founds has asked
// all it has met, over the present sessions, and each has answered that it is in no cluster and for a lease enters none without the founder. With
// Expect, all nodes are among those: no other cluster has a member, then, and none can get one until the founder's is there.

// askOutsideEvery is how often a node that could found a cluster asks the others.
const askOutsideEvery = 100 * ms

// outsidePromise is what this node has answered: it enters no cluster that the asker is not in.
type outsidePromise struct {
	to    uint64
	until int64
}

// tickOutside: in no cluster. Ask to be let in, or found one.
func (m *Machine) tickOutside(now int64) {
	if m.leaving { // nothing is held here any more
		m.finishLeave()
		return
	}
	m.watchName(now)
	chains, alone, smallest := false, true, true
	met := map[string]bool{m.self.Name: true} // by name: the process before a restart may still be known
	for _, id := range m.order {
		p := m.peers[id]
		if p.session == 0 && (!p.gossiped || m.provenDead(p.member)) {
			continue
		}
		alone = false
		if p.session != 0 {
			met[p.member.Name] = true
		}
		if p.chain != 0 {
			chains = true
		} else if id < m.self.Id {
			smallest = false
		}
	}
	if now-m.joinedAt >= joinEvery {
		m.joinedAt = now
		for _, id := range m.order {
			if p := m.peers[id]; p.session != 0 && p.chain != 0 {
				m.send(p, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: m.self}}})
			}
		}
	}
	if chains || now < m.foundAfter || m.chosen != nil {
		return
	}
	switch {
	case m.cfg.Solo && alone:
	case !m.reached && alone, !smallest, now-m.metAt < m.cfg.Settle, len(met) < m.cfg.Expect, !m.allOutside(now):
		return
	}
	m.learn(&pb.View{Chain: m.env.Random() | 1, Number: 1, Members: []*pb.Member{m.self}})
}

// allOutside tells whether all peers within reach are known to be in no cluster, and to enter none without this node for long enough.
// Those of whom it is not known are asked. A promise lasts for a lease from the answer; here it counts for half of one, from the question.
func (m *Machine) allOutside(now int64) bool {
	if m.is("found-unasked") {
		return true
	}
	all, ask := true, now-m.outsideAsked >= askOutsideEvery
	for _, id := range m.order {
		p := m.peers[id]
		if p.session == 0 || p.outsideAt != 0 && now-p.outsideAt < m.cfg.Lease/2 {
			continue
		}
		all = false
		if ask {
			m.outsideAsked = now
			m.send(p, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: now, Outside: true}}})
		}
	}
	return all
}

// promiseOutside answers who asks: true only if this node is in no cluster, knows of none that it is about to enter, and has promised no other.
func (m *Machine) promiseOutside(p *peer) bool {
	now := m.env.Now()
	if m.lay != nil || m.chosen != nil || m.left || m.staysOut.to != p.member.Id && now < m.staysOut.until {
		return false
	}
	for _, id := range m.order {
		if q := m.peers[id]; q.session != 0 && q.chain != 0 {
			return false
		}
	}
	m.staysOut = outsidePromise{p.member.Id, now + m.cfg.Lease}
	return true
}

// promisedAway tells whether this node has promised not to enter a cluster with these members just now. It will be told of them again.
func (m *Machine) promisedAway(members []*pb.Member) bool {
	return m.env.Now() < m.staysOut.until && !slices.ContainsFunc(members, func(x *pb.Member) bool { return x.Id == m.staysOut.to })
}
