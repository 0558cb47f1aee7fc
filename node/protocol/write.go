package protocol

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// write is a write under way at the owner: applied here, sent to the copies and to the holders of near copies, all in
// parallel; confirmed when every copy of the view has it and nobody can serve the older value any more (rule 7).
type write struct {
	id      uint64
	part    int
	entry   *store.Entry
	started int64
	copies  []uint64     // copies that have not confirmed
	waits   []waitHolder // others that may still serve the older value
	existed bool
	done    func(*pb.WriteReply)
}

// waitHolder is a node that may serve the older value until it confirms, its session is replaced, it is known to go by
// the present view (for copies of an earlier one), or its lease ends.
type waitHolder struct {
	peer, session uint64
	until         int64
	adopts        bool
}

func (m *Machine) onWrite(p *peer, msg *pb.Message, b *pb.Write) {
	session := p.session
	if !m.parts[ring.PartitionOf(b.Key, len(m.parts))].owner {
		m.refuse(p, msg)
		return
	}
	m.serveWrite(b, func(r *pb.WriteReply) {
		if p.session == session {
			m.reply(p, msg, pb.NewWriteReply(r))
		}
	})
}

// serveWrite does a write as the owner. done is called once, or never if the node loses the partition's chain.
func (m *Machine) serveWrite(b *pb.Write, done func(*pb.WriteReply)) {
	p := ring.PartitionOf(b.Key, len(m.parts))
	if !m.parts[p].acting || !m.leased() || m.spent() {
		done(&pb.WriteReply{Status: pb.Status_UNSURE})
		return
	}
	if len(m.writes) >= m.cfg.MaxPending {
		done(&pb.WriteReply{Status: pb.Status_FULL})
		return
	}
	m.withKey(p, b.Key, func(ok bool) {
		if !ok || !m.parts[p].acting || !m.leased() || m.spent() {
			done(&pb.WriteReply{Status: pb.Status_UNSURE})
			return
		}
		m.apply(p, b, done)
	})
}

// apply checks a write's conditions, makes the entry and sends it out.
func (m *Machine) apply(p int, b *pb.Write, done func(*pb.WriteReply)) {
	now := m.now()
	cur := m.store.Get(p, b.Key)
	live := cur != nil && cur.Kind == store.Live
	switch {
	case cur != nil && cur.Kind == store.Revoked && b.Kind == pb.Kind_LIVE:
		done(&pb.WriteReply{Status: pb.Status_GONE})
		return
	case b.IfAbsent && live, b.IfPresent && !live && !m.is("present-or-not"), b.IfVersion != 0 && (!live || cur.Version != b.IfVersion):
		done(&pb.WriteReply{Status: pb.Status_CONDITION, Existed: live})
		return
	case b.Touch && !live:
		done(&pb.WriteReply{Status: pb.Status_ABSENT})
		return
	case b.Origin != 0 && !m.knowsCuts(b.Origin) && !m.is("age-unread"):
		done(&pb.WriteReply{Status: pb.Status_UNSURE})
		return
	case b.Ticket != 0 && !m.is("no-ticket") && m.staleFill(p, b, live), b.Origin != 0 && !m.is("made-anew") && m.store.CutSince(b.Tags, b.Origin):
		done(&pb.WriteReply{Status: pb.Status_STALE_FILL})
		return
	}
	size := len(b.Value)
	if b.Touch {
		size = len(cur.Value)
	}
	if size > 0 && m.unacked > 0 && m.unacked+size > m.cfg.MaxUnacked {
		done(&pb.WriteReply{Status: pb.Status_FULL})
		return
	}
	e := store.NewEntry(b.Key)
	e.Value, e.Version, e.Tags, e.Kind = store.Text(b.Value), m.nextVersion(), b.Tags, store.Kind(b.Kind)
	switch { // a cut judges an entry by the age of its value
	case b.Touch:
		e.Value, e.Tags, e.Origin = cur.Value, cur.Tags, cur.Age()
	case b.Ticket != 0 && !m.is("no-ticket"):
		e.Origin = b.Ticket &^ ofHit
	}
	saves := live && !b.Touch && b.Kind == pb.Kind_LIVE && (b.IfPresent || b.IfVersion != 0 || b.Ticket != 0)
	if saves && (b.Ticket == 0 || b.Origin == 0) && !m.is("save-is-new") { // what is made of another key's entry, under a ticket, is not made of this one
		age, ok := m.savedAge(cur, b.Tags, now)
		if !ok {
			done(&pb.WriteReply{Status: pb.Status_UNSURE})
			return
		}
		e.Origin = min(e.Age(), age)
	}
	if b.Origin != 0 && !m.is("made-anew") {
		e.Origin = min(e.Age(), m.recentAge(b.Origin, now))
	}
	switch {
	case b.KeepTtl && live:
		e.Expires = cur.Expires
	case b.Ttl > 0:
		e.Expires = after(now, b.Ttl)
	}
	if e.Kind != store.Live {
		e.Value, e.Tags = "", nil
		retain := m.cfg.Retention
		if cur != nil && cur.Kind == store.Revoked {
			e.Kind = store.Revoked // a plain delete does not weaken an earlier revocation
		} else if e.Kind == store.Tombstone {
			retain = min(retain, m.cfg.Tombstone)
		}
		e.Expires = after(now, retain)
	}
	if _, ok := m.store.Put(p, e); !ok {
		status := pb.Status_TOO_LARGE
		if e.Kind != store.Live { // what is here claims to be newer: it is not to be confirmed as deleted
			status = pb.Status_UNSURE
		}
		done(&pb.WriteReply{Status: status})
		return
	}
	w := &write{id: m.nextID(), part: p, entry: e, started: now, existed: live, done: done}
	m.writes[w.id] = w
	m.unacked += len(e.Value)
	pt := &m.parts[p]
	pt.wrote(e)
	w.copies = m.copiesOf(p)
	if !m.is("skip-near") {
		m.waitFor(w, pt)
	}
	for _, id := range w.copies {
		m.await(id, w)
		m.sendCopy(id, w, e)
	}
	m.finishWrite(w)
}

