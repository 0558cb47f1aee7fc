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

// join lets the node into a cluster of the two next ones, from which it has to pull.
func (b *bench) join() {
	b.t.Helper()
	b.m.learn(&pb.View{Chain: 9, Number: 3, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[1:3]}}})
	b.built()
	b.confirm(2, 3)
}

// pullOf returns the request for a partition.
func (b *bench) pullOf(p int) letter {
	b.t.Helper()
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
		if slices.Contains(l.msg.GetPull().Partitions, uint32(p)) {
			return l
		}
	}
	b.t.Fatal("it is not asked for")
	return letter{}
}

// However seldom a node at rest ticks, notes of sessions that have ended do not stay in the way of others.
func TestNotesAreSweptAtRest(t *testing.T) {
	for _, pace := range []int64{20 * ms, sec / LeasesRenewed, sec / 2} {
		b := newBench(t, "")
		b.enter(6, 4)
		b.pass(3*sec, 2, 3, 4)
		b.m.parts = append(b.m.parts[:len(b.m.parts):len(b.m.parts)], make([]part, ring.DefaultPartitions-len(b.m.parts))...)
		for p := range b.m.parts {
			b.m.parts[p].holders = map[string][]holder{"k": {{peer: 3, session: 1}}}
			b.m.holders++
		}
		began := b.now
		for b.m.holders > 0 && b.now < began+100*sec {
			b.now += pace
			b.m.sweepHolders(b.now, pace)
		}
		if took := b.now - began; took > 30*sec {
			t.Errorf("ticks every %d ms: notes are kept for %d s", pace/ms, took/sec)
		}
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
		return was[1] == 1 && is[0] == was[0] && !contains(is, 1)
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

// A copy answers in the place of an owner that its asker cannot reach only with what is known here: not with what it pulls still, not with what it holds
// only as a source, and not a fill that it finds nothing, for only the owner orders those.
func TestWhatACopyAnswers(t *testing.T) {
	b := newBench(t, "")
	b.m.learn(&pb.View{Chain: 9, Number: 3, Members: benchMembers, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}})
	b.built()
	b.confirm(2, 3, 4)
	copied := func(p int) bool { return holdersAmong(t, 4, p)[1] == 1 }
	of := func(p int) bool { return contains(holdersAmong(t, 3, p), 1) }
	whole := partition(t, func(p int) bool { return copied(p) && of(p) })
	pulled := partition(t, func(p int) bool { return copied(p) && p != whole })
	source := partition(t, func(p int) bool { return of(p) && !contains(holdersAmong(t, 4, p), 1) })
	put := func(p int, e *store.Entry) { e.Key, e.Version = keyOf(p), 2<<viewShift+1; b.m.store.Put(p, e) }
	put(pulled, &store.Entry{Value: "v", Provisional: true})
	put(source, &store.Entry{Value: "v"})
	for _, c := range []struct {
		what string
		p    int
		e    *store.Entry
		fill bool
		want pb.Status
	}{
		{"a value", whole, &store.Entry{Value: "v"}, false, pb.Status_OK},
		{"a value that is being pulled", pulled, nil, false, pb.Status_UNSURE},
		{"a value of a partition that is held elsewhere now", source, nil, false, pb.Status_UNSURE},
		{"a deletion", whole, &store.Entry{Kind: store.Revoked}, false, pb.Status_ABSENT},
		{"a deletion, for a fill", whole, nil, true, pb.Status_UNSURE},
	} {
		if c.e != nil {
			put(c.p, c.e)
		}
		b.from(4, b.stamp(70, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(c.p), Fill: c.fill}}}))
		if got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }); len(got) != 1 || got[0].msg.GetGetReply().Status != c.want {
			t.Errorf("%s: answered %v", c.what, got)
		}
	}
}

