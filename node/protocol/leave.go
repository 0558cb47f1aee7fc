package protocol

import (
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// The graceful departure: what is held here is handed over first (rule 8).

func (m *Machine) finishLeave() {
	how := "handed over and left the cluster"
	switch n := m.store.Stats().Entries; {
	case m.lay == nil:
		how = "left; this node was in no cluster"
	case m.alone():
		how = "left; no other node was there"
		if n > 0 {
			m.log.Warn("no other node was there to hand over to; the entries of this one are gone", "entries", n)
		}
	}
	m.left = true
	m.lease.until.Store(0)
	m.route.Store(nil)
	m.env.Event("left", m.self.Name, how)
}

// Leave begins a graceful departure; Left tells when everything has been handed over.
func (m *Machine) Leave() {
	m.leaving, m.stirred = true, true
	if m.lay == nil || m.alone() {
		m.finishLeave()
	}
}

// alone tells that there is nobody to hand over to, nor anybody that still hands over to this node and waits for it.
func (m *Machine) alone() bool {
	return len(m.lay.ids) == 1 && m.lay.has(m.self.Id) && len(m.lay.view.Leaving) == 0
}

// Left tells whether the departure is complete.
func (m *Machine) Left() bool { return m.left }

// onLeave notes a member that wants to go.
func (m *Machine) onLeave(id uint64) {
	now := m.now()
	if _, known := m.leavers[id]; !known {
		m.gatheredAt = now
	}
	m.leavers[id] = now
}

func (m *Machine) askLeaves(now int64) {
	if m.alone() {
		m.finishLeave()
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
