package protocol

// holder is a near copy at another node, under one session.
type holder struct {
	peer, session uint64
	until         int64  // when the entry ends by itself; 0: it does not
	noted         uint64 // orders the note among the writes
}

// mayKeep notes the asker as a holder of a near copy. A copy of the partition needs no note: every write goes there.
func (m *Machine) mayKeep(from *peer, pt *part, p int, key string, until int64) bool {
	if holder, _ := m.lay.holds(from.member.Id, p); holder || m.is("forget-holders") {
		return true
	}
	if until != 0 { // on this clock; the copy ends by the asker's, which may be slower by 3 %
		until = after(until, (until-m.now())/32)
	}
	hs := pt.holders[key]
	for i := range hs {
		if hs[i].peer == from.member.Id && hs[i].session == from.session {
			hs[i].until, hs[i].noted = until, m.nextID()
			return true
		}
	}
	m.recall()
	if m.holders >= m.cfg.MaxHolders {
		return false
	}
	if pt.holders == nil {
		pt.holders = map[string][]holder{}
	}
	m.holders++
	pt.holders[key] = append(pt.holders[key], holder{peer: from.member.Id, session: from.session, until: until, noted: m.nextID()})
	return true
}

func (m *Machine) forgetHolders(pt *part) {
	for _, hs := range pt.holders {
		m.holders -= len(hs)
	}
	pt.holders = nil
}

// sweepHolders drops notes of near copies that cannot be there any more. next is when it will do so again.
func (m *Machine) sweepHolders(now, next int64) {
	if m.holders == 0 {
		return
	}
	for range min(len(m.parts), int(8*max(1, next/(20*ms)))) { // as many a second however seldom it ticks
		m.sweptHold = (m.sweptHold + 1) % len(m.parts)
		for key := range m.parts[m.sweptHold].holders {
			m.dropNotes(m.sweptHold, key, func(h holder) bool { return m.void(h, now) })
		}
	}
}