// wrote notes a key written while its partition is still being pulled: what a source sends of it is older, also when the
// new value has ended or been evicted before that comes.
func (pt *part) wrote(e *store.Entry) {
	if !pt.holder || pt.complete.Load() {
		return
	}
	if pt.written == nil {
		pt.written = map[string]uint64{}
	}
	key := strings.Clone(e.Key)
	pt.written[key] = max(pt.written[key], e.Version)
}

// staleFill: has the key been written, deleted or cut since the read that gave the ticket, or can we not tell? What was
// written since may have ended by its TTL or been evicted, a tombstone too: the partition remembers the latest version
// that did. A ticket of another chain, in which its asker was before it started over, says nothing of what was written in this one.
func (m *Machine) staleFill(p int, b *pb.Write, live bool) bool {
	t := b.Ticket &^ ofHit
	if b.Ticket != t && live && m.is("ticket-of-any-hit") {
		return false
	}
	return b.TicketChain != m.lay.view.Chain && !m.is("any-chain") || b.Ticket != t && !live && !m.is("ticket-of-what-has-gone") ||
		m.store.Version(p, b.Key) > t || m.store.Floor(p) > t || m.parts[p].since > t>>viewShift || m.store.CutSince(b.Tags, t) ||
		m.store.Ended(p) > t && !m.is("forget-ended")
}

// waitFor collects who else may serve an older value of the key, and tells the holders of near copies to drop theirs.
func (m *Machine) waitFor(w *write, pt *part) {
	now := m.now()
	for _, h := range pt.holders[w.entry.Key] {
		q := m.peers[h.peer]
		if q == nil || q.session != h.session && q.proven {
			continue // its session was replaced
		}
		// Told in any case: the next lease, on the same stream, comes after it. Waited for only while it has one.
		if q.session == h.session {
			m.invalidate(q, w)
		}
		if q.grantEnd <= now {
			continue
		}
		w.waits = append(w.waits, waitHolder{peer: h.peer, session: h.session, until: q.grantEnd})
		m.await(h.peer, w)
	}
	m.waitEarlier(w)
}

// invalidate tells the holder of a near copy of what is written to drop it.
func (m *Machine) invalidate(q *peer, w *write) {
	m.send(q, &pb.Message{Id: w.id, Body: &pb.Message_Invalidate{Invalidate: &pb.Invalidate{Key: w.entry.Key, Version: w.entry.Version}}})
}

// waitEarlier adds those who held the partition in an earlier view and may not know of the present one.
func (m *Machine) waitEarlier(w *write) {
	if m.barrierOff {
		return
	}
	now := m.now()
	for _, h := range m.hist {
		for _, i := range h.table.Owners(w.part) {
			id := h.ids[i]
			q := m.peers[id]
			if id == m.self.Id || q == nil || m.adopted(id) || slices.Contains(w.copies, id) || q.grantEnd <= now {
				continue
			}
			if !slices.ContainsFunc(w.waits, func(x waitHolder) bool { return x.peer == id && x.adopts }) {
				w.waits = append(w.waits, waitHolder{peer: id, until: q.grantEnd, adopts: true})
			}
		}
	}
}

func (m *Machine) await(id uint64, w *write) {
	ws := m.byPeer[id]
	if ws == nil {
		ws = map[uint64]*write{}
		m.byPeer[id] = ws
	}
	ws[w.id] = w
}

// finishWrite answers a write if it is confirmed.
func (m *Machine) finishWrite(w *write) {
	if len(w.copies) > 0 && !m.is("ack-before-copies") {
		return
	}
	now := m.now()
	n := len(w.waits)
	w.waits = slices.DeleteFunc(w.waits, func(h waitHolder) bool {
		over := now >= h.until || m.adopted(h.peer) && (h.adopts || !m.lay.has(h.peer))
		if over {
			delete(m.byPeer[h.peer], w.id)
		}
		return over
	})
	if len(w.waits) != n {
		for _, h := range w.waits { // of one that is waited for twice
			m.await(h.peer, w)
		}
	}
	pt := &m.parts[w.part]
	if len(w.waits) > 0 || pt.fresh && !m.barrierOff || !pt.acting || !m.leased() {
		return
	}
	m.drop(w)
	w.done(&pb.WriteReply{Status: pb.Status_OK, Version: w.entry.Version, Existed: w.existed})
}

