package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A reader may be held up between any two steps of a read. Meanwhile the lease that had run out may be renewed, by a grant that came after the
// invalidation of what the reader has in its hand: nobody waited for that one, for there was no lease.
func TestReadAcrossARenewal(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { o := holdersAmong(t, 3, p); return o[0] == 2 && o[1] == 3 })
	key := keyOf(p)
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Get(&pb.Get{Key: key, Keep: true}, b.now+sec, func(Result) {})
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
			Entry: &pb.Entry{Key: key, Value: []byte("old"), Version: 2<<viewShift + 1}, Keep: true,
		}}}))
	}
	if _, how := b.m.Read(key); how != Hit {
		t.Fatal("not kept")
	}
	b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil })
	b.m.askLeases(b.now)
	asks := b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil })
	for end := b.now + 990*ms; b.now < end; { // c hears a, b does not; the lease of b ends, and a write is confirmed there
		b.pass(20*ms, 3)
	}
	if _, how := b.m.Read(key); how != Ask {
		t.Fatal("served without a lease")
	}
	b.at = func() {
		b.from(2, b.stamp(700, &pb.Message{Body: &pb.Message_Invalidate{Invalidate: &pb.Invalidate{Key: key, Version: 2<<viewShift + 2}}}))
		for _, l := range asks {
			if l.to == 2 {
				b.from(2, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_LeaseGrant{LeaseGrant: &pb.LeaseGrant{Asked: b.now - 300*ms, Pair: sec, Confirm: true}}}))
			}
		}
	}
	if e, how := b.m.Read(key); how == Hit {
		t.Errorf("served: %s", e.Value)
	}
	if b.at != nil || b.now >= b.m.peers[2].near.until.Load() {
		t.Fatal("the lease has not been renewed meanwhile")
	}
}

// An owner whose lease has ended answers no read, also when so many are held back already that one more finds no room.
func TestNoReadWithoutALeaseThoughManyAreHeld(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "value", Version: 2<<viewShift + 1})
	for _, ended := range []bool{false, true} {
		want := pb.Status_OK
		if ended {
			b.now += 2 * sec
			b.m.held = slices.Repeat([]heldGet{{from: b.m.peers[2], session: 2, msg: &pb.Message{}, at: b.now}}, stashLimit)
			want = pb.Status_UNSURE
		}
		b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil })
		b.from(2, b.stamp(9, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
		if got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }); len(got) != 1 || got[0].msg.GetGetReply().Status != want {
			t.Errorf("lease ended %v: answered %v", ended, got)
		}
	}
}

// A near copy ends by its reader's clock, which may be slower than the owner's by 3 %: until then the owner knows of it, and a revocation
// reaches it or waits (P1).
func TestNearCopyOfASlowClockIsKnown(t *testing.T) {
	for _, c := range []struct {
		rate float64
		ttl  int64
	}{{0.98, 120 * sec}, {0.9999, 4 * 3600 * sec}} {
		s := rested(t, 3)
		table, _ := s.ring([]string{"n0", "n1", "n2"})
		key := ""
		for i := 0; key == ""; i++ {
			if o := table.Owners(partOf(fmt.Sprint("key", i))); o[0] == 0 && o[1] == 1 {
				key = fmt.Sprint("key", i)
			}
		}
		owner, reader := s.procs[0], s.procs[2]
		for _, p := range s.procs {
			now := p.Now()
			if p.rate = 1; p == reader {
				p.rate = c.rate
			}
			p.offset += now - p.Now()
		}
		status := pb.Status(-1)
		write := func(w *pb.Write) {
			w.Key, status = key, -1
			owner.m.Write(w, owner.Now()+5*sec, 0, func(r Result) { status = r.Status })
			s.until(6*sec, func() bool { return status != -1 })
		}
		write(&pb.Write{Value: []byte("old"), Ttl: c.ttl})
		read := false
		reader.m.Get(&pb.Get{Key: key, Keep: true}, reader.Now()+5*sec, func(r Result) { read = r.Entry != nil })
		s.until(6*sec, func() bool { return read })
		if e, how := reader.m.Read(key); how != Hit || !e.Near {
			t.Fatalf("no near copy: %v", how)
		}
		s.until(c.ttl+c.ttl/10, func() bool { return len(owner.m.parts[partOf(key)].holders[key]) == 0 })
		write(&pb.Write{Kind: pb.Kind_REVOKED})
		if e, how := reader.m.Read(key); status != pb.Status_OK || how == Hit {
			t.Errorf("rate %v: a revocation that ended with %v, and after it: %v, %v", c.rate, status, how, e)
		}
	}
}

