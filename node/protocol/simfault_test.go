package protocol

import pb "github.com/huddle-cache/huddle/transport/peerpb"

// What goes wrong in a schedule: at random times (fault), and, in a schedule that provokes, just when it hurts: as a
// process accepts or adopts a view (provoke).

func (s *sim) kill(p *simProc, graceful bool) {
	p.gone = true
	for _, l := range s.linksOf(p) {
		s.breakLink(l)
	}
	if !graceful || p.m.Lost() > 0 {
		s.lostAt = s.now
	}
	if !graceful {
		s.logf("%s is killed", p.name)
	}
}

func (s *sim) pause(p *simProc, d int64) {
	s.logf("%s pauses for %.2f s", p.name, float64(d)/1e9)
	p.paused, p.stuck = true, s.chance(0.5)
	s.spare(d)
	s.at(d, nil, func() {
		if p.gone {
			return
		}
		p.paused = false
		if s.cfg.mutant == "stopping-clock" {
			p.offset -= int64(float64(d) * p.rate)
		}
		s.logf("%s resumes", p.name)
		// The caller's reads run first: before the process has looked at its sockets.
		for range 3 {
			s.check.read(p, s.r.Intn(s.cfg.keys))
		}
		// Then goes out what it had sent; then it takes what has come.
		for _, fn := range p.unsent {
			fn()
		}
		p.unsent = nil
		b := p.backlog
		p.backlog = nil
		for _, fn := range b {
			if !p.gone {
				fn()
			}
		}
	})
}

// fault does one of the configured mischiefs, and comes again.
func (s *sim) fault() {
	if s.quietNow {
		return
	}
	defer s.at(s.between(300*ms, 3*sec), nil, s.fault)
	total := 0.0
	for _, k := range faultKinds {
		total += s.cfg.faults[k]
	}
	if total == 0 {
		return
	}
	x, kind := s.r.Float64()*total, ""
	for _, k := range faultKinds {
		if x -= s.cfg.faults[k]; x < 0 {
			kind = k
			break
		}
	}
	all := s.running()
	s.do(kind, all[s.r.Intn(len(all))])
}

// faultKinds are all there are, in the order that a seed means.
var faultKinds = []string{"crash", "pause", "oneway", "split", "break", "leave", "isolate", "pair", "slow", "tether", "off", "rings", "twin"}

// do does one mischief to a process, be it one that is leaving.
func (s *sim) do(kind string, p *simProc) {
	if p.gone || p.leaves && kind == "leave" || s.quietNow || !s.met() || (s.cfg.careful || s.cfg.forget > 0) && !s.allInSync() {
		return
	}
	if s.cfg.careful && s.now < s.sparedTo {
		return
	}
	n := len(s.procs)
	o := s.r.Intn(n)
	if kind != "twin" { // which may wait in vain
		s.faults[kind]++
	}
	switch kind {
	case "crash":
		s.kill(p, false)
		s.replace(p, 5*sec)
		if s.cfg.careful && s.cfg.replicas > 2 && s.chance(0.7) {
			s.another()
		}
	case "off": // the machine goes: sessions linger
		p.gone, s.lostAt = true, s.now
		s.logf("%s is switched off", p.name)
		for _, l := range s.linksOf(p) {
			l := l
			s.at(s.between(0, 8*sec), nil, func() { s.breakLink(l) })
		}
		s.replace(p, 3*sec)
	case "rings":
		p.busy = s.between(0, 1500*ms)
		s.logf("%s makes rings slowly: %v", p.name, p.busy)
		s.at(s.between(sec, 6*sec), nil, func() { p.busy = 0 })
	case "pause":
		if !p.paused {
			s.pause(p, s.between(100*ms, 6*sec))
		}
	case "leave":
		s.leave(p)
	case "twin":
		s.twin(p)
	case "beside": // cut off from all but its twin
		rest := map[int]bool{}
		for i, q := range s.procs {
			rest[i] = q.name != p.name
		}
		s.part(map[int]bool{p.slot: true}, rest, true, s.between(2*sec, 9*sec))
	case "oneway":
		if o != p.slot {
			s.part(map[int]bool{p.slot: true}, map[int]bool{o: true}, false, s.between(200*ms, 8*sec))
		}
	case "pair": // long enough to be expelled for
		if o != p.slot {
			s.part(map[int]bool{p.slot: true}, map[int]bool{o: true}, true, s.between(sec, 6*sec))
		}
	case "tether": // one is left that it hears
		rest := map[int]bool{}
		for i := range n {
			if i != p.slot && i != o {
				rest[i] = true
			}
		}
		s.part(map[int]bool{p.slot: true}, rest, true, s.between(sec, 8*sec))
	case "isolate", "split":
		side, rest := map[int]bool{p.slot: true}, map[int]bool{}
		for i := range n {
			if kind == "split" && s.chance(0.4) {
				side[i] = true
			}
			if !side[i] {
				rest[i] = true
			}
		}
		s.part(side, rest, true, s.between(500*ms, 10*sec))
	case "slow":
		if o == p.slot {
			return
		}
		d, k := s.between(50*ms, 900*ms), [2]int{p.slot, o}
		s.logf("%s -> n%d slows by %.2f s", p.name, o, f(d))
		s.slow[k] = d
		s.at(s.between(sec, 5*sec), nil, func() { delete(s.slow, k); s.logf("%s -> n%d is fast again", p.name, o) })
	case "break":
		if ls := s.linksOf(p); len(ls) > 0 {
			l := ls[s.r.Intn(len(ls))]
			s.logf("session of %s and %s breaks", l.ends[0].name, l.ends[1].name)
			s.breakLink(l)
		}
	}
}

