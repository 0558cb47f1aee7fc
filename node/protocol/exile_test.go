package protocol

import (
	"slices"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// exile cuts the last k nodes off until the others have expelled them, lets them learn it, and cuts them off again at once.
func (s *sim) exile(t *testing.T, k int) (exiles []*simProc) {
	t.Helper()
	n := len(s.procs)
	exiles = s.procs[n-k:]
	var before []uint64
	for _, p := range s.procs {
		p.m.cfg.Expect = 0
		p.m.Reached()
	}
	for _, p := range exiles {
		before = append(before, p.id)
	}
	s.sever(n-k, true)
	if !s.until(60*sec, func() bool { return len(s.procs[0].m.lay.ids) == n-k && s.procs[0].m.inSyncNow() }) {
		t.Fatal("not expelled")
	}
	s.sever(n-k, false)
	if !s.until(60*sec, func() bool {
		for i, p := range exiles {
			if p.id == before[i] {
				return false
			}
		}
		return true
	}) {
		t.Fatal("they have not learned it")
	}
	for _, p := range exiles {
		if p.m.lay != nil {
			t.Fatal("they are back already")
		}
	}
	s.sever(n-k, true)
	return exiles
}

// Who has been expelled knows that there is a cluster. Is it cut off again before it is let in, it must not found one of its own beside that: what either
// confirmed would not be so in the other. Nor must several.
func TestWhoWasExpelledFoundsNoCluster(t *testing.T) {
	found := func(exiles []*simProc) func() bool {
		return func() bool { return slices.ContainsFunc(exiles, func(p *simProc) bool { return p.m.lay != nil }) }
	}
	for _, k := range []int{1, 2} {
		s := rested(t, 5)
		exiles := s.exile(t, k)
		for _, p := range exiles {
			p.m.cfg.Mutant = "exile-founds"
		}
		if !s.until(5*sec, found(exiles)) {
			t.Errorf("%d expelled found none where none waits: nothing is tested", k)
		}
		s = rested(t, 5)
		exiles = s.exile(t, k)
		if s.until(60*sec, found(exiles)) {
			t.Errorf("%d expelled found a cluster, and the other one lives", k)
		}
		if !exiles[0].m.Status().Exiled {
			t.Errorf("%d expelled: it does not say what it waits for", k)
		}
		s.sever(5-k, false)
		if !s.until(30*sec, func() bool { return s.atRest(5) }) {
			t.Errorf("%d expelled: not back when they are within reach", k)
		}
		if exiles[0].m.exiled { // or it would wait anew if that cluster is given up
			t.Errorf("%d expelled: it is back, and still counts as expelled", k)
		}
	}
}

// What it waits for may have ended for good: after ForgetAfter it founds one, as a part without a majority does.
func TestAnExileEndsAfterForgetAfter(t *testing.T) {
	s := rested(t, 5)
	exiles := s.exile(t, 2)
	forget := 20 * sec
	for _, p := range exiles {
		p.m.cfg.ForgetAfter = forget
	}
	from := s.now
	if !s.until(60*sec, func() bool { return exiles[0].m.lay != nil && len(exiles[0].m.lay.ids) == 2 }) {
		t.Error("they found none")
	} else if took := s.now - from; took < forget {
		t.Errorf("they found one after %.1f s", float64(took)/1e9)
	}
	s = rested(t, 5)
	exiles = s.exile(t, 2)
	for _, p := range exiles {
		p.m.cfg.ForgetAfter = 0
	}
	if s.until(60*sec, func() bool { return exiles[0].m.lay != nil }) {
		t.Error("they found one though nothing is ever forgotten")
	}
}

// That time counts from when it last met somebody of a cluster, though that did not let it in.
func TestAnExileThatMeetsAClusterWaitsAnew(t *testing.T) {
	s := rested(t, 5)
	exile := s.exile(t, 1)[0]
	exile.m.cfg.ForgetAfter = 10 * sec
	exile.m.joinedAt = exile.Now() + 3600*sec // it does not ask
	s.sever(4, false)
	s.until(20*sec, func() bool { return false })
	if exile.m.lay != nil || !exile.m.Status().Knows {
		t.Fatal("it is in, or meets nobody: nothing is tested")
	}
	s.sever(4, true)
	if s.until(9*sec, func() bool { return exile.m.lay != nil }) {
		t.Error("it founds a cluster as soon as the other is out of sight")
	}
	if !s.until(20*sec, func() bool { return exile.m.lay != nil }) {
		t.Error("it founds none")
	}
}

// It holds nobody up: those found one who have been started since, though its cluster has ended, and it comes in.
func TestAnExileHoldsNobodyUp(t *testing.T) {
	s := rested(t, 3)
	exiles := s.exile(t, 1)
	for i := range 2 {
		s.kill(s.procs[i], false)
		p := s.start(i)
		p.m.cfg.Expect = 0
	}
	s.sever(2, false)
	if !s.until(20*sec, func() bool { return s.atRest(3) }) {
		t.Errorf("no cluster of all three; the one that was expelled is in %v", exiles[0].m.lay != nil)
	}
	s.write(t, exiles[0], &pb.Write{Key: "k", Value: []byte("v")})
}

// wait starts k processes that meet a cluster, and that it does not let in.
func (s *sim) wait(t *testing.T, k int, mutant string) (newcomers []*simProc) {
	t.Helper()
	for range k {
		s.procs = append(s.procs, nil)
		p := s.start(len(s.procs) - 1)
		p.m.cfg.Expect, p.m.cfg.Mutant = 0, mutant
		p.m.joinedAt = p.Now() + 3600*sec // it does not ask
		p.m.Reached()
		newcomers = append(newcomers, p)
	}
	if s.until(5*sec, func() bool { return false }); !newcomers[0].m.Status().Knows || newcomers[0].m.lay != nil {
		t.Fatal("it is in, or does not know of the cluster")
	}
	return newcomers
}

// Who waits to be let in knows that there is a cluster. Is it cut off before that, it founds none beside it either, alone or with others; when they
// are within reach again it comes in.
func TestWhoWaitsToBeLetInFoundsNoCluster(t *testing.T) {
	for _, k := range []int{1, 2} {
		for _, mutant := range []string{"unseen-founds", ""} {
			s := rested(t, 3)
			newcomers := s.wait(t, k, mutant)
			s.sever(3, true)
			founded := s.until(60*sec, func() bool { return slices.ContainsFunc(newcomers, func(p *simProc) bool { return p.m.lay != nil }) })
			if founded != (mutant != "") {
				t.Errorf("%q: %d that waited to be let in have founded a cluster beside the one that lives: %t", mutant, k, founded)
			}
			if founded {
				continue
			}
			if !newcomers[0].m.Status().Exiled {
				t.Errorf("%d: it does not say what it waits for", k)
			}
			for _, p := range newcomers {
				p.m.joinedAt = 0
			}
			s.sever(3, false)
			if !s.until(20*sec, func() bool { return s.atRest(3 + k) }) {
				t.Errorf("%d: not in when the others are within reach", k)
			}
		}
	}
}

// Where all members are known to have ended, or have said that they go, it need not wait. Nor for those of whom it was one when they gave their cluster up.
func TestWhoWaitsForNobodyFounds(t *testing.T) {
	ends := map[string]func(*sim, *simProc){
		"killed": func(s *sim, p *simProc) { s.kill(p, false) },
		"gone": func(_ *sim, p *simProc) {
			p.leaves = true
			p.m.Leave()
		},
	}
	for how, end := range ends {
		s := rested(t, 3)
		p := s.wait(t, 1, "")[0]
		before := p.id
		for _, q := range s.procs[:3] {
			end(s, q)
		}
		if !s.until(30*sec, func() bool { return p.m.lay != nil }) || p.id != before {
			t.Errorf("%s: no cluster is founded, though nobody is there any more", how)
		}
	}
	s := rested(t, 3)
	for _, p := range s.procs {
		p.m.cfg.ForgetAfter, p.m.cfg.Expect = 10*sec, 0
		p.m.Reached()
	}
	s.sever(2, true)
	p := s.procs[2]
	if !s.until(20*sec, func() bool { return p.m.lay != nil && len(p.m.lay.ids) == 1 }) {
		t.Error("who gave up a cluster waits for those of it that are out of reach")
	}
}

// What is known of one that is out of sight tells whether its cluster may go on: it has said that it goes, its port refuses, or another of its name has
// answered since.
func TestWhoIsKnownToHaveEndedIsNotWaitedFor(t *testing.T) {
	gone := benchMembers[2]
	for how, know := range map[string]func(*bench){
		"nothing": func(*bench) {},
		"goes":    func(b *bench) { b.m.Goes(gone.Id) },
		"refuses": func(b *bench) { b.m.Unreachable(gone.Id, true) },
		"another": func(b *bench) {
			next := &pb.Member{Name: gone.Name, Id: 9, Addr: "c"}
			b.m.Up(next, 9)
			b.from(9, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: b.now, Answer: true}}})
		},
	} {
		b := newOutside(t, "")
		b.m.cfg.Expect = 0
		b.m.Found(gone, 7, 1)
		b.m.Down(gone.Id, gone.Id)
		b.pass(20 * ms)
		know(b)
		b.m.Gone(gone.Id)
		for end := b.now + 10*sec; b.now < end && !b.founded() && !b.m.exiled; {
			b.pass(20 * ms)
			b.built()
			b.outside(true, 2, 9)
		}
		if want := how == "nothing"; b.m.exiled != want || b.founded() == want {
			t.Errorf("%s: waits %t, founded %t", how, b.m.exiled, b.founded())
		}
	}
}

// Who waits so holds nobody up who has been started since, whichever has the smaller id; nor has it another id meanwhile: it may be a member, and not
// know it yet.
func TestWhoWaitsHoldsNobodyUp(t *testing.T) {
	for mutant, want := range map[string]bool{"": true, "waiting-holds-up": false} {
		s := rested(t, 3)
		waits := s.wait(t, 1, "")[0]
		before := waits.id
		s.sever(3, true)
		s.until(10*sec, func() bool { return waits.m.exiled })
		s.procs = append(s.procs, nil)
		p := s.start(4)
		p.id = ^uint64(0) // the last in the order
		s.byIDs[p.id] = p
		p.m.self.Id, p.m.cfg.Expect, p.m.cfg.Mutant = p.id, 0, mutant
		for i := range 3 {
			s.setCut(4, i, true)
			s.setCut(i, 4, true)
		}
		p.m.Reached()
		if s.until(20*sec, func() bool { return p.m.lay != nil }) != want || waits.id != before {
			t.Errorf("%q: founded %t; the other has the same id: %t", mutant, !want, waits.id == before)
		}
	}
}
