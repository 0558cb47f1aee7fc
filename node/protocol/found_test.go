package protocol

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// newOutside is a machine that has met two others and is in no cluster.
func newOutside(t *testing.T, mutant string) *bench {
	b := newBench(t, mutant)
	b.m.cfg.Expect, b.m.reached = 3, true
	for _, p := range benchMembers[1:3] {
		b.m.Found(p, 0, 0)
	}
	b.m.Down(4, 4)
	b.pass(2 * sec)
	b.built()
	return b
}

// built brings the rings that were asked for.
func (b *bench) built() {
	b.t.Helper()
	for _, names := range b.want {
		table, err := ring.Build(names, 2, benchRing)
		if err != nil {
			b.t.Fatal(err)
		}
		b.m.Built(names, table)
	}
	b.want = nil
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
	if b.pass(200 * ms); b.founded() {
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
	b = newOutside(t, "found-unasked")
	if b.pass(200 * ms); !b.founded() {
		t.Error("the rule that is switched off makes no difference")
	}
}

// What a peer says of itself is sooner than what gossip says of it.
func TestNoFoundingBesideAClusterThatSpeaks(t *testing.T) {
	b := newOutside(t, "found-unasked")
	b.from(3, &pb.Message{Chain: 9, View: 5, Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: 1}}})
	b.m.Found(benchMembers[2], 0, 0) // of before
	if b.pass(2 * sec); b.founded() {
		t.Error("founded beside a cluster that has spoken")
	}
}

// A process that is stopped keeps nobody from founding a cluster, once gossip has given it up; with Expect it does, for it is not there.
func TestAHungProcessHoldsUpNoFounding(t *testing.T) {
	for _, expect := range []int{2, 3} {
		b := newOutside(t, "")
		b.m.cfg.Expect = expect
		b.m.Gone(3)
		for range 50 {
			b.outside(true, 2)
			b.pass(askOutsideEvery)
		}
		if b.founded() != (expect == 2) {
			t.Errorf("Expect %d of three, of which one hangs: founded %t", expect, b.founded())
		}
	}
}

// Who is there and has not been asked says nothing for long, as after a cut, when gossip does not know of it again: nobody founds a cluster beside it,
// whether or not there are addresses to join, nor after a pause of its own, when the answers are still to be read.
func TestWhoHasNotBeenAskedDoesNotHang(t *testing.T) {
	for _, solo := range []bool{true, false} {
		for mutant, want := range map[string]bool{"": false, "hung-unasked": true} {
			b := newOutside(t, mutant)
			b.m.cfg.Expect, b.m.cfg.Solo, b.m.foundAfter = 0, solo, b.now+b.m.cfg.Settle+b.m.cfg.ExpelAfter
			b.m.Gone(2)
			b.m.Gone(3)
			for range 100 {
				for _, l := range b.take(func(m *pb.Message) bool { return m.GetAlive() != nil && !m.GetAlive().Answer }) {
					b.from(l.to, &pb.Message{Chain: 9, View: 5, Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: l.msg.GetAlive().Asked, Answer: true}}})
				}
				b.pass(askOutsideEvery)
			}
			if b.founded() != want {
				t.Errorf("%q, Solo %t: founded beside a cluster: %t", mutant, solo, !want)
			}
			b.now += 10 * sec
			if b.pass(20 * ms); b.founded() != want {
				t.Errorf("%q, Solo %t: founded after a pause, before anybody could answer: %t", mutant, solo, !want)
			}
		}
	}
}

// Of several that ask the smallest has its turn before those that renew.
func TestTheSmallestHasItsTurn(t *testing.T) {
	b := newOutside(t, "")
	ask := func(from uint64) bool {
		b.from(from, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: 7, Outside: true, Chain: from}}})
		return b.take(func(m *pb.Message) bool { return m.GetAlive().GetAnswer() })[0].msg.GetAlive().Outside
	}
	if !ask(3) {
		t.Fatal("refuses the first")
	}
	var turn int64
	for began := b.now; b.now < began+10*sec && turn == 0; b.pass(100 * ms) {
		ask(3)
		if ask(2) {
			turn = b.now - began
		}
	}
	if turn == 0 || turn > b.m.cfg.Lease+200*ms {
		t.Errorf("the smaller has its turn after %d ms", turn/ms)
	}
}

