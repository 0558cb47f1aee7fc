package protocol

import (
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