// A key that comes with the last answer of a hand-over is not certainly absent to who looked for it just before (P2).
func TestAbsentBesideTheEndOfAHandOver(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	key := keyOf(p)
	b.join()
	b.pass(1500*ms, 2, 3)
	pull := b.pullOf(p)
	b.at = func() { // what another goroutine does while the clock is read
		b.from(pull.to, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{
			Entries: []*pb.Entry{{Key: key, Value: []byte("v"), Version: 2<<viewShift + 1}}, Done: uint32(len(pull.msg.GetPull().Partitions)),
		}}}))
	}
	if _, how := b.m.Read(key); how != Ask {
		t.Errorf("%v", how)
	}
	if _, how := b.m.Read(key); how != Hit {
		t.Errorf("after the hand-over: %v", how)
	}
}

// Readers that leave no processor to those who renew the leases give way once that is late, before the leases have ended.
func TestReadersGiveWayToRenewals(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.store.Put(ring.PartitionOf(key, len(b.m.parts)), &store.Entry{Key: key, Value: "v", Version: 2<<viewShift + 1})
	gave := func(after int64) bool {
		t.Helper()
		b.now = b.m.leasedFrom + after
		was := b.yields
		if _, how := b.m.Read(key); how != Hit {
			t.Fatalf("%d ms after the lease was asked for: %v", after/ms, how)
		}
		return b.yields > was
	}
	if gave(0) || gave(sec/LeasesRenewed+50*ms) {
		t.Error("gave way though leases are renewed in time")
	}
	if !gave(sec/2) || !gave(9*sec/10) {
		t.Error("did not give way")
	}
	if gave(9*sec/10) || gave(9*sec/10+yieldEvery-1) || !gave(9*sec/10+yieldEvery) {
		t.Errorf("gave way not just every %d ns", yieldEvery)
	}
}

// What a node holds of a partition only for others to pull, as it is no copy of it any more, it serves nobody: who goes by a later view, in which all has been
// pulled, does not wait for it with a write, though its lease for near copies runs. In such a view it drops it.
func TestWhatIsHeldForOthersIsNotRead(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		was, is := holdersAmong(t, 3, p), holdersAmong(t, 4, p)
		return was[1] == 1 && is[0] == was[0] && !slices.Contains(is, 1)
	})
	key := keyOf(p)
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.store.Put(p, &store.Entry{Key: key, Value: "v", Version: 2<<viewShift + 1})
	if _, how := b.m.Read(key); how != Hit {
		t.Fatalf("as a copy: %v", how)
	}
	b.enter(3, 4, 3)
	b.confirm(2, 3, 4)
	if e := b.m.store.Get(p, key); e == nil || b.m.peers[b.m.lay.owner(p)].near.until.Load() <= b.now {
		t.Fatalf("nothing is held, or there is no lease: %+v", e)
	}
	if _, how := b.m.Read(key); how != Ask {
		t.Errorf("as no copy any more: %v", how)
	}
	b.enter(4, 4)
	if e := b.m.store.Get(p, key); e != nil {
		t.Errorf("in a settled view it holds %v", e)
	}
}

// Who takes a partition over serves nothing of it before the lease of the earlier owner has ended, though it has been a copy and holds it.
func TestANewOwnerWaits(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		o := holdersAmong(t, 3, p)
		return o[0] == 3 && o[1] == 1 && holdersAmong(t, 2, p)[0] == 1
	})
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 1})
	b.enter(3, 2, 3)
	b.confirm(2)
	for _, acting := range []bool{false, true} {
		want := Ask
		if acting {
			want = Hit
			b.pass(4*sec, 2)
		}
		if _, how := b.m.Read(keyOf(p)); how != want || b.m.parts[p].acting != acting {
			t.Errorf("acting %v: %v", b.m.parts[p].acting, how)
		}
	}
}

