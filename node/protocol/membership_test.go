package protocol

import (
	"slices"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Expect counts nodes by their names: one that was restarted, whose earlier process gossip still knows, is one node.
func TestExpectCountsNames(t *testing.T) {
	b := newBench(t, "")
	for _, p := range benchMembers[1:] {
		b.m.Down(p.Id, p.Id)
	}
	b.m.cfg.Expect, b.m.reached = 3, true
	b.m.Found(&pb.Member{Name: "b", Id: 20, Addr: "b"}, 0, 0, 0)
	b.m.Found(&pb.Member{Name: "b", Id: 21, Addr: "b"}, 0, 0, 0)
	if b.pass(5 * sec); b.m.lay != nil || b.m.chosen != nil {
		t.Fatal("founded with two of three nodes")
	}
	b.m.Up(&pb.Member{Name: "b", Id: 21, Addr: "b"}, 21)
	b.m.Found(benchMembers[2], 0, 0, 0)
	if b.pass(5 * sec); b.m.lay != nil || b.m.chosen != nil {
		t.Fatal("founded while one is out of reach")
	}
	b.m.Up(benchMembers[2], 3)
	b.m.cfg.Mutant = "found-unasked"
	b.built()
	if b.pass(5 * sec); b.m.lay == nil && b.m.chosen == nil {
		t.Fatal("not founded with all three")
	}
}

// Reports of who does not hear whom gather for a while, also if processes have been asking to be let in for longer: the first report alone
// does not tell which of the two is to go.
func TestReportsGatherWhileOthersJoin(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.pass(2*sec, 2, 3, 4)
	for id := uint64(2); id <= 4; id++ {
		b.from(id, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now, InSync: true}}}))
	}
	e := &pb.Member{Name: "e", Id: 5, Addr: "e"}
	b.m.Up(e, 5)
	b.from(5, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: e}}})
	b.pass(180*ms, 2, 3, 4)
	suspects := func(from uint64, of ...uint64) {
		b.from(from, b.stamp(0, &pb.Message{Body: &pb.Message_Suspect{Suspect: &pb.Suspect{Members: of}}}))
	}
	var accept []letter
	pass := func(d int64) {
		for end := b.now + d; len(accept) == 0 && b.now < end; {
			b.pass(20*ms, 2, 3, 4)
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetPrepare() != nil }) {
				p := l.msg.GetPrepare()
				b.from(l.to, b.stamp(0, &pb.Message{Body: &pb.Message_Promise{Promise: &pb.Promise{Ballot: p.Ballot, Number: p.Number, Ok: true}}}))
			}
			accept = b.take(func(m *pb.Message) bool { return m.GetAccept().GetBallot() != nil })
		}
	}
	suspects(3, 2) // b has lost touch with c and d
	pass(100 * ms)
	suspects(4, 2)
	suspects(2, 3, 4)
	if pass(300 * ms); len(accept) == 0 {
		t.Fatal("nothing is proposed")
	}
	var names []string
	for _, mem := range accept[0].msg.GetAccept().Value.Members {
		names = append(names, mem.Name)
	}
	if !slices.Equal(names, []string{"a", "c", "d", "e"}) {
		t.Errorf("%v is proposed: b should go", names)
	}
}

// One that has died is noticed by one of the others first. That one alone reports it, and does not pay for it.
func TestTheFirstToReportADeathStays(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.pass(2*sec, 2, 3, 4)
	b.pass(300*ms, 2, 4) // c has died
	for range 20 {
		b.from(4, b.stamp(0, &pb.Message{Body: &pb.Message_Suspect{Suspect: &pb.Suspect{Members: []uint64{3}}}}))
		if b.pass(20*ms, 2, 4); b.m.campaign != nil {
			if got := namesOf(b.m.campaign.value.Members); !slices.Equal(got, []string{"a", "b", "d"}) {
				t.Errorf("the next view is to have %q, not all but the dead one", got)
			}
			return
		}
	}
	t.Error("no view is proposed")
}

// Who asks to be let in while others do comes in with them, in one view, if no more than 200 ms lie between; the members are told of it
// before, not all with the same tick.
func TestJoinsGather(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 2)
	b.confirm(2)
	b.pass(2*sec, 2)
	b.from(2, b.stamp(500, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now, InSync: true}}}))
	join := func(id uint64) {
		b.from(id, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: benchMembers[id-1]}}})
	}
	began := b.now
	told := map[uint64]int64{}
	for b.m.campaign == nil && b.now < began+sec {
		if b.now == began {
			join(3)
		}
		if b.now == began+160*ms {
			join(4)
		}
		b.pass(20*ms, 2)
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetAccept() != nil && m.GetAccept().Ballot == nil }) {
			if len(l.msg.GetAccept().Value.Members) == 4 {
				told[l.to] = b.now
			}
		}
	}
	switch {
	case b.m.campaign == nil:
		t.Fatal("no view is proposed")
	case b.now-began < 360*ms || len(b.m.campaign.value.Members) != 4:
		t.Errorf("proposed after %d ms: %v", (b.now-began)/ms, namesOf(b.m.campaign.value.Members))
	case len(told) != 3 || told[2] == told[4]:
		t.Errorf("told before, and when: %v", told)
	}
}
