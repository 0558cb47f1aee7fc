package protocol

import "testing"

// A link that stays broken between two members costs one of the two its place, and not all others a change of the view every few seconds. When
// it is mended, that one is soon back.
func TestABrokenLinkDoesNotFlap(t *testing.T) {
	s := rested(t, 5)
	cut := func(on bool) {
		s.setCut(1, 2, on)
		s.setCut(2, 1, on)
	}
	number := s.procs[0].m.lay.number()
	cut(true)
	ids, told := map[uint64]bool{}, false
	s.until(180*sec, func() bool {
		ids[s.procs[2].id] = true
		told = told || s.procs[2].m.Status().Paused
		return false
	})
	if views := s.procs[0].m.lay.number() - number; len(ids) > 10 || views > 30 { // without a pause some 50, and 90
		t.Errorf("in three minutes it has come in %d times; %d views", len(ids), views)
	}
	if !told {
		t.Error("it does not say that it waits")
	}
	cut(false)
	if !s.until(12*sec, func() bool { return s.atRest(5) }) {
		t.Error("the link is mended, and it is not back")
	}
	if s.procs[2].m.Status().Paused {
		t.Error("it is back, and says that it waits")
	}
}

// Who is expelled for once comes back as soon as it hears the others.
func TestWhoIsExpelledOnceIsSoonBack(t *testing.T) {
	s := rested(t, 5)
	for i := range 5 {
		s.setCut(2, i, true)
		s.setCut(i, 2, true)
	}
	if s.until(longestPause*2*sec, func() bool { return false }); len(s.procs[0].m.lay.ids) != 4 {
		t.Fatal("not expelled")
	}
	for i := range 5 {
		s.setCut(2, i, false)
		s.setCut(i, 2, false)
	}
	if !s.until(5*sec, func() bool { return s.atRest(5) }) {
		t.Error("not back")
	}
}
