package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A cut may wait for long within one view: who makes it is a guest, whom nobody expels, and does not hear one of the members. A session that is saved
// meanwhile, with an age that grows as time passes, must not outlive it.
func TestSavesDoNotOutliveACutOfAGuest(t *testing.T) {
	for mutant, want := range map[string]pb.Status{"": pb.Status_CONDITION, "endless-cut": pb.Status_OK} {
		if cut, got := saveAfterLongCut(t, mutant); cut != pb.Status_OK || got != want {
			t.Errorf("mutant %q: the cut: %v; a save after it: %v, want %v", mutant, cut, got, want)
		}
	}
}

func saveAfterLongCut(t *testing.T, mutant string) (cut, saved pb.Status) {
	t.Helper()
	s := rested(t, 4)
	guest := s.procs[3]
	guest.m.cfg.Mutant = mutant
	guest.parts = true // it is not to Part
	guest.m.Leave()
	if !s.until(20*sec, func() bool { return guest.m.HandedOver() && len(s.procs[0].m.lay.ids) == 3 && s.procs[0].m.inSyncNow() }) {
		t.Fatal("not handed over")
	}
	lay := s.procs[0].m.lay
	v := &saving{sim: s, owner: s.byID(lay.ids[lay.table.Owner(partOf(savedKey))])}
	other := s.procs[0]
	if other == v.owner {
		other = s.procs[1]
	}
	if got := v.write(&pb.Write{Tags: []string{"user"}}); got != pb.Status_OK {
		t.Fatal(got)
	}
	save := func() pb.Status { return v.write(&pb.Write{IfPresent: true, Tags: []string{"user"}}) }
	view, status := lay.number(), pb.Status(-1)
	s.setCut(other.slot, guest.slot, true)
	guest.m.Cut([]string{"user"}, guest.Now()+600*sec, 0, func(r Result) { status = r.Status })
	s.until(50*ms, func() bool { return false })
	s.setCut(guest.slot, v.owner.slot, true)
	s.setCut(other.slot, guest.slot, false)
	if !s.until(sec, func() bool { return guest.m.sortedCuts()[0].round == 2 }) {
		t.Fatal("no second round")
	}
	s.setCut(v.owner.slot, guest.slot, true)
	for range 20 {
		if got := save(); got != pb.Status_OK {
			t.Fatal(got)
		}
		s.until(10*sec, func() bool { return false })
	}
	if status != -1 || s.procs[0].m.lay.number() != view {
		t.Fatal("the cut has ended, or the view")
	}
	s.setCut(guest.slot, v.owner.slot, false)
	s.setCut(v.owner.slot, guest.slot, false)
	s.until(60*sec, func() bool { return status != -1 })
	return status, save()
}
