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
	b.m.Found(&pb.Member{Name: "b", Id: 20, Addr: "b"}, 0, 0)
	b.m.Found(&pb.Member{Name: "b", Id: 21, Addr: "b"}, 0, 0)
	if b.pass(5 * sec); b.m.lay != nil || b.m.chosen != nil {
		t.Fatal("founded with two of three nodes")
	}
	b.m.Up(&pb.Member{Name: "b", Id: 21, Addr: "b"}, 21)
	b.m.Found(benchMembers[2], 0, 0)
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

// The view after the present one is chosen by the members of this one. Others have no say, and whoever is of another view is no acceptor of it: what it
// votes is of another choice.
func TestOnlyMembersChooseTheNextView(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	ballot := func(id uint64) *pb.Ballot { return &pb.Ballot{Round: 1, Proposer: id} }
	next := func(number uint64) *pb.View {
		return &pb.View{Chain: 9, Number: number, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}
	}
	for _, c := range []struct {
		says       string
		from       uint64
		view, next uint64
		proposer   uint64
		heard      bool
	}{
		{"a stranger", 4, 2, 3, 4, false},
		{"who is a view ahead", 2, 3, 4, 2, false},
		{"for another", 2, 2, 3, 3, false},
		{"a member", 2, 2, 3, 2, true},
	} {
		b.from(c.from, &pb.Message{Chain: 9, View: c.view, Body: &pb.Message_Prepare{Prepare: &pb.Prepare{Ballot: ballot(c.proposer), Number: c.next}}})
		if n := len(b.take(func(m *pb.Message) bool { return m.GetPromise() != nil })); n > 0 != c.heard {
			t.Errorf("%s prepares: %d answers", c.says, n)
		}
		if c.from != c.proposer {
			continue
		}
		b.from(c.from, &pb.Message{Chain: 9, View: c.view, Body: &pb.Message_Accept{Accept: &pb.Accept{Ballot: ballot(c.proposer), Value: next(c.next)}}})
		if n := len(b.take(func(m *pb.Message) bool { return m.GetAccepted() != nil })); n > 0 != c.heard || (b.m.vote.accepted != nil) != c.heard {
			t.Errorf("%s has a view accepted: %d answers, voted: %v", c.says, n, b.m.vote.accepted)
		}
	}
}

// What is said in another cluster of its members, which may have the same names, concerns none of this one.
func TestWhatIsSaidInAnotherCluster(t *testing.T) {
	for _, chain := range []uint64{8, 9} {
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		for _, body := range []*pb.Message{
			{Body: &pb.Message_Forget{Forget: &pb.Forget{Name: "c"}}},
			{Body: &pb.Message_Suspect{Suspect: &pb.Suspect{Members: []uint64{3}}}},
			{Body: &pb.Message_Leave{Leave: &pb.Leave{Member: 2}}},
		} {
			body.Chain, body.View = chain, 2
			b.from(2, body)
		}
		if same := chain == 9; b.m.forgotten["c"] != same || b.m.suspected(3, b.now) != same || (b.m.leavers[2] != 0) != same {
			t.Errorf("the same cluster: %v: forgotten %v, suspected %v, leaves %v", same, b.m.forgotten, b.m.suspected(3, b.now), b.m.leavers)
		}
	}
}

// Who asks to be let in waits until all members are in sync: one thing moves at a time.
func TestJoinersWaitForTheHandOver(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 2)
	b.confirm(2)
	for _, synced := range []bool{false, true} {
		for end := b.now + 2*sec; b.now < end && b.m.campaign == nil; {
			b.from(2, b.stamp(500, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now, InSync: synced}}}))
			b.from(3, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: benchMembers[2]}}})
			b.pass(20*ms, 2)
		}
		if proposed := b.m.campaign != nil; proposed != synced {
			t.Errorf("b is in sync: %v, a view with c is proposed: %v", synced, proposed)
		}
	}
}

// A view that no node could have proposed is not entered: its ring would be another at each node, or could not be made.
func TestViewsThatCannotBe(t *testing.T) {
	a, c := benchMembers[0], benchMembers[1]
	set := func(number uint64, members ...*pb.Member) []*pb.MemberSet {
		return []*pb.MemberSet{{Number: number, Members: members}}
	}
	if !validView(&pb.View{Chain: 9, Number: 2, Members: []*pb.Member{a, c}, History: set(1, a)}) {
		t.Error("one that can be is refused")
	}
	for _, v := range []*pb.View{
		nil,
		{Number: 2, Members: []*pb.Member{a}},
		{Chain: 9, Members: []*pb.Member{a}},
		{Chain: 9, Number: 2},
		{Chain: 9, Number: 2, Members: []*pb.Member{c, a}},
		{Chain: 9, Number: 2, Members: []*pb.Member{a, a}},
		{Chain: 9, Number: 2, Members: []*pb.Member{{Name: "a"}}},
		{Chain: 9, Number: 2, Members: []*pb.Member{nil}},
		{Chain: 9, Number: 2, Members: []*pb.Member{a}, History: set(1)},
		{Chain: 9, Number: 2, Members: []*pb.Member{a}, History: set(2, a)},
	} {
		if validView(v) {
			t.Errorf("%v", v)
		}
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
