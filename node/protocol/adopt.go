package protocol

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// part is this node's part in one partition, in the present view.
type part struct {
	holder   bool
	owner    bool
	acting   bool        // the owner, and every earlier owner has stopped or run out (rule 8)
	fresh    bool        // taken over in this view or an unsettled one: writes wait for the barrier
	complete atomic.Bool // holds everything acknowledged so far
	sources  []uint64    // still to be pulled from, while not complete
	after    string      // how far the first source has been pulled
	started  bool
	pulling  bool
	holders  map[string][]holder // owner: who holds near copies of which key
	since    uint64              // owner: the view in which it took over
	written  map[string]uint64   // while not complete: the keys written here directly, with their versions
}

func (pt *part) reset() {
	pt.holder, pt.owner, pt.acting, pt.fresh = false, false, false, false
	pt.complete.Store(false)
	pt.sources, pt.after, pt.started, pt.pulling, pt.holders, pt.since, pt.written = nil, "", false, false, nil, 0, nil
}

// adopt goes on in view v: roles, leases, transfers, and what waits for them.
func (m *Machine) adopt(v *pb.View) {
	now := m.now()
	old := m.lay
	lay, err := m.lays.layout(v, m.self.Id)
	if err != nil {
		m.log.Error("view without a ring", "view", v.Number, "error", err)
		return
	}
	hist := make([]*layout, 0, len(v.History))
	for _, s := range v.History {
		h, err := m.lays.layout(&pb.View{Chain: v.Chain, Number: s.Number, Members: s.Members}, m.self.Id)
		if err != nil {
			m.log.Error("view without a ring", "view", s.Number, "error", err)
			return
		}
		hist = append(hist, h)
	}
	lay.adoptedAt, m.stirred = now, true
	m.Counters.Views.Add(1)
	// The old leases die before anything is moved: a read that began under them finds them dead or began in time.
	// Ours goes on in the new view as long as it ran: it began before this view was chosen (rule 5).
	until := m.lease.until.Swap(0)
	m.lease, m.confirmed = &Lease{}, 0
	if lay.has(m.self.Id) && !m.is("no-view-lease") {
		m.lease.until.Store(until)
	}
	if old == nil {
		m.cutsFrom, m.cameAt, m.exiled, m.cutsUnread = 0, now, false, len(hist) > 0
		if m.cutsUnread {
			m.cutsFrom = v.Number << viewShift
		}
	}
	m.lay, m.hist = lay, hist
	m.forgetFences()
	m.forgetView()
	m.pleaseAt = 0
	for _, id := range lay.ids {
		delete(m.joiners, id)
	}
	for id := range m.leavers {
		if !lay.has(id) {
			delete(m.leavers, id)
		}
	}
	for _, mem := range v.Members {
		if mem.Id != m.self.Id {
			m.meet(mem)
		}
	}
	for _, id := range m.order {
		p := m.peers[id]
		p.confirm, p.decidedAt = 0, 0
		// What was said of who was no member before is of an earlier time of its.
		p.suspects = slices.DeleteFunc(slices.Clone(p.suspects), func(id uint64) bool { return !old.has(id) })
	}
	m.barrier = now + m.cfg.Lease + m.cfg.Lease/driftShare
	if m.is("no-view-wait") {
		m.barrier = now
	}
	// Founded: nobody was before. Settled: the same members as before, all of which had adopted the view before this one; that ends
	// with the first check.
	m.barrierOff = v.Number == 1
	m.behind = map[uint64]bool{}
	for _, h := range hist {
		for _, id := range h.ids {
			if !m.adopted(id) {
				m.behind[id] = true
			}
		}
	}
	if m.guest() && (old.has(m.self.Id) || old.isLeaving(m.self.Id)) {
		m.countLost(old)
	}
	for p := range m.parts {
		m.adoptPart(p, old)
	}
	m.setTellers()
	m.toPull = m.missing
	m.endKeyPulls(func(*keyPull) bool { return true }, false)
	m.publish()
	m.checkBarrier()
	m.announce()
	m.env.Event("view", "", describe(viewOf(old), v))
	for _, id := range slices.Clone(m.order) {
		m.dropIfUseless(id)
	}
	m.askLeases(now)
	if !lay.has(m.self.Id) { // nor has it anything to ask: the new owners of what it held wait to hear that it knows
		for _, id := range lay.ids {
			m.send(m.peers[id], &pb.Message{})
		}
	}
	m.rewrite()
	m.restartCuts()
	m.moveOps()
	m.unstash()
	m.unpark()
}

