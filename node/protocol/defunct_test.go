package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Nodes that have forgotten those they were cut off from serve as a cluster of their own. Those come back with the view that they have no majority
// of, which has more members: it must neither take what has been written since, nor bring back what has been deleted, nor stop the service.
func TestWhoHasNoMajorityGivesWay(t *testing.T) {
	for _, x := range []struct{ here, there, dead int }{{1, 1, 0}, {2, 2, 0}, {2, 2, 1}} {
		if why := forgottenComeBack(t, "", x.here, x.there, x.dead); why != "" {
			t.Errorf("%+v: %s", x, why)
		}
		if forgottenComeBack(t, "lost-counts", x.here, x.there, x.dead) == "" {
			t.Errorf("%+v: switched off and yet kept, so nothing was tested", x)
		}
	}
}

func forgottenComeBack(t *testing.T, mutant string, here, there, dead int) (wrong string) {
	n := here + there + dead
	s := newSim(simConfig{seed: 1, nodes: n, replicas: 2, memory: 1 << 20, calm: true, mutant: mutant})
	s.at(0, nil, s.gossip)
	if !s.until(60*sec, func() bool { return s.atRest(n) }) {
		t.Fatal("not at rest")
	}
	all := s.procs[:here+there]
	ours, theirs, p := all[:here], all[here:], s.procs[0]
	if st := s.write1(p, "deleted", "v"); st != pb.Status_OK {
		t.Fatal(st)
	}
	cut := func(on bool) {
		for _, a := range ours {
			for _, b := range theirs {
				s.setCut(a.slot, b.slot, on)
				s.setCut(b.slot, a.slot, on)
			}
		}
	}
	cut(true)
	for _, q := range s.procs[here+there:] {
		s.kill(q, false)
	}
	s.until(6*sec, func() bool { return false })
	for _, a := range ours {
		a.m.cfg.Expect = 0
		a.m.Reached()
		for _, b := range s.procs[here:] { // of which gossip has heard nothing for that time
			a.m.Gone(b.id)
			b.m.Gone(a.id)
			if a == p {
				if err := p.m.Forget(b.name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	together := func(ps []*simProc) func() bool {
		return func() bool {
			for _, q := range ps {
				if q.m.lay == nil || len(q.m.lay.ids) != len(ps) || !q.m.inSyncNow() || !q.m.leased() {
					return false
				}
			}
			return true
		}
	}
	if !s.until(60*sec, together(ours)) {
		t.Fatal("no cluster of those that are left")
	}
	if st := s.write1(p, "written", "v"); st != pb.Status_OK {
		t.Fatal(st)
	}
	deleted := pb.Status(-1)
	p.m.Write(&pb.Write{Key: "deleted", Kind: pb.Kind_TOMBSTONE}, p.Now()+5*sec, 0, func(r Result) { deleted = r.Status })
	s.until(6*sec, func() bool { return deleted != -1 })
	cut(false)
	for _, q := range all {
		q.greeted = false
	}
	if !s.until(60*sec, together(all)) {
		return "not one cluster"
	}
	read := func(key string) (st pb.Status) {
		p.m.Get(&pb.Get{Key: key}, p.Now()+5*sec, func(r Result) { st = r.Status })
		s.until(6*sec, func() bool { return false })
		return st
	}
	if st := read("written"); st != pb.Status_OK {
		wrong = "what was written is " + st.String()
	}
	if st := read("deleted"); deleted != pb.Status_OK || st != pb.Status_ABSENT {
		wrong += " what was deleted is " + st.String()
	}
	return wrong
}
