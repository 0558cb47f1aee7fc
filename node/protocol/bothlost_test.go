package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A cluster that has lost its majority for some seconds meets another as that ends, and its own members a little later. It must neither give up
// what it holds for one that is smaller, nor dissolve into one that has no majority either.
func TestAMomentWithoutMajority(t *testing.T) {
	for _, x := range []struct {
		mutant            string
		here, there, dead int
		forget            bool  // those there form a cluster, too
		later             int64 // than the others its own members are heard again
	}{
		{"give-way-at-once", 3, 1, 0, true, sec},
		{"join-the-lost", 2, 2, 1, false, 10 * sec},
	} {
		tested := false
		for seed := range int64(4) {
			if why := majorityForAMoment(t, "", seed, x.here, x.there, x.dead, x.forget, x.later); why != "" {
				t.Errorf("%+v, seed %d: %s", x, seed, why)
			}
			tested = tested || majorityForAMoment(t, x.mutant, seed, x.here, x.there, x.dead, x.forget, x.later) != ""
		}
		if !tested {
			t.Errorf("%+v: switched off and yet kept, so nothing was tested", x)
		}
	}
}

func majorityForAMoment(t *testing.T, mutant string, seed int64, here, there, dead int, forget bool, later int64) (wrong string) {
	t.Helper()
	s := newSim(simConfig{seed: seed, nodes: here + there + dead, replicas: 2, memory: 1 << 20, calm: true, mutant: mutant})
	s.at(0, nil, s.gossip)
	if !s.until(60*sec, func() bool { return s.atRest(here + there + dead) }) {
		t.Fatal("not at rest")
	}
	ours, theirs := s.procs[:here], s.procs[here:here+there]
	cut := func(as, bs []*simProc, on bool) {
		for _, a := range as {
			for _, b := range bs {
				if a != b {
					s.setCut(a.slot, b.slot, on)
					s.setCut(b.slot, a.slot, on)
				}
			}
		}
	}
	wait := func(d int64) { s.until(d, func() bool { return false }) }
	cut(ours, theirs, true)
	for _, q := range s.procs[here+there:] {
		s.kill(q, false)
	}
	wait(6 * sec)
	for _, a := range ours {
		for _, b := range s.procs[here:] { // gossip has heard nothing for that time
			a.m.Gone(b.id)
			b.m.Gone(a.id)
		}
	}
	leave := func(stay, lost []*simProc) { // stay go on without those that they have lost
		for _, a := range stay {
			a.m.cfg.Expect = 0
			a.m.Reached()
			for _, b := range lost {
				if a.m.lost && a.m.lay != nil {
					_ = a.m.Forget(b.name) // another of them may have told it
				}
			}
		}
		if !s.until(60*sec, func() bool { return cluster(stay) }) {
			t.Fatal("no cluster of those that are left")
		}
	}
	leave(ours, s.procs[here:])
	if forget {
		leave(theirs, ours)
	}
	if st := s.write1(ours[0], "written", "v"); st != pb.Status_OK {
		t.Fatal(st)
	}
	cut(ours, ours, true)
	wait(6 * sec)
	for _, q := range s.procs {
		q.greeted = false
	}
	cut(ours, theirs, false)
	wait(later)
	cut(ours, ours, false)
	if !s.until(60*sec, func() bool { return cluster(s.procs[:here+there]) }) {
		return "not one cluster"
	}
	st := pb.Status(-1)
	theirs[0].m.Get(&pb.Get{Key: "written"}, theirs[0].Now()+5*sec, func(r Result) { st = r.Status })
	s.until(6*sec, func() bool { return st != -1 })
	if st != pb.Status_OK {
		return "what was written is " + st.String()
	}
	return ""
}

// cluster tells whether just these are in one, and serve.
func cluster(ps []*simProc) bool {
	for _, q := range ps {
		if q.m.lay == nil || len(q.m.lay.ids) != len(ps) || !q.m.inSyncNow() || !q.m.leased() {
			return false
		}
	}
	return true
}
