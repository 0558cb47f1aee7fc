package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A save that adds a tag is younger than the latest cut of that, which may be younger than another cut that has been told the clock before. That one must end the
// session all the same: it begins anew.
func TestALogInBetweenTwoCuts(t *testing.T) {
	for mutant, wantLive := range map[string]bool{"": false, "spared-for-good": true} {
		b := newBench(t, mutant)
		b.enter(2, 3)
		b.pass(1200*ms, 2, 3)
		p := partition(t, func(p int) bool { return b.m.parts[p].acting })
		key := keyOf(p)
		write := func(w *pb.Write) {
			t.Helper()
			w.Key = key
			status := pb.Status(-1)
			b.m.Write(w, b.now+5*sec, 0, func(r Result) { status = r.Status })
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, pb.NewCopyReply()))
			}
			if status != pb.Status_OK {
				t.Fatal(status)
			}
		}
		cut := func(id uint64, tag string, version uint64) (again bool) {
			b.from(2, b.stamp(id, &pb.Message{Body: &pb.Message_Cut{Cut: &pb.Cut{Cuts: []*pb.CutRecord{{Tag: tag, Version: version}}}}}))
			answers := b.take(func(m *pb.Message) bool { return m.GetCutReply() != nil || m.GetCutClockReply() != nil })
			if len(answers) != 1 {
				t.Fatalf("%d answers", len(answers))
			}
			return answers[0].msg.GetCutReply() == nil
		}
		write(&pb.Write{Tags: []string{"store"}})
		b.from(2, b.stamp(50, &pb.Message{Body: &pb.Message_CutClock{CutClock: &pb.CutClock{}}}))
		told := b.take(func(m *pb.Message) bool { return m.GetCutClockReply() != nil })[0].msg.Clock
		if cut(51, "user", told+5) {
			t.Fatal("a cut begins anew without reason")
		}
		write(&pb.Write{IfPresent: true, Tags: []string{"store", "user"}})
		if cut(54, "other", told+1) {
			t.Error("one that does not concern the session begins anew")
		}
		if again := cut(52, "store", told+1); again == wantLive {
			t.Errorf("mutant %q: the other cut begins anew: %v", mutant, again)
		} else if again && cut(53, "store", b.m.clock+1) {
			t.Error("and does so for ever")
		}
		if e := b.m.store.Get(p, key); (e != nil && e.Kind == store.Live) != wantLive {
			t.Errorf("mutant %q: %+v", mutant, e)
		}
	}
}

// Users who are ended, and log in again, do not keep a cut from afar from being confirmed: not one of somebody else, nor one that begins anew for their sake.
func TestACutAmongLogIns(t *testing.T) {
	for _, x := range []struct {
		mutant string
		tags   []string
		want   bool
	}{
		{"", []string{"somebody else"}, true},
		{"", []string{"store"}, true},
		{"", nil, true},
		{"spare-again", []string{"somebody else"}, true},
		{"spare-again", nil, false},
	} {
		s := newSaving(t, x.mutant, nil)
		near := s.procs[slices.IndexFunc(s.procs, func(p *simProc) bool { return p != s.owner && p != s.other })]
		s.slow[[2]int{s.other.slot, s.owner.slot}], s.slow[[2]int{s.owner.slot, s.other.slot}] = 100*ms, 100*ms
		loggedIn := s.logIns(near)
		s.until(sec, func() bool { return false })
		before, confirmed := *loggedIn, false
		s.other.m.Cut(x.tags, s.other.Now()+10*sec, 0, func(r Result) { confirmed = r.Status == pb.Status_OK })
		if got := s.until(3*sec, func() bool { return confirmed }); got != x.want {
			t.Errorf("mutant %q, cut of %q: confirmed: %v, want %v", x.mutant, x.tags, got, x.want)
		}
		if s.until(3*sec, func() bool { return false }); before < 50 || *loggedIn < before+100 {
			t.Errorf("mutant %q, cut of %q: %d have logged in before, and %d since", x.mutant, x.tags, before, *loggedIn-before)
		}
	}
}

// logIns has a user ended all the time who logs in then, at a process, and counts them.
func (s *saving) logIns(at *simProc) (loggedIn *int) {
	loggedIn = new(int)
	do := func(w *pb.Write, then func(Result)) {
		w.Key = savedKey
		at.m.Write(w, at.Now()+5*sec, 0, then)
	}
	users := 0
	var user func()
	user = func() {
		users++
		tag := fmt.Sprint("user ", users)
		do(&pb.Write{Tags: []string{"store"}}, func(Result) {
			at.m.Cut([]string{tag}, at.Now()+5*sec, 0, func(Result) {
				do(&pb.Write{Tags: []string{"store", tag}, IfPresent: true}, func(r Result) {
					if r.Status == pb.Status_OK {
						*loggedIn++
					}
				})
			})
		})
		s.at(10*ms, at, user)
	}
	s.at(0, at, user)
	return loggedIn
}

// What is known by tag is bounded, and where it is not known any more a cut begins anew rather than not.
func TestSparedAges(t *testing.T) {
	var s spared
	s.note(5, []string{"a", "b"})
	s.note(3, []string{"b", "c"})
	for tag, want := range map[string]uint64{"": 5, "a": 5, "b": 5, "c": 3, "d": 0} {
		if got := s.of(tag); got != want {
			t.Errorf("%q: %d, want %d", tag, got, want)
		}
	}
	for i := range 3 * mostSpared {
		s.note(uint64(10+i), []string{fmt.Sprint("user ", i)})
	}
	if n := len(s.tags); n > mostSpared+64 {
		t.Errorf("%d tags", n)
	}
	for i := range 3 * mostSpared {
		if got, least := s.of(fmt.Sprint("user ", i)), uint64(10+i); got < least {
			t.Fatalf("user %d: %d, and %d was given", i, got, least)
		}
	}
}

// Whoever makes a cut begins it anew, above the clocks of now, where a member answers round two with its clock again.
func TestACutBeginsAnew(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.pass(1200*ms, 2, 3)
	status := pb.Status(-1)
	b.m.Cut([]string{"store"}, b.now+5*sec, 0, func(r Result) { status = r.Status })
	clock := func() {
		t.Helper()
		asked := b.take(func(m *pb.Message) bool { return m.GetCutClock() != nil })
		if len(asked) != 2 {
			t.Fatalf("%d are asked for their clocks", len(asked))
		}
		for _, l := range asked {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}}))
		}
	}
	second := func() []letter {
		t.Helper()
		told := b.take(func(m *pb.Message) bool { return m.GetCut() != nil })
		if len(told) != 2 {
			t.Fatalf("%d are told what is cut", len(told))
		}
		return told
	}
	done := func(l letter) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutReply{CutReply: &pb.CutReply{}}}))
	}
	clock()
	first := second()
	done(first[0])
	again := b.stamp(first[1].msg.Id, &pb.Message{Clock: b.m.clock + 100, Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}})
	b.from(first[1].to, again)
	done(first[1])
	clock()
	told := second()
	if v := told[0].msg.GetCut().Cuts[0].Version; v <= again.Clock {
		t.Errorf("cut up to %d, where a clock is at %d", v, again.Clock)
	}
	done(told[0])
	if status != -1 {
		t.Fatal("confirmed before all have answered anew")
	}
	if done(told[1]); status != pb.Status_OK {
		t.Errorf("at the end: %v", status)
	}
}