// forgetView drops what concerns one view alone.
func (m *Machine) forgetView() {
	m.vote, m.campaign, m.prospected, m.wantedAt, m.expelsAt, m.mySuspects = vote{}, nil, nil, 0, 0, nil
	m.pulls, m.cutPulls, m.tellers, m.waiting, m.missing, m.ahead = map[uint64]*pull{}, map[uint64]*cutPull{}, nil, nil, 0, false
}

func viewOf(l *layout) *pb.View {
	if l == nil {
		return nil
	}
	return l.view
}

// between are the sets that were in force after the view we come from, oldest first, without the present one.
func (m *Machine) between(old *layout) []*layout {
	for i, h := range m.hist {
		if h.number() > old.number() {
			return m.hist[i:]
		}
	}
	return nil
}

// adoptPart settles this node's part in partition p.
func (m *Machine) adoptPart(p int, old *layout) {
	pt := &m.parts[p]
	wasHolder, wasActing, wasOwner := pt.holder, pt.acting, uint64(0)
	if old != nil {
		wasOwner = old.owner(p)
		for _, h := range m.between(old) {
			hold, own := h.mine(p)
			wasHolder = wasHolder && hold
			wasActing = wasActing && own
		}
	}
	holder, owner := m.lay.mine(p)
	pt.holder, pt.owner, pt.pulling, pt.after, pt.started = holder, owner, false, "", false

	// Near copies go when the owner changes (rule 8), and with all else when this node becomes a holder: quarantine.
	if wasOwner != m.lay.owner(p) || slices.ContainsFunc(m.between(old), func(h *layout) bool { return h.owner(p) != m.lay.owner(p) }) {
		m.store.WipeNear(p)
	}
	if !owner {
		m.forgetHolders(pt)
	}
	switch {
	case owner && wasActing:
		pt.acting = true // keeps fresh as it was
	case owner:
		pt.acting, pt.fresh, pt.since = false, true, m.lay.number()
		m.forgetHolders(pt)
		m.waiting = append(m.waiting, p)
	default:
		pt.acting = false
	}

	switch {
	case !holder:
		pt.complete.Store(false)
		pt.sources, pt.written = nil, nil
		if !m.heldInHistory(p) { // near copies too: an Invalidate sent in the view before is refused in this one
			m.store.Wipe(p)
		}
	case wasHolder && pt.complete.Load():
	case wasHolder:
		m.setSources(pt, p)
	default:
		m.quarantine(p)
		pt.written = nil
		pt.complete.Store(false)
		m.setSources(pt, p)
	}
	if m.is("serve-unsynced") && holder {
		m.store.Confirm(p)
	}
}

func (m *Machine) heldInHistory(p int) bool {
	for _, h := range m.hist {
		if hold, _ := h.mine(p); hold {
			return true
		}
	}
	return false
}

// quarantine keeps what an earlier tenure left here, if it can still be of use, but serves nothing of it.
func (m *Machine) quarantine(p int) {
	if m.is("no-quarantine") {
		return
	}
	var left []*store.Entry
	if m.heldInHistory(p) {
		left, _ = m.store.List(p, "", false, math.MaxInt)
	}
	// The floor of the earlier tenure goes too: tickets from before this one are refused anyway.
	m.store.Wipe(p)
	for _, e := range left {
		m.store.Put(p, e.Again(true))
	}
}

