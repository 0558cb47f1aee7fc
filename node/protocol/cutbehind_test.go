package protocol

import (
	"fmt"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A cut is below what is written in later views. So it must not be confirmed once a write may have been confirmed there, though all members of
// the view that it is made in still answer, for their rings of the next one take long (P1).
func TestCutOfWhoIsBehind(t *testing.T) {
	for _, guest := range []bool{false, true} { // made by a member, or by one that has handed over
		if n, of := staleCuts(t, "", guest); n > 0 {
			t.Errorf("guest %v: an older value was served after a confirmed Clear in %d of %d", guest, n, of)
		}
		if n, _ := staleCuts(t, "cut-without-lease", guest); n == 0 {
			t.Errorf("guest %v: switched off and yet kept, so nothing was tested", guest)
		}
	}
}

func staleCuts(t *testing.T, mutant string, guest bool) (served, played int) {
	for seed := int64(20); seed <= 30; seed++ {
		s := newSim(simConfig{seed: seed, nodes: 4, replicas: 1, memory: 1 << 20, calm: true, mutant: mutant})
		s.at(0, nil, s.gossip)
		if !s.until(60*sec, func() bool { return s.atRest(4) }) {
			t.Fatal("not at rest")
		}
		old, by := s.procs[:3], s.procs[1]
		leaver := s.procs[3]
		if leaver.parts = guest; guest { // it is not to Part
			by = leaver
		}
		leaver.m.Leave()
		if !s.until(20*sec, func() bool { return leaver.m.HandedOver() && len(old[0].m.lay.ids) == 3 && old[0].m.inSyncNow() }) {
			t.Fatal("not handed over")
		}
		s.until(2*sec, func() bool { return false })
		for _, p := range s.procs {
			p.busy = 4 * sec
		}
		// The last hears only the second, so that it is left out, as three others come in, who are a majority.
		for _, slot := range []int{0, 4, 5, 6} {
			s.setCut(slot, 2, true)
			s.setCut(2, slot, true)
		}
		s.until(1600*ms+seed*10*ms, func() bool { return false })
		var joiners []*simProc
		for i := range 3 {
			s.procs = append(s.procs, nil)
			joiners = append(joiners, s.start(4+i))
		}
		was, out := old[0].m.lay, old[2]
		key, owner := "", out
		s.until(5*sec, func() bool {
			for i := 0; key == "" && i < 100; i++ {
				for _, p := range joiners {
					if k := fmt.Sprint("key", i); p.m.lay != nil && !p.m.lay.has(out.id) && was.owner(partOf(k)) == out.id && p.m.lay.owner(partOf(k)) == p.id {
						key, owner = k, p
					}
				}
			}
			return key != ""
		})
		if key == "" || s.write1(owner, key, "old") != pb.Status_OK || out.m.lay.number() != was.number() || old[0].m.lay.number() != was.number() {
			continue
		}
		played++
		status := pb.Status(-1)
		by.m.Cut(nil, by.Now()+5*sec, 0, func(r Result) { status = r.Status })
		s.until(6*sec, func() bool { return status != -1 })
		if e, how := owner.m.Read(key); status == pb.Status_OK && how == Hit {
			served++
			t.Logf("guest %v seed %d: %q is served at %.3f", guest, seed, e.Value, f(s.now))
		}
	}
	if played == 0 {
		t.Fatal("nothing was tested")
	}
	return served, played
}

// Who makes a cut may itself have been left out, and another may have taken over what it owned, and given a ticket there. The members it has come back
// to may answer, for their leases run, and their rings take long. So its own lease has to run, too (P6).
func TestCutOfWhoIsLeftOut(t *testing.T) {
	if n, of := staleFills(t, ""); n > 0 {
		t.Errorf("a fill that was read before a confirmed Clear is served in %d of %d", n, of)
	}
	if n, _ := staleFills(t, "cut-without-lease"); n == 0 {
		t.Error("switched off and yet kept, so nothing was tested")
	}
}

func staleFills(t *testing.T, mutant string) (served, met int) {
	for seed := int64(4); seed <= 9; seed++ {
		s := newSim(simConfig{seed: seed, nodes: 3, replicas: 1, memory: 1 << 20, calm: true, mutant: mutant})
		s.at(0, nil, s.gossip)
		if !s.until(60*sec, func() bool { return s.atRest(3) }) {
			t.Fatal("not at rest")
		}
		old, out := s.procs[:3], s.procs[2]
		for _, p := range old {
			p.busy = 4 * sec
		}
		cut := func(on bool) {
			for slot := range 6 {
				s.setCut(slot, 2, on)
				s.setCut(2, slot, on)
			}
		}
		cut(true)
		s.until(1600*ms+seed*10*ms, func() bool { return false })
		var joiners []*simProc
		for i := range 3 {
			s.procs = append(s.procs, nil)
			joiners = append(joiners, s.start(3+i))
		}
		was := old[0].m.lay
		key, owner := "", out
		s.until(2*sec, func() bool {
			for i := 0; key == "" && i < 100; i++ {
				for _, p := range joiners {
					if k := fmt.Sprint("key", i); p.m.lay != nil && !p.m.lay.has(out.id) && was.owner(partOf(k)) == out.id && p.m.parts[partOf(k)].acting && p.m.leased() {
						key, owner = k, p
					}
				}
			}
			return key != ""
		})
		var miss Result
		owner.m.Get(&pb.Get{Key: key, Fill: true}, owner.Now()+sec, func(r Result) { miss = r })
		if key == "" || miss.Ticket == 0 {
			continue
		}
		for _, l := range s.linksOf(out) { // what was said meanwhile is lost
			l.held = [2][]func(){}
		}
		for slot := range 2 {
			s.setCut(slot, 2, false)
			s.setCut(2, slot, false)
		}
		for _, l := range s.linksOf(out) {
			s.breakLink(l)
		}
		status := pb.Status(-1)
		out.m.Cut(nil, out.Now()+5*sec, 0, func(r Result) { status = r.Status })
		s.until(2*sec, func() bool { return status != -1 })
		if met++; status != pb.Status_OK {
			continue
		}
		st := pb.Status(-1)
		owner.m.Write(&pb.Write{Key: key, Value: []byte("old"), Ticket: miss.Ticket, TicketChain: miss.Chain}, owner.Now()+5*sec, 0, func(r Result) { st = r.Status })
		s.until(6*sec, func() bool { return st != -1 })
		if e, how := owner.m.Read(key); how == Hit {
			served++
			t.Logf("seed %d: %q is served at %.3f", seed, e.Value, f(s.now))
		}
	}
	if met == 0 {
		t.Fatal("nothing was tested")
	}
	return served, met
}

// Cuts that go on without a majority do not ask members again that cannot have a lease, time and again for an hour.
func TestCutsWithoutAMajorityAreQuiet(t *testing.T) {
	for _, mutant := range []string{"", "ask-in-vain"} {
		s := rested(t, 5)
		for _, p := range s.procs[2:] {
			s.kill(p, false)
		}
		s.until(5*sec, func() bool { return false })
		p := s.procs[0]
		p.m.cfg.Mutant = mutant
		for i := range 1000 {
			p.m.Cut([]string{fmt.Sprint(i)}, p.Now()+sec, p.Now()+3600*sec, func(Result) {})
		}
		s.until(2*sec, func() bool { return false })
		before := p.sent
		s.until(10*sec, func() bool { return false })
		if sent := (p.sent - before) / 10; (sent > 100) != (mutant != "") {
			t.Errorf("mutant %q: %d messages a second", mutant, sent)
		}
	}
}
