package protocol

import (
	"slices"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// copiesOf lists who must confirm a write beside the owner: the copies of the present view, and, until it settles, those
// who held the partition in its history and may still be pulled from. So no source ever holds less than what was
// confirmed, and what is pulled from it cannot be older than a newer value that has meanwhile ended (rule 8).
func (m *Machine) copiesOf(p int) []uint64 {
	var ids []uint64
	for k, i := range m.lay.table.Owners(p) {
		if k > 0 {
			ids = append(ids, m.lay.ids[i])
		}
	}
	if m.is("forget-sources") {
		return ids
	}
	for _, h := range m.hist {
		for _, i := range h.table.Owners(p) {
			id := h.ids[i]
			if id != m.self.Id && (m.lay.has(id) || m.lay.isLeaving(id)) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// sendCopy sends a copy what it is to confirm. Without a session it waits for that (resend), and a value also while much waits on the
// session: then for its turn. A deletion is small, and does not.
func (m *Machine) sendCopy(id uint64, w *write, e *store.Entry) {
	q := m.peers[id]
	if q != nil && q.session != 0 && len(e.Value) > 0 && (len(q.backlog) > 0 || m.crowded(q)) {
		q.backlog = append(q.backlog, w)
		return
	}
	m.send(q, m.copyOf(w, e))
}

func (m *Machine) copyOf(w *write, e *store.Entry) *pb.Message {
	msg, to := pb.NewCopy(w.id)
	m.fill(to, e)
	return msg
}

// pump sends a copy what waits for its turn, as far as there is room.
func (m *Machine) pump(q *peer) {
	for len(q.backlog) > 0 && !m.crowded(q) {
		w := q.backlog[0]
		q.backlog[0] = nil
		q.backlog = q.backlog[1:]
		if m.writes[w.id] == w && slices.Contains(w.copies, q.member.Id) {
			m.send(q, m.copyOf(w, m.newest(w)))
		}
	}
	if len(q.backlog) == 0 {
		q.backlog = nil
	}
}

func (m *Machine) onCopy(p *peer, msg *pb.Message, b *pb.Copy) {
	if b.Entry == nil {
		return
	}
	part := ring.PartitionOf(b.Entry.Key, len(m.parts))
	pt := &m.parts[part]
	if !pt.holder && !m.heldInHistory(part) || m.lay.owner(part) != p.member.Id {
		return // the view says who may send copies; the owner will find out
	}
	e := entryFrom(b.Entry, m.now())
	pt.wrote(e)
	m.endRevocation(part, e)
	if cur, ok := m.store.Put(part, e); !ok && e.Kind == store.Live && cur != nil && cur.Kind == store.Live {
		// Not kept (no room, or cut): then at least nothing older stays.
		m.store.Remove(part, e.Key, e.Version)
	}
	m.reply(p, msg, pb.NewCopyReply())
}

// endRevocation: an owner that writes to a key after it was revoked has found the retention ended, or has given the revocation up for
// lack of room. On this clock, and counted from when it arrived here, it may go on for a moment; but what the owner confirms is to be here.
func (m *Machine) endRevocation(part int, e *store.Entry) {
	cur := m.store.Get(part, e.Key)
	if cur != nil && cur.Kind == store.Revoked && e.Kind != store.Revoked && e.Version > cur.Version && !m.is("own-retention") {
		m.store.Remove(part, e.Key, cur.Version)
	}
}

func (m *Machine) onCopyReply(p *peer, msg *pb.Message) {
	p.confirmed = m.now()
	if w := m.writes[msg.Id]; w != nil {
		if i := slices.Index(w.copies, p.member.Id); i >= 0 {
			w.copies = slices.Delete(w.copies, i, i+1)
			delete(m.byPeer[p.member.Id], w.id)
			m.finishWrite(w)
		}
	}
	m.pump(p)
}

// resend repeats, on a new session, the copies that were not confirmed.
func (m *Machine) resend(p *peer) {
	for _, w := range sortedWrites(m.byPeer[p.member.Id]) {
		if slices.Contains(w.copies, p.member.Id) && m.writes[w.id] == w {
			m.sendCopy(p.member.Id, w, m.newest(w))
		}
	}
}

// newest is what a copy is sent again for a write under way: what is here of the key now. If the value written is here no more, for it
// has been cut, has ended or was evicted, it is no value that a new copy gets: that one may not know of the cut yet.
func (m *Machine) newest(w *write) *store.Entry {
	e := m.store.Get(w.part, w.entry.Key)
	switch {
	case e != nil && e.Version >= w.entry.Version && !e.IsProvisional() && !e.Near:
		return e
	case w.entry.Kind != store.Live || m.is("resend-void"):
		return w.entry
	}
	e = store.NewEntry(w.entry.Key)
	e.Version, e.Kind, e.Expires = w.entry.Version, store.Tombstone, m.now()+min(m.cfg.Retention, m.cfg.Tombstone)
	return e
}