// Who has said that it is in no cluster enters none but the asker's, for a lease; and says it to no other meanwhile.
func TestWhoAgreedToAFoundingStaysOutside(t *testing.T) {
	b := newOutside(t, "")
	ask := func(from uint64) bool {
		b.from(from, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: 7, Outside: true, Chain: 10 * from}}})
		answers := b.take(func(m *pb.Message) bool { return m.GetAlive().GetAnswer() })
		if len(answers) != 1 || answers[0].to != from || answers[0].msg.GetAlive().Asked != 7 {
			t.Fatalf("answers: %v", answers)
		}
		return answers[0].msg.GetAlive().Outside
	}
	told := func(chain uint64, members ...*pb.Member) bool {
		v := &pb.View{Chain: chain, Number: 5, Members: members}
		b.m.Receive(3, 3, &pb.Message{Body: &pb.Message_Decide{Decide: &pb.Decide{View: v}}})
		b.pass(10 * ms)
		return b.founded()
	}
	for range 2 {
		if !ask(2) {
			t.Fatal("is in no cluster, and does not say so")
		}
	}
	if ask(3) {
		t.Error("agreed to two foundings")
	}
	if told(9, benchMembers[:3]...) {
		t.Fatal("entered another cluster than it has agreed to")
	}
	b.pass(b.m.cfg.Lease)
	if !ask(3) {
		t.Error("does not agree with another when the first has had its time")
	}
	if !told(30, benchMembers[0], benchMembers[2]) {
		t.Fatal("did not enter the cluster that it has agreed to")
	}
	if b.pass(2 * b.m.cfg.Lease); ask(2) { // the promise is over
		t.Error("says that it is in no cluster, and is in one")
	}

	b = newOutside(t, "")
	b.m.Found(benchMembers[2], 9, 1)
	if ask(2) {
		t.Error("agreed to a founding though it knows of a cluster")
	}
}

// Who does not go together with most of those it meets founds no cluster beside theirs, of which it may not have heard yet. They found
// theirs, but look first whether there is one.
func TestWhoDoesNotFitFoundsNoCluster(t *testing.T) {
	for _, barred := range []uint64{1, 2} {
		b := newBench(t, "")
		b.m.cfg.Expect, b.m.reached = 1, true
		for _, p := range benchMembers[1:3] {
			b.m.Found(p, 0, 0)
		}
		b.m.Down(4, 4)
		for id := range barred {
			b.m.Down(3-id, 3-id)
			b.m.Barred(3 - id)
		}
		try := func() {
			b.pass(20 * ms)
			b.built()
			b.outside(true, 2, 3)
		}
		met := b.now
		for b.now < met+4*sec {
			if try(); b.founded() {
				t.Fatalf("%d of 2 do not go together with this one, and it founds a cluster after %d ms", barred, (b.now-met)/ms)
			}
		}
		for b.now < met+20*sec {
			try()
		}
		if b.founded() != (barred == 1) {
			t.Errorf("%d of 2 do not go together with this one: founded %v", barred, b.founded())
		}
		if barred == 1 {
			continue
		}
		b.m.Up(benchMembers[1], 2)
		for b.now < met+40*sec {
			try()
		}
		if !b.founded() {
			t.Error("no cluster, though one of the two goes together with this one by now")
		}
	}
}

// Nor does it hold them up, though it would be the first of all to found one. Of two halves that do not go together only one founds one.
func TestWhoDoesNotFitHoldsNobodyUp(t *testing.T) {
	founds := func(mutant string, before bool, others int) bool {
		b := newOutside(t, mutant)
		b.m.cfg.Expect = 0
		for i := range uint64(others) {
			q := &pb.Member{Name: fmt.Sprint("other", i), Id: 5 + i, Addr: "o"}
			if before {
				q.Id |= notExiled
			}
			b.m.Found(q, 0, 0)
			b.m.Barred(q.Id)
		}
		for end := b.now + 20*sec; b.now < end && !b.founded(); {
			b.pass(20 * ms)
			b.built()
			b.outside(true, 2, 3)
		}
		return b.founded()
	}
	for _, before := range []bool{false, true} {
		for others, want := range map[int]bool{1: true, 2: true, 3: !before, 4: false} {
			if founds("", before, others) != want {
				t.Errorf("%d that do not go together with these three, and come first: %t; founded %t", others, before, !want)
			}
		}
	}
	if founds("barred-holds-up", true, 1) {
		t.Error("the rule that is switched off makes no difference")
	}
}
