package protocol

// Busy tells whether something is under way that ticks carry on: an operation, a write, a change of the members. It takes next to nothing,
// and may be asked after each step.
func (m *Machine) Busy() bool {
	return m.lay == nil || m.stirred ||
		m.operations()+len(m.held)+len(m.writes)+len(m.cuts)+len(m.keyPulls)+len(m.joiners)+len(m.leavers) > 0 ||
		m.ahead || m.chosen != nil || m.vote.accepted != nil || m.campaign != nil
}

// AtRest tells whether nothing is under way and nothing is to be expected: all members are there and are heard, and each holds what it should.
// Who is not Busy and not AtRest is about to find something out.
func (m *Machine) AtRest() bool {
	m.stirred = false
	if m.Busy() || m.leaving || m.left || m.missing > 0 || len(m.waiting) > 0 || !m.barrierOff || m.wantedAt != 0 || m.lostAt != 0 ||
		len(m.mySuspects) > 0 || len(m.lay.view.History)+len(m.lay.view.Leaving) > 0 || len(m.peers) != len(m.lay.ids)-1 {
		return false
	}
	now := m.now()
	for _, id := range m.lay.ids {
		if p := m.peers[id]; id != m.self.Id && (p == nil || p.session == 0 || now-p.heard > m.cfg.Lease/2) {
			return false
		}
	}
	return true
}
