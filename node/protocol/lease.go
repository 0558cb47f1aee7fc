package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Leases (Gray & Cheriton 1989). One message a third of a lease asks each member for two things: to confirm the view
// (rule 5) and for its pair lease (rule 6). Who holds a lease counts from when it asked, who granted it from when it
// answered; each side adds its margin for drift.

func (m *Machine) askLeases(now int64) { m.askLeasesUnless(now, -1) }

// askLeasesUnless does not ask those who have been asked no longer ago than recent.
func (m *Machine) askLeasesUnless(now, recent int64) {
	if !m.lay.has(m.self.Id) {
		return
	}
	m.askedAt = now
	for _, id := range m.lay.ids {
		if p := m.peers[id]; id != m.self.Id && p != nil && now-p.asked > recent {
			m.askLease(p)
		}
	}
	m.renewed()
}

// early is by how much a lease is asked for before it is time, when a message goes to its owner anyway.
func (m *Machine) early() int64 { return m.cfg.Lease / 16 }

func (m *Machine) askLease(p *peer) {
	if !m.lay.has(m.self.Id) || p == nil || !m.lay.has(p.member.Id) {
		return
	}
	p.asked = m.now()
	m.send(p, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: p.asked, InSync: m.inSyncNow()}}})
}

func (m *Machine) onLeaseAsk(p *peer, msg *pb.Message, b *pb.LeaseAsk) {
	if !m.lay.has(p.member.Id) || !m.lay.has(m.self.Id) {
		return
	}
	if b.InSync {
		p.inSync = msg.View
	}
	now := m.now()
	grant := &pb.LeaseGrant{Asked: b.Asked, Confirm: m.vote.accepted == nil || m.is("confirm-after-accept")}
	if grant.Confirm {
		p.confirmedAt = now
	}
	// A pair lease never outlives our own view lease: whoever takes over after us waits for that one only.
	if left := m.lease.until.Load() - now; left > 0 {
		grant.Pair = min(m.cfg.Lease, left)
		p.grantEnd = max(p.grantEnd, now+grant.Pair+grant.Pair/driftShare)
	}
	m.reply(p, msg, &pb.Message{Body: &pb.Message_LeaseGrant{LeaseGrant: grant}})
	// Who is asked asks back with the answer: three frames for two leases, not four.
	if now-p.asked >= m.cfg.Lease/LeasesRenewed-m.early() {
		m.askLease(p)
	}
}

func (m *Machine) onLeaseGrant(p *peer, msg *pb.Message, b *pb.LeaseGrant) {
	if b.Asked <= m.now() {
		p.answers = max(p.answers, b.Asked)
	}
	if msg.View != m.lay.number() || b.Asked > m.now() {
		return
	}
	if b.Pair > 0 {
		until := b.Asked + min(b.Pair, m.cfg.Lease) - b.Pair/driftShare
		p.lease.extend(until)
		p.near.extend(until)
	}
	if b.Confirm && b.Asked > p.confirm {
		if p.confirm <= m.countFrom && b.Asked > m.countFrom {
			m.confirmed++
		}
		p.confirm = b.Asked
		if m.confirmed >= quorum(len(m.lay.ids))-1 {
			m.renewed()
		}
	}
}

// renewed works out our view lease from the confirmations: it runs from when so many members had last been asked as make a
// quorum with this node. A node alone in its view confirms to itself. It looks at all members, so it is called only when a quorum has
// confirmed enough later than that.
func (m *Machine) renewed() {
	need := quorum(len(m.lay.ids)) - 1
	if m.vote.accepted != nil { // we do not confirm to ourselves either
		need++
	}
	from := m.now()
	if need > 0 {
		asked := make([]int64, 0, 64)
		for _, id := range m.lay.ids {
			if p := m.peers[id]; id != m.self.Id && p != nil && p.confirm > m.leasedFrom {
				asked = append(asked, p.confirm)
			}
		}
		if len(asked) < need {
			return
		}
		slices.Sort(asked)
		from = asked[len(asked)-need]
		m.confirmed, m.countFrom = 0, max(from, m.leasedFrom)+m.cfg.Lease/32
		for _, at := range asked {
			if at > m.countFrom {
				m.confirmed++
			}
		}
	}
	if m.leasedFrom >= from {
		return
	}
	m.leasedFrom = from
	was := m.lease.until.Load()
	m.lease.until.Store(from + m.cfg.Lease - m.cfg.Lease/driftShare)
	if need == 0 && m.is("endless-alone") {
		m.lease.until.Store(1 << 62)
	}
	if was < m.now() {
		m.unpark()
		m.finishWrites()
	}
}

// leased tells whether this node may act as an owner now: a majority has confirmed the view within a lease.
func (m *Machine) leased() bool {
	return m.now() < m.lease.until.Load() || m.is("no-view-lease")
}

// inTouch tells whether this node has the majority of its view. One that hands over from outside the view, or has done so, has no lease, needs none
// to bring operations to their owners, and has the majority as long as it hears one: the members answer its Leave.
func (m *Machine) inTouch() bool {
	switch {
	case m.lay == nil:
		return false
	case m.lay.self >= 0:
		return m.leased()
	}
	now, heard := m.now(), 0
	for _, id := range m.lay.ids {
		if !m.silent(id, now) {
			heard++
		}
	}
	return heard >= quorum(len(m.lay.ids))
}

// NoMajority tells whether this node has lost touch with the majority, or is in no cluster.
func (m *Machine) NoMajority() bool { return !m.inTouch() }

// endNear voids what was read from the peer: the session that would have brought invalidations has ended or is new.
func (m *Machine) endNear(p *peer) {
	if m.is("near-outlives-session") {
		return
	}
	p.near.until.Store(0)
	p.near = &Lease{}
	if m.lay != nil {
		for i := range m.parts {
			if !m.parts[i].holder && m.lay.owner(i) == p.member.Id {
				m.store.WipeNear(i)
			}
		}
	}
	if m.lay.has(p.member.Id) {
		m.publish()
	}
}