// What was read from its owner ends when it ends there, however late the answer comes, and is not kept in another view than that of the answer.
func TestAnAnswerThatComesLate(t *testing.T) {
	for _, moved := range []bool{false, true} {
		b, _, key := crowdedBench(t)
		b.m.Get(&pb.Get{Key: key, Keep: true}, b.now+60*sec, func(Result) {})
		asked := b.now
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
			reply := b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
				Entry: &pb.Entry{Key: key, Value: []byte("v"), Version: 2<<viewShift + 1, Ttl: 10 * sec}, Keep: true,
			}}})
			b.pass(2*sec, 2, 3)
			if moved {
				b.enter(3, 3)
			}
			b.from(l.to, reply)
		}
		e := b.m.store.Get(partOf31(key), key)
		if moved && e != nil {
			t.Errorf("kept in view 3, though the owner has answered to view 2")
		}
		if !moved && (e == nil || e.Expires != asked+10*sec) {
			t.Errorf("kept %v, asked for at %d", e, asked)
		}
	}
}

// A key that is asked for at the sources is not known if one of them is out of reach, or its session ends before it has answered, nor to an owner
// whose lease has ended meanwhile.
func TestAKeyThatASourceMayKnow(t *testing.T) {
	for _, why := range []string{"nothing", "out of reach", "ends", "the lease"} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool {
			return slices.Equal(holdersAmong(t, 4, p), []uint64{1, 2}) && slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2})
		})
		other := []*pb.Member{benchMembers[1], benchMembers[2]}
		b.m.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: other}, {Number: 3, Members: other}}})
		b.built()
		b.confirm(2, 3)
		b.pass(1500*ms, 2, 3)
		if n := len(b.m.parts[p].sources); n != 2 {
			t.Fatalf("%d sources", n)
		}
		if why == "out of reach" {
			b.m.Down(3, 3)
		}
		local, written := pb.Status(-1), pb.Status(-1)
		b.m.Get(&pb.Get{Key: keyOf(p)}, b.now+60*sec, func(r Result) { local = r.Status })
		b.m.Write(&pb.Write{Key: keyOf(p), Touch: true}, b.now+60*sec, 0, func(r Result) { written = r.Status })
		b.from(2, b.stamp(71, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
		if why == "the lease" {
			b.now += 2 * sec
		}
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
			if l.to == 3 && why == "ends" {
				b.m.Down(3, 3)
				continue
			}
			r := &pb.PullKeyReply{Key: keyOf(p), Status: pb.Status_ABSENT}
			if l.to == 2 {
				r = &pb.PullKeyReply{Key: keyOf(p), Entry: &pb.Entry{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 1}}
			}
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: r}}))
		}
		asked := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil })
		remote := pb.Status(-1)
		for _, l := range asked {
			remote = l.msg.GetGetReply().Status
		}
		copies := len(b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }))
		_, how := b.m.Read(keyOf(p))
		if known := why == "nothing"; known != (local == pb.Status_OK) || known != (remote == pb.Status_OK) || known != (copies > 0) || known != (how == Hit) {
			t.Errorf("%s in the way: read %v, for another %v; written %v, %d copies; then %v", why, local, remote, written, copies, how)
		}
	}
}

// keepNear reads a key of a partition in view 2 from its owner, and keeps a near copy.
func (b *bench) keepNear(t *testing.T, p int) {
	t.Helper()
	b.m.Get(&pb.Get{Key: keyOf(p), Keep: true}, b.now+sec, func(Result) {})
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
			Entry: &pb.Entry{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 1}, Keep: true,
		}}}))
	}
	if _, how := b.m.Read(keyOf(p)); how != Hit {
		t.Fatal("not kept")
	}
}

