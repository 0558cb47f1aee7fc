package protocol

import (
	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// serveGet answers a read as the owner. from is the asker, nil for this node itself. answer is called once, perhaps
// later: while the partition is being taken over, a key is first asked for at those who held it.
func (m *Machine) serveGet(from *peer, b *pb.Get, answer func(*pb.GetReply, *store.Entry)) {
	p := ring.PartitionOf(b.Key, len(m.parts))
	if !m.parts[p].acting || !m.leased() {
		answer(&pb.GetReply{Status: pb.Status_UNSURE}, nil)
		return
	}
	m.withKey(p, b.Key, func(ok bool) {
		if !ok || !m.parts[p].acting || !m.leased() {
			answer(&pb.GetReply{Status: pb.Status_UNSURE}, nil)
			return
		}
		answer(m.readNow(from, p, b))
	})
}

// readNow answers a read of a key whose present state this node knows as the owner.
func (m *Machine) readNow(from *peer, p int, b *pb.Get) (*pb.GetReply, *store.Entry) {
	e := m.store.Get(p, b.Key)
	if e == nil || e.Kind != store.Live {
		r := &pb.GetReply{Status: pb.Status_ABSENT}
		if b.Fill {
			r.Ticket = m.ticket()
		}
		return r, nil
	}
	r := &pb.GetReply{Status: pb.Status_OK}
	if from != nil && m.crowded(from) {
		return &pb.GetReply{Status: pb.Status_FULL}, nil // it asks again
	}
	if b.Fill {
		r.Ticket = m.ticket() | ofHit
	}
	if from != nil {
		r.Entry = m.entryTo(e)
		r.Keep = b.Keep && m.mayKeep(from, &m.parts[p], p, b.Key, e.Expires)
	}
	return r, e
}

// ofHit marks the ticket of a key that was there. Such a ticket may be above a cut that has been told the clock before and ends the entry after: it says
// nothing of a key that is absent by now.
const ofHit = 1 << 63

// ticket is the clock a fill is ordered by: every later write or cut has a higher version (rule 13).
func (m *Machine) ticket() uint64 {
	m.clock = max(m.clock, m.lay.number()<<viewShift)
	return m.clock
}

// heldGet is a read that came while its partition is being taken over: it is answered as soon as this node acts as the owner, and
// not asked again some ticks later. Writes are not held: one that its caller has given up must not take effect much later.
type heldGet struct {
	from    *peer
	session uint64
	msg     *pb.Message
	part    int
	at      int64
}

func (m *Machine) hold(p *peer, msg *pb.Message, part int) bool {
	if len(m.held) >= stashLimit {
		return false
	}
	m.held = append(m.held, heldGet{p, p.session, msg, part, m.now()})
	return true
}

// release answers the reads held whose partition is served now, or whose view has gone by. Others are not sure after a while.
func (m *Machine) release() {
	if len(m.held) == 0 {
		return
	}
	now, held := m.now(), m.held
	m.held = nil
	for _, h := range held {
		switch {
		case h.from.session != h.session: // the asker knows
		case h.msg.View != m.lay.number():
			if !m.answerAcross(h.from, h.msg) {
				m.refuse(h.from, h.msg)
			}
		case m.parts[h.part].acting && m.leased():
			m.onGet(h.from, h.msg, h.msg.GetGet())
		case now-h.at > holdLife:
			m.reply(h.from, h.msg, pb.NewGetReply(&pb.GetReply{Status: pb.Status_UNSURE}))
		default:
			m.held = append(m.held, h)
		}
	}
}

func (m *Machine) onGet(p *peer, msg *pb.Message, b *pb.Get) {
	part := ring.PartitionOf(b.Key, len(m.parts))
	pt := &m.parts[part]
	acts := pt.acting && m.leased()
	if pt.owner && !acts && m.hold(p, msg, part) {
		return
	}
	if !pt.owner {
		// A copy answers for an owner that the asker cannot reach, under the lease it has from that owner, and its own (fence.go).
		r := &pb.GetReply{Status: pb.Status_UNSURE}
		if o := m.peers[m.lay.owner(part)]; pt.holder && o != nil && !m.crowded(p) && (m.leased() || m.is("copy-without-view-lease")) {
			lease := o.lease
			if e := m.store.Get(part, b.Key); e != nil && !e.IsProvisional() && !e.Near && m.now() < lease.until.Load() {
				if e.Kind == store.Live {
					r = &pb.GetReply{Status: pb.Status_OK, Entry: m.entryTo(e)}
				} else if !b.Fill { // only the owner orders fills
					r.Status = pb.Status_ABSENT
				}
			}
		}
		m.reply(p, msg, pb.NewGetReply(r))
		return
	}
	if acts && m.knows(part, b.Key) { // as serveGet would, without the functions it needs to do so later
		r, _ := m.readNow(p, part, b)
		m.reply(p, msg, pb.NewGetReply(r))
		return
	}
	session := p.session
	m.serveGet(p, b, func(r *pb.GetReply, _ *store.Entry) {
		if p.session == session {
			m.reply(p, msg, pb.NewGetReply(r))
		}
	})
}
