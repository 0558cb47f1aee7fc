package protocol

// Two processes of one name at a time: a successor that starts before its predecessor has handed over, and a twin, which lives on a machine of
// its own and waits outside while another has the name.
//
// Who is met when the other is cut off already passes for its successor (DESIGN.md, what remains). So a second process of a name starts in peace
// only, and nothing strikes before all have met it, and have heard the first since.

// twin starts a second process of p's name, unless there is one of any. Then p is struck.
func (s *sim) twin(p *simProc) {
	switch {
	case s.quietNow || len(s.twins) > 0 || p.gone:
	case !s.inPeace():
		s.at(50*ms, nil, func() { s.twin(p) })
	default:
		s.faults["twin"]++
		slot := len(s.procs)
		s.twins[slot] = p.name
		s.procs = append(s.procs, nil)
		s.newcomer = s.start(slot)
		s.strike(p)
	}
}

// strike does something to one that has a twin, when all have met that: of what the schedule has.
func (s *sim) strike(p *simProc) {
	if !s.met() {
		s.at(50*ms, nil, func() { s.strike(p) })
		return
	}
	var kinds []string
	for _, kind := range []string{"crash", "off", "pause", "leave", "break", "isolate", "pair"} {
		if s.cfg.faults[kind] > 0 {
			kinds = append(kinds, kind)
		}
	}
	kind := kinds[s.r.Intn(len(kinds))]
	if s.cfg.faults["isolate"]+s.cfg.faults["pair"] > 0 && s.chance(0.4) {
		kind = "beside"
	}
	s.do(kind, p)
}

// succeed starts a process in the place of one that has ended, or that hands over, unless that has been done.
func (s *sim) succeed(p *simProc) {
	switch {
	case s.procs[p.slot] != p:
	case p.gone && s.namesake(p) == nil && (len(s.twins) == 0 || s.cfg.nodes > 2): // of two it may be the first that meets the twin
		s.start(p.slot)
	case !s.inPeace():
		s.at(50*ms, nil, func() { s.succeed(p) })
	default:
		s.newcomer = s.start(p.slot)
	}
}

// leave has a process hand over and end. Its successor may start before that.
func (s *sim) leave(p *simProc) {
	s.logf("%s leaves", p.name)
	p.leaves = true
	s.at(0, p, p.m.Leave)
	if s.chance(0.4) {
		s.at(s.between(0, sec), nil, func() { s.overlap(p) })
	}
	s.at(12*sec, nil, func() { // a departure has its time
		if !p.gone && p.m.NoMajority() && len(s.twins)+len(s.older) > 0 {
			s.kill(p, false)
			s.replace(p, sec)
		}
	})
}

// again starts those once more that were there when the first of their name ended, and have not come in: what they answer is no proof of that
// (DESIGN.md, what remains).
func (s *sim) again() {
	for _, p := range s.running() {
		if p.second && !p.gone && p.m.lay == nil && s.namesake(p) == nil {
			s.kill(p, false)
			s.replace(p, sec)
		}
	}
}

// overlap starts the successor of one that hands over as soon as there is peace.
func (s *sim) overlap(p *simProc) {
	if !p.gone && !s.quietNow {
		s.succeed(p)
	}
}

// namesake is another process of p's name that runs, or nil.
func (s *sim) namesake(p *simProc) *simProc {
	for _, q := range s.running() {
		if q != nil && q != p && q.name == p.name && !q.gone {
			return q
		}
	}
	return nil
}

// inPeace tells whether nobody that runs is cut off or stopped.
func (s *sim) inPeace() bool {
	for _, p := range s.running() {
		if p.paused && !p.gone {
			return false
		}
	}
	return len(s.cut) == 0 && s.met()
}

// met tells whether all have met the latest second process of a name, and have since heard the first, if that is a member to them and runs.
func (s *sim) met() bool {
	t := s.newcomer
	if t == nil || t.gone {
		return true
	}
	for _, q := range s.running() {
		if q == t || q.gone || q.m.lay == nil {
			continue
		}
		p := q.m.peers[t.id]
		if p == nil || p.session == 0 {
			return false
		}
		for _, mem := range q.m.lay.view.Members {
			if runs := s.byID(mem.Id); mem.Name != t.name || runs == nil || runs.gone {
				continue
			}
			if first := q.m.peers[mem.Id]; first != nil && first != p && first.answers <= p.metAt {
				return false
			}
		}
	}
	s.newcomer = nil
	return true
}

// running are the processes in their places, be they at an end, and those that live on beside their successors.
func (s *sim) running() []*simProc {
	out := append([]*simProc(nil), s.procs...)
	for _, p := range s.older {
		if !p.gone {
			out = append(out, p)
		}
	}
	return out
}