// setSources decides whom to pull partition p from (rule 8, sources). After a settled view every holder of that view
// has everything, so one of them will do. After several unsettled ones only all who held it, together, are sure to.
func (m *Machine) setSources(pt *part, p int) {
	pt.sources = pt.sources[:0]
	for _, h := range m.hist {
		for _, i := range h.table.Owners(p) {
			id := h.ids[i]
			if id == m.self.Id || !m.lay.has(id) && !m.lay.isLeaving(id) || slices.Contains(pt.sources, id) {
				continue
			}
			pt.sources = append(pt.sources, id)
			if len(m.hist) == 1 {
				break
			}
		}
	}
	if len(pt.sources) == 0 {
		pt.written = nil
		pt.complete.Store(true)
		m.store.Confirm(p)
		return
	}
	m.missing++
}

// publish makes the route that reads take.
func (m *Machine) publish() {
	if m.lay == nil || !m.lay.has(m.self.Id) || m.left {
		m.route.Store(nil)
		return
	}
	n := len(m.parts)
	r := &route{partitions: n, view: m.lease, of: make([]uint32, n)}
	const none, own, ofPeers = 0, 1, 2 // of each member its copies, then its near copies
	r.grants = append(r.grants, grant{lease: never}, grant{lease: m.lease, owned: true})
	for _, id := range m.lay.ids {
		copies, near := never, never
		if o := m.peers[id]; o != nil {
			copies, near = o.lease, o.near
		}
		r.grants = append(r.grants, grant{lease: copies}, grant{lease: near, near: true})
	}
	for p := range m.parts {
		pt, owner := &m.parts[p], uint32(m.lay.table.Owner(p))
		switch {
		case pt.acting:
			r.of[p] = own
		case pt.owner:
			r.of[p] = none
		case pt.holder:
			r.of[p] = ofPeers + 2*owner
		default:
			r.of[p] = ofPeers + 2*owner + 1
		}
	}
	m.route.Store(r)
}

// checkBarrier completes take-overs: at once where every earlier owner is known to have adopted the present view, or its lease to have
// ended (fence.go), else when all leases of earlier views have ended.
func (m *Machine) checkBarrier() {
	if m.lay == nil || m.barrierOff && len(m.waiting) == 0 {
		return
	}
	now := m.now()
	if !m.barrierOff {
		m.barrierOff = true
		for id := range m.behind {
			m.barrierOff = m.barrierOff && (now >= m.barrier || m.ended(id, now))
		}
	}
	n := len(m.waiting)
	m.waiting = slices.DeleteFunc(m.waiting, func(p int) bool {
		acting := m.barrierOff || !slices.ContainsFunc(m.hist, func(h *layout) bool {
			id := h.owner(p)
			return !m.adopted(id) && !m.ended(id, now)
		})
		m.parts[p].acting = acting
		return acting
	})
	if len(m.waiting) != n {
		m.publish()
		m.unpark()
	}
	if m.barrierOff {
		for p := range m.parts {
			m.parts[p].fresh = false
		}
		m.finishWrites()
		m.finishCuts()
	}
}

// adopted tells whether a member is known to go by the present view.
func (m *Machine) adopted(id uint64) bool {
	if id == m.self.Id {
		return true
	}
	p := m.peers[id]
	return p != nil && p.adopted >= m.lay.number()
}

// inSyncNow: a member that acts for all it owns, holds all it should hold, and has read the cuts if anybody can tell them.
func (m *Machine) inSyncNow() bool {
	return m.lay.has(m.self.Id) && m.missing == 0 && len(m.tellers) == 0 && len(m.waiting) == 0 && m.barrierOff
}

// unstash takes the messages that came ahead of the view.
func (m *Machine) unstash() {
	for _, id := range slices.Clone(m.order) {
		p := m.peers[id]
		if p == nil || len(p.stash) == 0 {
			continue
		}
		msgs := p.stash
		p.stash, p.stashed = nil, 0
		for _, msg := range msgs {
			if m.peers[id] == p && p.session != 0 {
				m.handle(p, msg)
			}
		}
	}
}
