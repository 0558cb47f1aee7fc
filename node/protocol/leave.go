package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// The graceful departure: what is held here is handed over first (rule 8). It has three steps. With Leave the others are asked for a view
// without this node, which hands over from outside that one until the view settles. From then on (HandedOver) it is a guest: it holds
// nothing, and goes by the members' views only to bring operations to their owners, as it has done while it handed over. With Part it takes no
// further operation, and has Left with the end of those under way. One that is expelled meanwhile, for it was not heard, is a guest at once,
// though it may not have handed over what only it held (Lost).

// Leave begins a graceful departure; HandedOver tells when nothing is left to be handed over.
func (m *Machine) Leave() { m.leaving, m.stirred = true, true }

// HandedOver tells whether a node that leaves holds nothing any more that others can get: until Part it goes on with operations.
func (m *Machine) HandedOver() bool {
	return m.left || m.leaving && (m.lay == nil || m.guest() || m.alone())
}

// Lost is how many entries were held here only, as far as is known, when this node was expelled, or its cluster given up, before it had handed them over.
func (m *Machine) Lost() int { return m.lostHere }

// countLost is for who becomes a guest, coming from view old: nothing is pulled from it any more. What it holds of a set that has not settled, or of the
// one that it was last a member of, is lost unless another holder of that set is there. As a leaver it would have been there until it had handed over.
func (m *Machine) countLost(old *layout) {
	sets := m.hist
	if old.has(m.self.Id) { // which may have settled without it
		sets = append(slices.Clone(sets), old)
	}
	for p := range m.parts {
		if slices.ContainsFunc(sets, func(h *layout) bool { return m.lastHolder(h, p) }) {
			m.lostHere += m.store.Count(p)
		}
	}
}

// lastHolder tells whether this node holds partition p by a set, and whether no other one that does is there.
func (m *Machine) lastHolder(h *layout, p int) bool {
	mine, _ := h.mine(p)
	return mine && !slices.ContainsFunc(h.table.Owners(p), func(i uint16) bool { return m.lay.has(h.ids[i]) || m.lay.isLeaving(h.ids[i]) })
}

// Part ends a departure that has come to HandedOver: operations are refused from now on, and Left tells when those under way have ended.
func (m *Machine) Part() {
	if m.HandedOver() {
		m.parting = true
		m.tickPart()
	}
}

// Left tells whether the departure is complete.
func (m *Machine) Left() bool { return m.left }

// guest tells whether this node has handed over, and is in the view neither as a member nor as one that leaves.
func (m *Machine) guest() bool {
	return m.leaving && m.lay != nil && m.lay.self < 0 && !m.lay.isLeaving(m.self.Id)
}

// tickPart ends the departure once nothing is under way. Without a cluster nothing can come of what is.
func (m *Machine) tickPart() {
	if m.parting && !m.left && m.HandedOver() && (m.lay == nil || m.operations()+len(m.cuts) == 0) {
		m.finishLeave()
	}
}

func (m *Machine) finishLeave() {
	how := "handed over and left the cluster"
	switch n := m.store.Stats().Entries; {
	case m.lostHere > 0:
		how = "left; this node was expelled, or its cluster given up, before it had handed over, and what only it held is lost"
		m.log.Warn("expelled, or the cluster given up, before the hand-over was complete; entries that only this node held are gone", "entries", m.lostHere)
	case m.lay == nil:
		how = "left; this node was in no cluster"
	case m.alone():
		how = "left; no other node was there"
		if n > 0 {
			m.log.Warn("no other node was there to hand over to; the entries of this one are gone", "entries", n)
		}
	}
	m.Abandon()
	m.env.Event("left", m.self.Name, how)
}

// Abandon ends everything under way; nothing is answered from then on.
func (m *Machine) Abandon() {
	m.left = true
	m.lease.until.Store(0)
	m.route.Store(nil)
	for _, o := range m.sortedOps() {
		m.end(o, Result{Status: pb.Status_UNSURE, Closed: true})
	}
	for _, c := range m.sortedCuts() {
		m.endCut(c, Result{Status: pb.Status_UNSURE, Closed: true})
	}
	m.tellGivenUp("for this node ends")
}

// alone tells that there is nobody to hand over to, nor anybody that still hands over to this node and waits for it.
func (m *Machine) alone() bool {
	return len(m.lay.ids) == 1 && m.lay.has(m.self.Id) && len(m.lay.view.Leaving) == 0
}

// onLeave notes a member that wants to go.
func (m *Machine) onLeave(id uint64) {
	now := m.now()
	if _, known := m.leavers[id]; !known {
		m.gatheredAt = now
	}
	m.leavers[id] = now
}

// askLeaves asks the members to let this node go. Who is not one any more learns by the answers of the views that follow, and whom it hears.
func (m *Machine) askLeaves(now int64) {
	if m.alone() {
		return
	}
	m.onLeave(m.self.Id)
	if now-m.joinedAt < joinEvery {
		return
	}
	m.joinedAt = now
	for _, id := range m.lay.ids {
		if id != m.self.Id {
			m.send(m.peers[id], &pb.Message{Body: &pb.Message_Leave{Leave: &pb.Leave{Member: m.self.Id}}})
		}
	}
}
