package protocol

import "testing"

// Two clusters meet just as one of them loses a member: the other may have heard of it as the larger one, and it takes itself for the smaller one. Not both
// give up for each other: then all would know that a cluster stands, and none would.
func TestOfTwoClustersThatMeetOneStays(t *testing.T) {
	both := map[string]int{}
	for _, mutant := range []string{"", "shrinks-at-once"} {
		for seed := range int64(60) {
			s := newSim(simConfig{seed: seed, nodes: 3, replicas: 2, memory: 1 << 20, calm: true, mutant: mutant})
			s.at(0, nil, s.gossip)
			for _, p := range s.procs {
				p.m.cfg.Expect, p.m.cfg.ForgetAfter = 0, 0
				p.m.Reached()
			}
			s.sever(2, true)
			shrinks, other := s.procs[0], s.procs[2]
			if !s.until(30*sec, func() bool {
				return shrinks.m.lay != nil && len(shrinks.m.lay.ids) == 2 && other.m.lay != nil && shrinks.m.lay.view.History == nil && s.now > 3*sec // and gossip has given up what is cut off
			}) {
				t.Fatal("no two clusters")
			}
			if other.m.lay.view.Chain > shrinks.m.lay.view.Chain {
				continue // of equal ones the other goes
			}
			s.procs[1].m.Leave()
			s.until(s.between(0, 500*ms), func() bool { return false })
			s.sever(2, false)
			if s.until(10*sec, func() bool { return shrinks.m.exiled && other.m.exiled }) {
				both[mutant]++
			} else if !s.until(20*sec, func() bool {
				return s.procs[0].m.lay != nil && other.m.lay != nil && s.procs[0].m.lay.view.Chain == other.m.lay.view.Chain
			}) {
				t.Errorf("mutant %q, seed %d: they are not one", mutant, seed)
			}
		}
	}
	if both[""] > 0 || both["shrinks-at-once"] == 0 {
		t.Errorf("both have given up: %v", both)
	}
}
