package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// newOutside is a machine that has met two others and is in no cluster.
func newOutside(t *testing.T, mutant string) *bench {
	b := newBench(t, mutant)
	b.m.cfg.Expect, b.m.reached = 3, true
	for _, p := range benchMembers[1:3] {
		b.m.Found(p, 0, 0, 0)
	}
	b.m.Down(4, 4)
	return b
}

// outside lets peers answer the questions whether they are in no cluster that were asked last.
func (b *bench) outside(says bool, peers ...uint64) {
	asked := b.take(func(m *pb.Message) bool { return m.GetAlive().GetOutside() && !m.GetAlive().Answer })
	for _, id := range peers {
		for i := len(asked) - 1; i >= 0; i-- {
			if asked[i].to == id {
				b.from(id, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: asked[i].msg.GetAlive().Asked, Answer: true, Outside: says}}})
				break
			}
		}
	}
}

func (b *bench) founded() bool { return b.m.lay != nil || b.m.chosen != nil }

// A cluster is founded only when all within reach have said, over the present sessions and just now, that they are in none: what gossip
// knows of them may be of before a cut.
func TestFoundingIsAgreed(t *testing.T) {
	b := newOutside(t, "")
	if b.pass(2 * sec); b.founded() {
		t.Fatal("founded before anybody has answered")
	}
	b.outside(true, 2)
	if b.pass(200 * ms); b.founded() {
		t.Fatal("founded though one has not answered")
	}
	b.outside(true, 2)
	b.outside(false, 3)
	if b.pass(200 * ms); b.founded() {
		t.Fatal("founded though one is in another cluster")
	}
	b.outside(true, 3)
	b.m.Down(3, 3)
	b.m.Up(benchMembers[2], 3)
	if b.pass(200 * ms); b.founded() {
		t.Fatal("founded on the word of a session that has ended")
	}
	b.outside(true, 2)
	b.pass(b.m.cfg.Lease)
	b.outside(true, 3)
	if b.pass(20 * ms); b.founded() {
		t.Fatal("founded on a word that is a lease old")
	}
	b.pass(askOutsideEvery)
	b.outside(true, 2, 3)
	if b.pass(100 * ms); !b.founded() {
		t.Fatal("not founded though all have agreed")
	}
	if b := newOutside(t, "found-unasked"); true {
		if b.pass(2 * sec); !b.founded() {
			t.Error("the rule that is switched off makes no difference")
		}
	}
}

// Who has said that it is in no cluster enters none that the asker is not in, for a lease; and says it to no other meanwhile.
func TestWhoAgreedToAFoundingStaysOutside(t *testing.T) {
	b := newOutside(t, "")
	ask := func(from uint64) bool {
		b.from(from, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: 7, Outside: true}}})
		answers := b.take(func(m *pb.Message) bool { return m.GetAlive().GetAnswer() })
		if len(answers) != 1 || answers[0].to != from || answers[0].msg.GetAlive().Asked != 7 {
			t.Fatalf("answers: %v", answers)
		}
		return answers[0].msg.GetAlive().Outside
	}
	told := func(number uint64, members ...*pb.Member) bool {
		v := &pb.View{Chain: 9, Number: number, Members: members}
		b.m.Receive(3, 3, &pb.Message{Body: &pb.Message_Decide{Decide: &pb.Decide{View: v}}})
		b.pass(10 * ms)
		return b.founded()
	}
	if !ask(2) || !ask(2) {
		t.Fatal("is in no cluster, and does not say so")
	}
	if ask(3) {
		t.Error("agreed to two foundings")
	}
	if told(5, benchMembers[0], benchMembers[2]) {
		t.Fatal("entered a cluster without the one that it has agreed with")
	}
	b.pass(b.m.cfg.Lease)
	if !ask(3) {
		t.Error("does not agree with another when the first has had its time")
	}
	if !told(6, benchMembers[0], benchMembers[2]) {
		t.Fatal("did not enter the cluster of the one that it has agreed with")
	}
	if ask(2) {
		t.Error("says that it is in no cluster, and is in one")
	}

	b = newOutside(t, "")
	b.m.Found(benchMembers[2], 9, 5, 1)
	if ask(2) {
		t.Error("agreed to a founding though it knows of a cluster")
	}
}
