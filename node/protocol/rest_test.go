package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// keyOf returns a key of a partition that the member owns.
func (b *bench) keyOf(owner uint64) string {
	b.t.Helper()
	for i := range 1000 {
		if key := fmt.Sprint("k", i); b.m.lay.owner(ring.PartitionOf(key, len(b.m.parts))) == owner {
			return key
		}
	}
	b.t.Fatalf("%d owns nothing", owner)
	return ""
}

// A machine is at rest only if ticks have nothing to do, and whatever gives them something says so at once, or by the next tick.
func TestAtRest(t *testing.T) {
	b := newBench(t, "")
	rests := func(why string, want bool) {
		t.Helper()
		if got := b.m.AtRest(); got != want {
			t.Errorf("%s: at rest %v", why, got)
		}
	}
	busy := func(why string, want bool) {
		t.Helper()
		if got := b.m.Busy(); got != want {
			t.Errorf("%s: busy %v", why, got)
		}
	}
	busy("outside a cluster", true)
	rests("outside a cluster", false)
	b.enter(5, 4, 3)
	b.pass(3*sec, 2, 3, 4)
	rests("the view is not settled", false)
	b.enter(6, 4)
	all := func() { b.pass(3*sec, 2, 3, 4) }
	all()
	rests("all are there", true)
	busy("all are there", false)

	b.m.Get(&pb.Get{Key: b.keyOf(2)}, b.now+sec, func(Result) {})
	busy("a read is under way", true)
	all()
	rests("its time is up", true)

	done := false
	b.m.Write(&pb.Write{Key: b.keyOf(1), Value: []byte("v"), Kind: pb.Kind_LIVE}, b.now+5*sec, 0, func(Result) { done = true })
	busy("a write is under way", true)
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
	}
	if busy("it is confirmed", false); !done {
		t.Error("the write is not confirmed")
	}
	all()

	b.m.Cut(nil, b.now+sec, b.now+sec, func(Result) {})
	busy("a cut is under way", true)
	all()
	rests("it is given up", true)

	b.m.Down(3, 3)
	busy("a session has ended", true)
	rests("a member is not there", false)
	b.m.Up(benchMembers[2], 3)
	busy("a session has begun", true)
	all()
	rests("it is there again", true)

	for end := b.now + sec; b.now < end && b.m.AtRest(); b.now += 20 * ms {
		b.m.Tick(20 * ms) // nobody answers
	}
	rests("nobody is heard", false)
	all()
	rests("all are heard again", true)

	b.m.Found(&pb.Member{Name: "e", Id: 5, Addr: "e"}, 0, 0)
	busy("somebody new is there", true)
	rests("somebody new is there", false)
	b.m.Gone(5)
	all()
	rests("and gone", true)

	b.from(2, b.stamp(0, &pb.Message{Body: &pb.Message_Suspect{Suspect: &pb.Suspect{Members: []uint64{3}}}}))
	busy("another does not hear a member", true)
	all()
	b.enter(7, 3, 4)
	busy("a view has been adopted", true)
	b.enter(8, 4)
	all()
	rests("it is settled", true)

	b.m.Leave()
	busy("it leaves", true)
	rests("it leaves", false)
}

// A peer that could not be forgotten when gossip had, for it was under a grant, is forgotten later.
func TestPeerUnderAGrantIsForgotten(t *testing.T) {
	b := newBench(t, "")
	b.enter(6, 4)
	b.m.Found(benchMembers[3], 9, 4)
	for range 3 {
		b.pass(300*ms, 2, 3, 4)
		b.from(4, b.stamp(0, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: 1, InSync: true}}}))
	}
	b.m.Down(4, 4)
	b.enter(7, 3, 4)
	b.enter(8, 3)
	b.m.Gone(4)
	if b.m.peers[4] == nil {
		t.Fatal("the grant has been forgotten with it")
	}
	b.pass(20*sec, 2, 3)
	if b.m.peers[4] != nil || !b.m.AtRest() {
		t.Errorf("known still: %v; at rest: %v", b.m.peers[4] != nil, b.m.AtRest())
	}
}

// That another process had this one's name, as it came in, is no matter once it is gone.
func TestRestAfterAClash(t *testing.T) {
	b := newBench(t, "")
	b.m.Found(&pb.Member{Name: "a", Id: 99, Addr: "x"}, 9, 4)
	b.m.Up(&pb.Member{Name: "a", Id: 99, Addr: "x"}, 99)
	b.m.Tick(20 * ms)
	if b.m.clash.with == nil {
		t.Fatal("no clash")
	}
	b.enter(6, 4)
	b.m.Down(99, 99)
	b.m.Gone(99)
	b.pass(5*sec, 2, 3, 4)
	if !b.m.AtRest() {
		t.Error("not at rest")
	}
}

// Who is asked for a lease that it is about to ask for asks back with the answer, and not once more when it ticks; and a driver that ticks seldom
// asks for what would be due before it comes again.
func TestLeasesAreAskedForTogether(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	asked := func() (to []uint64) {
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil }) {
			to = append(to, l.to)
		}
		return to
	}
	ask := func() {
		b.from(2, b.stamp(900, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	}
	expect := func(what string, want ...uint64) {
		t.Helper()
		if got := asked(); !slices.Equal(got, want) {
			t.Errorf("%s: asked %v, want %v", what, got, want)
		}
	}
	const every = sec / LeasesRenewed
	b.m.askLeases(b.now)
	asked()
	b.now += every / 2
	ask()
	expect("asked long before it is time")
	b.now += every/2 - 30*ms
	ask()
	expect("asked when it is nearly time", 2)
	ask()
	expect("asked again at once")
	b.now += 30 * ms
	b.m.Tick(every)
	expect("at the tick", 3)
	b.now += 70 * ms
	b.m.Tick(every - 70*ms)
	expect("a tick that comes again in time")
	b.m.Tick(every)
	expect("a tick that would come too late", 2, 3)
}