// That a key is absent only its owner says: a copy may have had no room for what the owner has.
func TestACopyCallsNothingAbsent(t *testing.T) {
	b := newBench(t, "")
	owned := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	copied := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[1] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	for p, want := range map[int]Outcome{owned: Absent, copied: Ask} {
		if !b.m.parts[p].complete.Load() {
			t.Fatal("not all is held here")
		}
		if _, how := b.m.Read(keyOf(p)); how != want {
			t.Errorf("owned %v: %v", b.m.parts[p].owner, how)
		}
	}
}

// A near copy goes where its owner changes, also in a view that was missed, and though this node held the partition in it and is a source.
func TestNearCopyOfAnOwnerThatHasComeBack(t *testing.T) {
	b := newBench(t, "")
	now, between := benchMembers[:3], []*pb.Member{benchMembers[0], benchMembers[1], benchMembers[3]}
	p := partition(t, func(p int) bool {
		return !slices.Contains(holdersIn(t, now, p), 1) && slices.Contains(holdersIn(t, between, p), 1) && holdersIn(t, now, p)[0] != holdersIn(t, between, p)[0]
	})
	b.enter(2, 3)
	b.confirm(2, 3)
	b.keepNear(t, p)
	b.learn(&pb.View{Chain: 9, Number: 4, Members: now, History: []*pb.MemberSet{{Number: 2, Members: now}, {Number: 3, Members: between}}})
	if e := b.m.store.Get(p, keyOf(p)); b.m.lay.number() != 4 || e != nil {
		t.Errorf("in view %d: %v", b.m.lay.number(), e)
	}
}

// Nor does one stay where this node becomes a holder itself: as the owner it would serve it as what is known.
func TestNearCopyOfWhoBecomesAHolder(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		return slices.Equal(holdersAmong(t, 3, p), []uint64{2, 3}) && holdersAmong(t, 2, p)[0] == 2
	})
	b.enter(2, 3)
	b.confirm(2, 3)
	b.keepNear(t, p)
	b.enter(3, 2, 3)
	if e := b.m.store.Get(p, keyOf(p)); e != nil {
		t.Errorf("%v", e)
	}
}

// A near copy is of the session it was read over: a lease that comes over the next one does not revive it, for what would have voided it may be lost with the first.
func TestANearCopyEndsWithItsSession(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { o := holdersAmong(t, 3, p); return o[0] == 2 && o[1] == 3 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Get(&pb.Get{Key: key, Keep: true}, b.now+sec, func(Result) {})
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
			Entry: &pb.Entry{Key: key, Value: []byte("v"), Version: 2<<viewShift + 1}, Keep: true,
		}}}))
	}
	if _, how := b.m.Read(key); how != Hit {
		t.Fatalf("no near copy: %v", how)
	}
	b.m.Down(2, 2)
	b.m.Up(benchMembers[1], 2)
	b.pass(100*ms, 2, 3)
	if _, how := b.m.Read(key); how != Ask || b.m.peers[2].near.until.Load() <= b.now {
		t.Errorf("%v", how)
	}
}

// No near copy is served whose session has ended since the reader took it in its hand: the next one says nothing of it.
func TestReadAcrossANewSession(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), []uint64{2, 3}) })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.keepNear(t, p)
	b.at = func() {
		b.m.Down(2, 2)
		b.m.Up(benchMembers[1], 22)
	}
	if e, how := b.m.Read(keyOf(p)); how != Ask || b.at != nil {
		t.Errorf("%v, %v", how, e)
	}
}

// What has ended is served by nobody, also before it is swept.
func TestNothingIsServedThatHasEnded(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(1500*ms, 2, 3)
	for about, how := range map[string]struct {
		holders []uint64
		want    Outcome
	}{"owner": {[]uint64{1, 2}, Absent}, "copy": {[]uint64{2, 1}, Ask}} {
		p := partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), how.holders) })
		b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 1, Expires: b.now + 20*ms})
		for _, at := range []int64{19 * ms, ms} {
			want := Hit
			if b.now += at; at == ms {
				want = how.want
			}
			if e, got := b.m.Read(keyOf(p)); got != want {
				t.Errorf("%s: %v, %v", about, got, e)
			}
		}
	}
}