func (m *Machine) drop(w *write) {
	delete(m.writes, w.id)
	m.unacked -= len(w.entry.Value)
	for _, id := range w.copies {
		delete(m.byPeer[id], w.id)
	}
	for _, h := range w.waits {
		delete(m.byPeer[h.peer], w.id)
	}
}

// onInvalidate drops a near copy. The answer says only that: a later near copy is a later read.
func (m *Machine) onInvalidate(p *peer, msg *pb.Message, b *pb.Invalidate) {
	m.store.RemoveNear(ring.PartitionOf(b.Key, len(m.parts)), b.Key, b.Version)
	m.reply(p, msg, &pb.Message{Body: &pb.Message_InvalidateReply{InvalidateReply: &pb.InvalidateReply{}}})
}

func (m *Machine) onInvalidateReply(p *peer, msg *pb.Message) {
	w := m.writes[msg.Id]
	if w == nil {
		m.recalled(p, msg.Id)
		return
	}
	m.dropped(p, w.part, w.entry.Key, w.id) // only now: until then a further write of the key must wait for this holder too
	m.unwait(w, p)
}

// unwait: the peer can no longer serve what it held under this session or an earlier one.
func (m *Machine) unwait(w *write, p *peer) {
	n := len(w.waits)
	w.waits = slices.DeleteFunc(w.waits, func(h waitHolder) bool { return h.peer == p.member.Id && !h.adopts })
	if len(w.waits) != n {
		if !slices.Contains(w.copies, p.member.Id) {
			delete(m.byPeer[p.member.Id], w.id)
		}
		m.finishWrite(w)
	}
}

// proved: a message has come on a new session, so the peer has dropped the near copies it held under earlier ones.
func (m *Machine) proved(p *peer) {
	for _, w := range sortedWrites(m.byPeer[p.member.Id]) {
		m.unwait(w, p)
	}
}

func sortedWrites(ws map[uint64]*write) []*write {
	return slices.SortedFunc(maps.Values(ws), func(a, b *write) int { return cmp.Compare(a.id, b.id) })
}

// rewrite carries the writes under way into a new view. Where this node owns the partition still, the new copies get them too, and the former ones
// count as holders until their leases end. The others are for the new owner to do. So are those of a partition that was another's in a view that this
// node has missed, though it is the new owner itself: what it held may be provisional now, and be older than what it has missed.
func (m *Machine) rewrite() {
	for _, id := range m.order {
		m.peers[id].backlog = nil
	}
	for _, w := range sortedWrites(m.writes) {
		pt := &m.parts[w.part]
		if !pt.owner || pt.since > w.entry.Version>>viewShift && !m.is("write-goes-on") {
			m.drop(w)
			w.done(&pb.WriteReply{Status: pb.Status_NOT_OWNER, Applied: true})
			continue
		}
		for _, id := range w.copies {
			delete(m.byPeer[id], w.id)
		}
		w.copies = m.copiesOf(w.part)
		m.waitEarlier(w)
		for _, id := range w.copies {
			m.await(id, w)
			m.sendCopy(id, w, m.newest(w))
		}
		for _, h := range w.waits {
			m.await(h.peer, w)
			if q := m.peers[h.peer]; !h.adopts && q != nil && q.session == h.session { // it may have been ahead, and has not taken the first
				m.invalidate(q, w)
			}
		}
	}
	m.finishWrites()
}

// abandonWrites: the chain is given up; nobody is answered, the askers notice that the session is gone.
func (m *Machine) abandonWrites() {
	for _, w := range sortedWrites(m.writes) {
		m.drop(w)
		w.done(&pb.WriteReply{Status: pb.Status_UNSURE, Applied: true})
	}
	m.byPeer = map[uint64]map[uint64]*write{}
	for _, id := range m.order {
		m.peers[id].backlog = nil
	}
}

func (m *Machine) finishWrites() {
	for _, w := range sortedWrites(m.writes) {
		if m.writes[w.id] == w {
			m.finishWrite(w)
		}
	}
}

// tickWrites ends the writes whose holders' leases have run out, and sends what there is room for now.
func (m *Machine) tickWrites() {
	if len(m.writes) == 0 {
		return
	}
	m.finishWrites()
	for _, id := range m.order {
		m.pump(m.peers[id])
	}
}

// slowest is how many times as long as one that confirms nothing a copy may take that confirms one write after the other.
const slowest = 5

// stuck tells whether a member holds up a write as a copy for longer than a living one would (rule 7).
func (m *Machine) stuck(id uint64, now int64) bool {
	q := m.peers[id]
	if q == nil {
		return false
	}
	for _, w := range m.byPeer[id] {
		since := max(w.started, m.lay.adoptedAt, min(q.confirmed, w.started+(slowest-1)*m.cfg.ExpelAfter))
		if now-since > m.cfg.ExpelAfter && slices.Contains(w.copies, id) {
			return true
		}
	}
	return false
}
