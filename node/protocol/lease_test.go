package protocol

import (
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Each side keeps a margin of 1/64 of a pair lease, for clocks whose rates differ: who holds one serves for so much less, who granted it waits for so
// much more (rule 6).
func TestBothSidesKeepAMargin(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), []uint64{2, 1}) })
	b.enter(2, 3)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 1})
	b.confirm(2, 3)
	asked := b.now
	b.now += 100 * ms
	b.m.askLeases(b.now)
	b.confirm(3) // the view lease goes on, that of b, which owns the key, does not
	for at, want := range map[int64]Outcome{asked + sec - sec/driftShare - 1: Hit, asked + sec - sec/driftShare: Ask} {
		b.now = at
		if _, how := b.m.Read(keyOf(p)); how != want {
			t.Errorf("%d ns after the lease was asked for: %v", at-asked, how)
		}
	}

	b, key, _ := crowdedBench(t)
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	grants := b.take(func(m *pb.Message) bool { return m.GetLeaseGrant() != nil })
	granted, lease := b.now, grants[len(grants)-1].msg.GetLeaseGrant().Pair
	told := map[pb.Status]int{}
	b.set(key, "old", told)
	b.copies(true)
	b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	b.set(key, "new", told)
	b.copies(true)
	for _, at := range []int64{granted + lease + lease/driftShare - 1, granted + lease + lease/driftShare} {
		b.m.askLeases(b.now)
		b.confirm(2, 3)
		b.now = at
		b.m.askLeases(b.now)
		b.confirm(2, 3)
		b.m.Tick(20 * ms)
		if done := told[pb.Status_OK] == 2; done != (at == granted+lease+lease/driftShare) {
			t.Errorf("%d ns after a lease of %d was granted the write is confirmed: %v", at-granted, lease, done)
		}
	}
}

// Who takes over from a member of which it knows nothing waits for a lease and the margin, and for each owner that there has been meanwhile.
func TestEachEarlierOwnerIsWaitedFor(t *testing.T) {
	b := newBench(t, "")
	with := func(id int) []*pb.Member { return []*pb.Member{benchMembers[0], benchMembers[1], benchMembers[id-1]} }
	p := partition(t, func(p int) bool {
		return holdersIn(t, with(4), p)[0] == 4 && holdersIn(t, with(3), p)[0] == 3 && holdersAmong(t, 2, p)[0] == 1
	})
	b.learn(&pb.View{Chain: 9, Number: 2, Members: with(4)})
	b.confirm(2, 4)
	b.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 2, Members: with(4)}, {Number: 3, Members: with(3)}}})
	began := b.now
	b.from(3, b.stamp(0, &pb.Message{})) // c knows that it is left out; nothing is heard of d
	for _, after := range []int64{0, sec, sec + sec/driftShare - 1, sec + sec/driftShare} {
		b.now = began + after
		b.m.askLeases(b.now)
		b.confirm(2)
		if b.m.Tick(20 * ms); b.m.parts[p].acting != (after == sec+sec/driftShare) {
			t.Errorf("%d ns after the view was adopted: acts %v", after, b.m.parts[p].acting)
		}
	}
}

