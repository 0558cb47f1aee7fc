package protocol

import (
	"testing"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A node outside asks every cluster it hears of. The view of one, whose rings take long, must not stand in the way of the other it comes into.
func TestChosenOfAnotherChain(t *testing.T) {
	b := newBench(t, "")
	b.m.learn(&pb.View{Chain: 8, Number: 7, Members: benchMembers[:4], History: []*pb.MemberSet{{Number: 6, Members: benchMembers[1:4]}}})
	late := b.want
	b.want = nil
	for _, n := range []int{2, 3} { // rings of before
		table, err := ring.Build(namesOf(benchMembers[:n]), 2, benchRing)
		if err != nil {
			t.Fatal(err)
		}
		b.m.Built(namesOf(benchMembers[:n]), table)
	}
	b.enter(3, 3, 2) // of chain 9
	for _, names := range late {
		table, err := ring.Build(names, 2, benchRing)
		if err != nil {
			t.Fatal(err)
		}
		b.m.Built(names, table)
	}
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	if b.m.chosen != nil {
		t.Errorf("view %d of chain %d is waited for, in chain %d", b.m.chosen.Number, b.m.chosen.Chain, b.m.lay.view.Chain)
	}
	// b and c go on; a hears of it by their messages, and asks for the view.
	b.take(func(*pb.Message) bool { return true })
	b.from(2, &pb.Message{Chain: 9, View: 4})
	b.from(2, &pb.Message{Chain: 9, View: 4, Body: &pb.Message_Copy{Copy: &pb.Copy{}}})
	b.pass(sec)
	if len(b.take(func(m *pb.Message) bool { return m.GetViewPlease() != nil })) == 0 {
		t.Error("nobody is asked for the next view")
	}
	b.enter(4, 2, 3)
}