// another has a second process die with one that just has, or before what that had is elsewhere.
func (s *sim) another() {
	d := max(0, s.between(-sec, 3*sec))
	s.spare(d)
	s.at(d, nil, func() {
		if p := s.procs[s.r.Intn(len(s.procs))]; !p.gone && !p.leaves && !s.quietNow && s.met() {
			s.faults["another"]++
			s.kill(p, false)
			s.replace(p, 5*sec)
		}
	})
}

// replace starts another process, within a time, where one has ended without a word.
func (s *sim) replace(p *simProc, within int64) {
	s.at(s.between(50*ms, within), nil, func() { s.succeed(p) })
}

// spare has a careful schedule wait for what a fault of so long entails: who was out of reach may be about to be expelled as that ends, and
// would be a second one to die.
func (s *sim) spare(d int64) { s.sparedTo = max(s.sparedTo, s.now+d+5*sec) }

// part cuts one side from another for a while, in one direction or in both.
func (s *sim) part(from, to map[int]bool, both bool, d int64) {
	s.logf("cut %v -> %v, both ways: %v", from, to, both)
	set := func(on bool) {
		for a := range len(s.procs) {
			for b := range len(s.procs) {
				if from[a] && to[b] {
					s.setCut(a, b, on)
					if both {
						s.setCut(b, a, on)
					}
				}
			}
		}
	}
	set(true)
	s.spare(d)
	s.at(d, nil, func() { set(false); s.logf("heal %v -> %v", from, to) })
}

// provoke strikes at the moment at which process p has accepted a view (v nil) or adopted v.
func (s *sim) provoke(p *simProc, v *pb.View, chance float64) {
	if !s.cfg.provoke || s.now < 2*sec || !s.chance(chance) {
		return
	}
	n := len(s.procs)
	victim, kind := p, []string{"pause", "pair", "oneway", "isolate", "split", "with", "slow", "crash"}[s.r.Intn(8)]
	if s.chance(0.5) {
		victim = s.procs[s.r.Intn(n)]
	}
	if v != nil && len(v.History) > 0 && s.chance(0.4) { // whoever is new in the view dies
		was := v.History[len(v.History)-1]
		for _, mem := range v.Members {
			if q := s.byID(mem.Id); q != nil && !lists(was.Members, mem.Id) {
				victim, kind = q, "crash"
			}
		}
	}
	s.at(s.between(0, 150*ms), nil, func() {
		switch {
		case kind == "with": // two of them against the rest
			o, side, rest := s.r.Intn(n), map[int]bool{victim.slot: true}, map[int]bool{}
			side[o] = true
			for i := range len(s.procs) {
				rest[i] = !side[i]
			}
			if !s.quietNow && s.met() {
				s.faults["with"]++
				s.part(side, rest, true, s.between(sec, 6*sec))
			}
		default:
			s.do(kind, victim)
		}
	})
}