// Who has accepted the next view does not count itself among those that confirm the present one: its lease would outlast what it has told of it
// as it accepted (rule 5).
func TestWhoHasAcceptedDoesNotConfirmToItself(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	next := &pb.View{Chain: 9, Number: 3, Members: benchMembers[1:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}
	b.from(2, b.stamp(0, &pb.Message{Body: &pb.Message_Accept{Accept: &pb.Accept{Ballot: &pb.Ballot{Round: 1, Proposer: 2}, Value: next}}}))
	accepted := b.take(func(m *pb.Message) bool { return m.GetAccepted() != nil })
	if len(accepted) != 1 || !accepted[0].msg.GetAccepted().Ok {
		t.Fatalf("%v", accepted)
	}
	until := b.now + accepted[0].msg.GetAccepted().Fences[0].Left
	b.now += 300 * ms
	b.m.askLeases(b.now)
	if b.confirm(3); b.m.lease.until.Load() > until {
		t.Errorf("with the word of c alone the lease runs on for %d ms after what was told", (b.m.lease.until.Load()-until)/ms)
	}
	b.m.askLeases(b.now)
	if b.confirm(2, 3); b.m.lease.until.Load() != b.now+sec-sec/driftShare {
		t.Error("two others are a majority all the same")
	}
}

// grant answers a request for leases, in the view that it is of.
func (b *bench) grant(l letter, view uint64) {
	asked := l.msg.GetLeaseAsk().Asked
	b.from(l.to, &pb.Message{
		Id: l.msg.Id, Chain: 9, View: view, Body: &pb.Message_LeaseGrant{LeaseGrant: &pb.LeaseGrant{Asked: asked, Pair: sec, Confirm: true}},
	})
}

// The lease runs from when a whole quorum had been asked, not from the latest of its answers (rule 5).
func TestALeaseRunsFromItsQuorum(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 4) // where two others make a quorum
	b.confirm(2, 3)
	lasts := b.now + sec - sec/driftShare
	b.now += 300 * ms
	b.m.askLeases(b.now)
	asks := b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil })
	b.now += 100 * ms
	b.m.askLeases(b.now)
	if b.confirm(3); b.m.lease.until.Load() != lasts {
		t.Errorf("c alone has been asked later: the lease lasts %d ms longer", (b.m.lease.until.Load()-lasts)/ms)
	}
	for _, l := range asks {
		if l.to == 2 {
			b.grant(l, 2)
		}
	}
	if lasts += 300 * ms; b.m.lease.until.Load() != lasts {
		t.Errorf("b has been asked before c: the lease lasts %d ms longer", (b.m.lease.until.Load()-lasts)/ms)
	}
}

// A view is confirmed by those who were asked in it: what a member has said of the one before says nothing of this one, also when it comes late (rule 5).
func TestAConfirmationIsOfOneView(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 4)
	b.confirm(2, 3)
	lasts := b.now + sec - sec/driftShare
	b.now += 300 * ms
	b.m.askLeases(b.now)
	b.confirm(3)
	b.now += 300 * ms
	b.m.askLeases(b.now)
	late := b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil })
	ofC := b.m.peers[3].lease.until.Load()
	b.enter(3, 4)
	b.confirm(2)
	for _, l := range late {
		b.grant(l, 2)
	}
	if b.m.askLeases(b.now); b.m.lease.until.Load() != lasts {
		t.Errorf("b alone has confirmed view 3: the lease lasts %d ms longer", (b.m.lease.until.Load()-lasts)/ms)
	}
	if until := b.m.peers[3].lease.until.Load(); until != ofC {
		t.Errorf("by a grant of view 2 that of c lasts %d ms longer in view 3", (until-ofC)/ms)
	}
	if b.confirm(3); b.m.lease.until.Load() != b.now+sec-sec/driftShare {
		t.Error("b and c have confirmed view 3: the lease is not renewed")
	}
}

// What is granted ends with the granter's own lease, and what was granted before is not taken back by a grant that is shorter (rule 6).
func TestAPairLeaseEndsWithTheViewLease(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	lasts := b.m.lease.until.Load()
	waits := int64(0)
	for _, left := range []int64{800 * ms, 10 * ms, 0} {
		b.now = lasts - left
		b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
		grants := b.take(func(m *pb.Message) bool { return m.GetLeaseGrant() != nil })
		if len(grants) != 1 || grants[0].msg.GetLeaseGrant().Pair != left {
			t.Errorf("with a lease for %d ms: %v", left/ms, grants)
		}
		if until := b.m.peers[3].grantEnd; until < waits || until < lasts {
			t.Errorf("c is waited for until %d, before until %d, and may serve until %d", until, waits, lasts)
		}
		waits = b.m.peers[3].grantEnd
	}
}
