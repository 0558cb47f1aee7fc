package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// runs answers, for a peer, that it runs.
func (b *bench) runs(id uint64) {
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetAlive() != nil && !m.GetAlive().Answer }) {
		if l.to == id {
			b.from(id, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: l.msg.GetAlive().Asked, Answer: true}}})
		}
	}
}

// A process that has just been met, under the name of a member that is heard all along, proves nothing of that one, though it may be the first
// to answer: in a view of two the other member would decide alone, and the two of them could go on apart.
func TestWhoIsHeardIsNotProvenDead(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 2)
	b.confirm(2)
	b.pass(2*sec, 2)
	b.from(2, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now, InSync: true}}}))
	b.from(3, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: benchMembers[2]}}})
	b.pass(180*ms, 2)
	b.m.Up(&pb.Member{Name: "b", Id: 20, Addr: "b2"}, 20)
	b.runs(20)
	for range 10 {
		b.from(2, b.stamp(601, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now, InSync: true}}}))
		b.pass(20 * ms)
	}
	if b.m.campaign == nil && b.m.lay.number() == 2 && b.m.chosen == nil {
		t.Fatal("no view with c is proposed")
	}
	if b.m.lay.number() > 2 || b.m.chosen != nil {
		t.Error("a decides alone, and b lives")
	}
	b.m.Down(2, 2) // it ends, and had not answered since the other was met
	if b.pass(3 * sec); b.m.lay.number() == 2 && b.m.chosen == nil {
		t.Error("b is dead, and yet a is stuck")
	}
}

// Who hands over, and outlives the session with its successor that has only just come in, does not prove that this one has ended: the successor
// has said that it runs.
func TestTheSuccessorThatRanIsNotProvenDead(t *testing.T) {
	b := newBench(t, "")
	b.m.Down(2, 2)
	leaver := &pb.Member{Name: "b", Id: 20, Addr: "b2"}
	b.m.Up(leaver, 20)
	b.enter(1, 1)
	b.m.Up(benchMembers[1], 2)
	asked := b.take(func(m *pb.Message) bool { return m.GetAlive() != nil })
	b.sent = append(b.sent, asked...)
	b.runs(2)
	b.sent = append(b.sent, asked...)
	b.runs(20)
	b.enter(2, 2, 1)
	b.m.Down(2, 2)
	if b.pass(3 * sec); b.m.lay.number() > 2 || b.m.chosen != nil {
		t.Error("a goes on alone, and b may live")
	}
	b.m.Down(20, 20)
	b.m.Up(&pb.Member{Name: "b", Id: 21, Addr: "b"}, 21)
	b.runs(21)
	if b.pass(3 * sec); b.m.lay.number() == 2 && b.m.chosen == nil {
		t.Error("b has been started anew, and yet a is stuck")
	}
}
