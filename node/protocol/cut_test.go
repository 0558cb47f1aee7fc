package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

func clocks(b *bench) []letter {
	return b.take(func(m *pb.Message) bool { return m.GetCutClock() != nil })
}

func voids(b *bench) []letter {
	return b.take(func(m *pb.Message) bool { return m.GetCut() != nil })
}

// clocked answers round one, and voided round two, as the members would that got these.
func (b *bench) clocked(ls []letter) {
	for _, l := range ls {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}}))
	}
}

func (b *bench) voided(ls []letter) {
	for _, l := range ls {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutReply{CutReply: &pb.CutReply{}}}))
	}
}

// Who cuts voids what it holds itself.
func TestACutVoidsWhatIsHere(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 1)
	b.pass(100 * ms)
	b.written(&pb.Write{Key: "k", Value: []byte("v"), Tags: []string{"user"}})
	var r Result
	b.m.Cut([]string{"user"}, b.now+sec, 0, func(x Result) { r = x })
	if _, how := b.m.Read("k"); r.Status != pb.Status_OK || how != Absent || len(b.m.cuts)+len(b.m.cutBy) != 0 {
		t.Errorf("ended %v, then %v; %d, %d are left", r.Status, how, len(b.m.cuts), len(b.m.cutBy))
	}
}

// A cut that starts over within a view goes by no answer to what was asked before: it may have waited on its way for as long. And what was sent of it before
// stays what it was, for it may not have gone out yet.
func TestAnswersOfBeforeACutStartedOver(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	ended := false
	b.m.Cut([]string{"user"}, b.now+600*sec, 0, func(Result) { ended = true })
	first := clocks(b)
	b.clocked(first)
	second := voids(b)
	if len(first) != 2 || len(second) != 2 {
		t.Fatalf("%d were asked, %d told", len(first), len(second))
	}
	version := second[0].msg.GetCut().Cuts[0].Version
	b.pass(b.m.keepClock(), 2, 3)
	b.voided(second)
	again := clocks(b)
	if ended || len(again) != 2 {
		t.Fatalf("ended: %v; %d were asked again", ended, len(again))
	}
	if b.clocked(first); len(voids(b)) != 0 {
		t.Error("round two began with clocks of before")
	}
	b.clocked(again)
	third := voids(b)
	if b.voided(second); ended || len(third) != 2 {
		t.Errorf("%d were told; confirmed by who had voided what was older: %v", len(third), ended)
	}
	if b.voided(third); !ended {
		t.Error("not confirmed")
	}
	if v := second[0].msg.GetCut().Cuts[0].Version; v != version || third[0].msg.GetCut().Cuts[0].Version <= v {
		t.Errorf("what was sent first voids up to %d now, not %d", v, version)
	}
}

// Who has all clocks and no lease goes on when it has one, also in the next cluster if it has to give up this one: as long as the caller was told.
func TestACutWaitsForALease(t *testing.T) {
	for _, gives := range []bool{false, true} {
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(2*sec, 2, 3)
		var r *Result
		b.m.Cut(nil, b.now+60*sec, 0, func(x Result) { r = &x })
		asked := clocks(b)
		b.now += sec
		if b.clocked(asked); len(voids(b)) != 0 {
			t.Fatal("it goes on without a lease")
		}
		if gives {
			b.m.dissolve("")
			b.m.Tick(20 * ms)
			b.again(8)
		}
		b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil })
		b.m.askLeases(b.now)
		b.confirm(2, 3)
		for range 3 {
			b.pass(20*ms, 2, 3)
			b.clocked(clocks(b))
			b.voided(voids(b))
		}
		if b.pass(2*sec, 2, 3); r == nil || r.Status != pb.Status_OK {
			t.Errorf("gives up its cluster: %v: ended %+v", gives, r)
		}
	}
}

// Who hands over from outside the view has no lease, and answers a cut: it serves nothing.
func TestALeaverAnswersCuts(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.Leave()
	b.learn(&pb.View{
		Chain: 9, Number: 3, Members: benchMembers[1:3], Leaving: benchMembers[:1], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}},
	})
	b.from(2, b.stamp(900, &pb.Message{Body: &pb.Message_CutClock{CutClock: &pb.CutClock{}}}))
	if n := len(b.take(func(m *pb.Message) bool { return m.GetCutClockReply() != nil })); n != 1 {
		t.Errorf("%d answers", n)
	}
}

// A cut starts over when the view changes: who is new may get by then what is to be void, from one that has not been told yet.
func TestACutStartsOverInTheNextView(t *testing.T) {
	for round := 1; round <= 2; round++ {
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(2*sec, 2, 3)
		ended := false
		b.m.Cut(nil, b.now+60*sec, 0, func(Result) { ended = true })
		if asked := clocks(b); round == 2 {
			b.clocked(asked)
			voids(b)
		}
		b.enter(3, 4, 3)
		b.confirm(2, 3, 4)
		b.pass(20*ms, 2, 3, 4)
		asked := clocks(b)
		b.clocked(asked)
		told := voids(b)
		if b.voided(told); len(asked) != 3 || len(told) != 3 || !ended {
			t.Errorf("in round %d: %d were asked, %d told, ended: %v", round, len(asked), len(told), ended)
		}
	}
}
