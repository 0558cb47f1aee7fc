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
