package protocol

import (
	"fmt"
	"slices"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// apart cuts the first k nodes off until they are a cluster of their own.
func (s *sim) apart(t *testing.T, k int) {
	t.Helper()
	chain := s.procs[0].m.lay.view.Chain
	for _, p := range s.procs {
		p.m.cfg.ForgetAfter, p.m.cfg.Expect = 3*sec, 0
	}
	s.sever(k, true)
	if !s.until(60*sec, func() bool {
		for i, p := range s.procs {
			l := p.m.lay
			if l == nil || !p.m.inSyncNow() || (l.view.Chain != chain) != (i < k) || i < k && len(l.ids) != k || i >= k && len(l.ids) != len(s.procs)-k {
				return false
			}
		}
		return true
	}) {
		t.Fatal("not two clusters")
	}
}

// sever cuts the first k nodes from the others, and gossip gives these up; or it lets them meet again.
func (s *sim) sever(k int, on bool) {
	for a := range k {
		for b := k; b < len(s.procs); b++ {
			s.setCut(a, b, on)
			s.setCut(b, a, on)
			s.at(2*sec, nil, func() {
				if p, q := s.procs[a], s.procs[b]; on {
					p.m.Gone(q.id)
					q.m.Gone(p.id)
				}
			})
		}
	}
	for _, p := range s.procs {
		p.greeted = on
	}
}

func (s *sim) write(t *testing.T, p *simProc, w *pb.Write) {
	t.Helper()
	status := pb.Status(-1)
	p.m.Write(w, p.Now()+5*sec, 0, func(r Result) { status = r.Status })
	if s.until(6*sec, func() bool { return status != -1 }); status != pb.Status_OK {
		t.Fatalf("a write at %s ended %v", p.name, status)
	}
}

// What a part revoked while it was a cluster of its own stays dead when it joins the others, on all nodes; also what had been revoked before
// they parted, for which each has forgotten the values.
func TestRevocationsOutliveTheirChain(t *testing.T) {
	s := rested(t, 5)
	const many = 3000 // more than are issued at a time
	for i := range 3 {
		s.write(t, s.procs[i], &pb.Write{Key: fmt.Sprint("before", i), Value: []byte("v")})
	}
	for i := range many {
		s.procs[4].m.Write(&pb.Write{Key: fmt.Sprint("token", i), Value: []byte("session")}, s.procs[4].Now()+5*sec, 0, func(Result) {})
	}
	s.write(t, s.procs[0], &pb.Write{Key: "before0", Kind: pb.Kind_REVOKED})
	s.write(t, s.procs[4], &pb.Write{Key: "other", Value: []byte("session")})
	s.apart(t, 2)
	s.write(t, s.procs[1], &pb.Write{Key: "deleted", Kind: pb.Kind_TOMBSTONE})
	left := many
	for i := range many {
		s.procs[i%2].m.Write(&pb.Write{Key: fmt.Sprint("token", i), Kind: pb.Kind_REVOKED}, s.procs[i%2].Now()+5*sec, 0, func(r Result) {
			if r.Status == pb.Status_OK {
				left--
			}
		})
	}
	if !s.until(6*sec, func() bool { return left == 0 }) {
		t.Fatalf("%d are not revoked", left)
	}
	s.write(t, s.procs[3], &pb.Write{Key: "deleted", Value: []byte("later")})
	s.sever(2, false)
	carries := func(p *simProc) bool { return len(p.m.carried.left)+p.m.carried.underWay > 0 }
	if !s.until(60*sec, func() bool { return s.atRest(5) && !slices.ContainsFunc(s.procs, carries) }) {
		t.Fatal("they do not become one cluster, or do not carry over all they revoked")
	}
	for _, p := range s.procs {
		alive, known := 0, 0
		for i := range many {
			key := fmt.Sprint("token", i)
			e, how := p.m.Read(key)
			if how == Ask {
				p.m.Get(&pb.Get{Key: key}, p.Now()+5*sec, func(r Result) {
					if e = r.Entry; r.Status == pb.Status_OK || r.Status == pb.Status_ABSENT {
						known++
					}
					if e != nil {
						alive++
					}
				})
			} else if known++; e != nil {
				alive++
			}
		}
		if s.until(6*sec, func() bool { return known == many }); alive > 0 || known < many {
			t.Errorf("%s: %d of %d revoked tokens are alive, %d are known", p.name, alive, many, known)
		}
	}
	for key, want := range map[string]pb.Status{"before0": pb.Status_GONE, "token7": pb.Status_GONE, "other": pb.Status_OK, "deleted": pb.Status_OK} {
		status := pb.Status(-1)
		s.procs[0].m.Write(&pb.Write{Key: key, Value: []byte("late")}, s.procs[0].Now()+5*sec, 0, func(r Result) { status = r.Status })
		if s.until(6*sec, func() bool { return status != -1 }); status != want {
			t.Errorf("a late Set of %s ended %v, not %v", key, status, want)
		}
	}
}