// A near copy goes where its owner changes, also in a view that was missed, and though this node held the partition in it and is a source.
func TestNearCopyOfAnOwnerThatHasComeBack(t *testing.T) {
	b := newBench(t, "")
	now, between := benchMembers[:3], []*pb.Member{benchMembers[0], benchMembers[1], benchMembers[3]}
	p := partition(t, func(p int) bool {
		return !contains(holdersIn(t, now, p), 1) && contains(holdersIn(t, between, p), 1) && holdersIn(t, now, p)[0] != holdersIn(t, between, p)[0]
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

// What was asked over a session that another takes the place of is asked anew: its answer would be of the session before.
func TestASessionInThePlaceOfAnother(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Get(&pb.Get{Key: key}, b.now+sec, func(Result) {})
	b.m.Up(benchMembers[1], 22)
	if n := len(b.take(func(m *pb.Message) bool { return m.GetGet() != nil })); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// A copy that could not answer for an owner out of reach is asked again: it may have a lease by then.
func TestACopyIsAskedAgain(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { o := holdersAmong(t, 3, p); return o[0] == 2 && o[1] == 3 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Down(2, 2)
	var got Result
	b.m.Get(&pb.Get{Key: key}, b.now+sec, func(r Result) { got = r })
	for _, r := range []*pb.GetReply{{Status: pb.Status_UNSURE}, {Entry: &pb.Entry{Key: key, Value: []byte("v"), Version: 2<<viewShift + 1}}} {
		asked := b.take(func(m *pb.Message) bool { return m.GetGet() != nil })
		if len(asked) != 1 || asked[0].to != 3 {
			t.Fatalf("asked: %v", asked)
		}
		b.from(3, b.stamp(asked[0].msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: r}}))
		b.pass(20*ms, 3)
	}
	if got.Entry == nil {
		t.Errorf("%+v", got)
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

// That a key was deleted is provisional as well, until all sources have been read: it may have been written since.
func TestAProvisionalDeletionIsNoAnswer(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.join()
	b.pass(1500*ms, 2, 3)
	pull := b.pullOf(p)
	for _, done := range []bool{false, true} {
		r := &pb.PullReply{Entries: []*pb.Entry{{Key: keyOf(p), Kind: pb.Kind_TOMBSTONE, Version: 2<<viewShift + 1, Ttl: 60 * sec}}}
		want := Ask
		if done {
			want = Absent
			pull = b.pullOf(p)
			r.Done = uint32(len(pull.msg.GetPull().Partitions))
		}
		b.from(pull.to, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}}))
		if _, how := b.m.Read(keyOf(p)); how != want {
			t.Errorf("all has been read %v: %v", done, how)
		}
	}
}

// A copy answers in the place of an owner only while the lease that it has from that one runs, however long its own.
func TestACopyAnswersUnderItsLease(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), []uint64{2, 1}) })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 1})
	b.pass(500*ms, 2, 3)
	for _, ended := range []bool{false, true} {
		want := pb.Status_OK
		if ended {
			b.pass(1100*ms, 3)
			want = pb.Status_UNSURE
		}
		if !b.m.leased() {
			t.Fatal("no view lease")
		}
		b.from(3, b.stamp(71, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
		if got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }); len(got) != 1 || got[0].msg.GetGetReply().Status != want {
			t.Errorf("lease ended %v: answered %v", ended, got)
		}
	}
}

// A key is not known when the view changes before all sources have answered. They are asked for it anew then, and when one is back whose session had ended.
func TestAKeyIsAskedForAnew(t *testing.T) {
	for _, why := range []string{"another view", "another session"} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool {
			return slices.Equal(holdersAmong(t, 4, p), []uint64{1, 2}) && slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2})
		})
		other := benchMembers[1:3]
		history := []*pb.MemberSet{{Number: 2, Members: other}, {Number: 3, Members: other}}
		b.m.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: history})
		b.built()
		b.confirm(2, 3)
		b.pass(1500*ms, 2, 3)
		var got Result
		got.Status = -1
		b.m.Get(&pb.Get{Key: keyOf(p)}, b.now+60*sec, func(r Result) { got = r })
		answer := func(from ...uint64) (n int) {
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
				if slices.Contains(from, l.to) {
					b.m.Receive(l.to, b.m.peers[l.to].session, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{
						Key: keyOf(p), Entry: &pb.Entry{Key: keyOf(p), Value: fmt.Append(nil, l.to), Version: 2<<viewShift + l.to},
					}}}))
					n++
				}
			}
			return n
		}
		if answer(2) != 1 || got.Status != -1 {
			t.Fatalf("b alone has answered: %v", got)
		}
		if why == "another view" {
			b.learn(&pb.View{Chain: 9, Number: 5, Members: benchMembers[:3], History: append(history, &pb.MemberSet{Number: 4, Members: benchMembers[:3]})})
			b.confirm(2, 3)
		} else {
			b.m.Down(3, 3)
			b.m.Up(benchMembers[2], 33)
		}
		b.m.unpark()
		if got.Status != -1 || answer(2, 3) != 2 || got.Status != pb.Status_OK || got.Entry.Value != "3" {
			t.Errorf("%s: %v, %v", why, got.Status, got.Entry)
		}
	}
}
