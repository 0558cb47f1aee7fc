package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// An acceptor keeps to the highest ballot that it has heard of: by a Prepare, or by an Accept alone.
func TestAnAcceptorKeepsItsWord(t *testing.T) {
	for _, by := range []string{"Prepare", "Accept"} {
		b := newBench(t, "")
		b.enter(2, 3)
		v := &pb.View{Chain: 9, Number: 3, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}
		prepare := func(round, from uint64) bool {
			b.from(from, b.stamp(0, &pb.Message{Body: &pb.Message_Prepare{Prepare: &pb.Prepare{Ballot: &pb.Ballot{Round: round, Proposer: from}, Number: 3}}}))
			return b.take(func(m *pb.Message) bool { return m.GetPromise() != nil })[0].msg.GetPromise().Ok
		}
		accept := func(round, from uint64) bool {
			b.from(from, b.stamp(0, &pb.Message{Body: &pb.Message_Accept{Accept: &pb.Accept{Ballot: &pb.Ballot{Round: round, Proposer: from}, Value: v}}}))
			return b.take(func(m *pb.Message) bool { return m.GetAccepted() != nil })[0].msg.GetAccepted().Ok
		}
		if by == "Prepare" && !prepare(5, 2) || by == "Accept" && !accept(5, 2) {
			t.Fatal("refused")
		}
		if prepare(4, 3) || accept(4, 3) {
			t.Errorf("after a %s: took a lower ballot", by)
		}
	}
}

// A proposer proposes what was accepted under the highest ballot, in whatever order it learns of that.
func TestAProposerTakesUpTheHighest(t *testing.T) {
	for _, first := range []uint64{2, 3} {
		b := newBench(t, "")
		b.enter(2, 4)
		b.confirm(2, 3, 4)
		var prepare []letter
		for end := b.now + 5*sec; len(prepare) == 0 && b.now < end; { // d is silent
			b.pass(20*ms, 2, 3)
			prepare = b.take(func(m *pb.Message) bool { return m.GetPrepare() != nil })
		}
		if len(prepare) == 0 {
			t.Fatal("nothing is proposed")
		}
		ballot := prepare[0].msg.GetPrepare().Ballot
		for _, id := range []uint64{first, 5 - first} { // of b the ballot is the higher one
			v := &pb.View{Chain: 9, Number: 3, Members: benchMembers[:id], History: []*pb.MemberSet{{Number: 2, Members: benchMembers}}}
			b.from(id, b.stamp(0, &pb.Message{Body: &pb.Message_Promise{Promise: &pb.Promise{
				Ballot: ballot, Number: 3, Ok: true, Accepted: &pb.Ballot{Round: 10 - id, Proposer: id}, Value: v,
			}}}))
		}
		accept := b.take(func(m *pb.Message) bool { return m.GetAccept().GetBallot() != nil })
		if len(accept) == 0 || len(accept[0].msg.GetAccept().Value.Members) != 2 {
			t.Errorf("proposed %v", accept)
		}
	}
}

// Who was left out of a view in between has missed writes, and starts over.
func TestWhoWasLeftOutInBetweenStartsOver(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.learn(&pb.View{
		Chain: 9, Number: 4, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}, {Number: 3, Members: benchMembers[1:3]}},
	})
	if b.m.lay != nil {
		t.Errorf("in view %d", b.m.lay.number())
	}
}
