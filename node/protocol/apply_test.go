package protocol

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// written makes a write at a node that is alone in its view, where it ends at once.
func (b *bench) written(w *pb.Write) (r Result) {
	b.t.Helper()
	r.Status = -1
	b.m.Write(w, b.now+sec, 0, func(x Result) { r = x })
	if r.Status == -1 {
		b.t.Fatal("the write has not ended")
	}
	return r
}

// A value is as old as it was when it is touched for the second time, and as the ticket of its fill says when it is touched: or else a cut
// that its owner has not had yet would spare it.
func TestATouchKeepsTheAge(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 1)
	b.pass(100 * ms)
	first := b.written(&pb.Write{Key: "set", Value: []byte("v")})
	for range 2 {
		if r := b.written(&pb.Write{Key: "set", Touch: true}); r.Status != pb.Status_OK {
			t.Fatal(r.Status)
		}
	}
	if e := b.m.store.Get(partOf31("set"), "set"); e.Age() != first.Version || e.Version <= first.Version {
		t.Errorf("set at %d, touched at %d: age %d", first.Version, e.Version, e.Age())
	}
	ticket := b.m.ticket()
	b.written(&pb.Write{Key: "other", Value: []byte("v")})
	if r := b.written(&pb.Write{Key: "fill", Value: []byte("v"), Ticket: ticket, TicketChain: 9}); r.Status != pb.Status_OK {
		t.Fatal(r.Status)
	}
	b.written(&pb.Write{Key: "fill", Touch: true})
	if e := b.m.store.Get(partOf31("fill"), "fill"); e.Age() != ticket {
		t.Errorf("filled under ticket %d, touched at %d: age %d", ticket, e.Version, e.Age())
	}
}

// What is made of another entry is as old as that, but no older than cuts are waited for, nor younger than itself: an age may be of a ticket that is older, or
// of another cluster.
func TestTheAgeOfWhatIsMadeOfAnother(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 1)
	b.pass(100 * ms)
	age := func(w *pb.Write) (age, version uint64) {
		t.Helper()
		if r := b.written(w); r.Status != pb.Status_OK {
			t.Fatal(r.Status)
		}
		e := b.m.store.Get(partOf31(w.Key), w.Key)
		return e.Age(), e.Version
	}
	first := b.written(&pb.Write{Key: "first", Value: []byte("v")}).Version
	ticket := b.m.ticket()
	second := b.written(&pb.Write{Key: "second", Value: []byte("v")}).Version
	if got, _ := age(&pb.Write{Key: "a", Value: []byte("v"), Origin: first}); got != first {
		t.Errorf("made of an entry of age %d: %d", first, got)
	}
	if got, _ := age(&pb.Write{Key: "b", Value: []byte("v"), Origin: second, Ticket: ticket, TicketChain: 9}); got != ticket {
		t.Errorf("under ticket %d: %d", ticket, got)
	}
	if got, version := age(&pb.Write{Key: "c", Value: []byte("v"), Origin: 1 << 60}); got != version {
		t.Errorf("of another cluster: age %d, version %d", got, version)
	}
	for range 4 {
		b.now += b.m.keepClock()
		b.pass(40 * ms)
		age(&pb.Write{Key: "d", Value: []byte("v"), Origin: b.m.clock})
	}
	if got, _ := age(&pb.Write{Key: "e", Value: []byte("v"), Origin: first}); got <= second {
		t.Errorf("minutes later: age %d", got)
	}
}

// To keep the TTL of a key that is not there is not to take that of its tombstone.
func TestTheTTLOfATombstoneIsNotKept(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 1)
	b.pass(100 * ms)
	b.written(&pb.Write{Key: "k", Value: []byte("v")})
	b.written(&pb.Write{Key: "k", Kind: pb.Kind_TOMBSTONE})
	b.written(&pb.Write{Key: "k", Value: []byte("v"), KeepTtl: true, Ttl: 5 * sec})
	if e := b.m.store.Get(partOf31("k"), "k"); e == nil || e.Expires != b.now+5*sec {
		t.Errorf("%+v", e)
	}
	b.written(&pb.Write{Key: "k", Value: []byte("w"), KeepTtl: true})
	if e := b.m.store.Get(partOf31("k"), "k"); e == nil || e.Expires != b.now+5*sec {
		t.Errorf("of the value before it is: %+v", e)
	}
}

// Who touches or saves what was revoked hears that, and not that it is absent or another.
func TestARevokedKeyIsTold(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 1)
	b.pass(100 * ms)
	b.written(&pb.Write{Key: "k", Kind: pb.Kind_REVOKED})
	for _, w := range []*pb.Write{{Touch: true}, {Touch: true, IfVersion: 5}, {IfPresent: true}, {IfVersion: 5}, {}} {
		w.Key = "k"
		if r := b.written(w); r.Status != pb.Status_GONE {
			t.Errorf("%v: %v", w, r.Status)
		}
	}
}

// A tombstone for which there is no room stands in the floor alone: a ticket from before it is refused all the same.
func TestAFillAfterADeletionWithoutRoom(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 1)
	b.pass(100 * ms)
	const key = "a deletion"
	p := partOf31(key)
	other := (p + 1) % benchRing.Partitions
	for i := 0; b.m.store.Floor(other) == 0; i++ { // revocations as long as the tombstone, which do not make room for it
		e := store.NewEntry(fmt.Sprintf("%0*d", len(key), i))
		e.Version, e.Kind, e.Expires = uint64(i+1), store.Revoked, b.now+3600*sec
		b.m.store.Put(other, e)
	}
	ticket := b.m.ticket()
	if r := b.written(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}); r.Status != pb.Status_OK {
		t.Fatal(r.Status)
	}
	if b.m.store.Version(p, key) != 0 || b.m.store.Floor(p) <= ticket {
		t.Fatalf("the tombstone has found room; floor %d, ticket %d", b.m.store.Floor(p), ticket)
	}
	if r := b.written(&pb.Write{Key: key, Value: []byte("old"), Ticket: ticket, TicketChain: 9}); r.Status != pb.Status_STALE_FILL {
		t.Errorf("the fill: %v", r.Status)
	}
}

// What is written is noted only while it may come from a source: a partition that is complete would note all there ever was.
func TestNoNoteOfAWriteInACompletePartition(t *testing.T) {
	b, key, _ := crowdedBench(t)
	told := map[pb.Status]int{}
	b.set(key, "v", told)
	b.copies(true)
	pt := &b.m.parts[partOf31(key)]
	if told[pb.Status_OK] != 1 || !pt.complete.Load() {
		t.Fatalf("told %v", told)
	}
	if len(pt.written) != 0 {
		t.Errorf("noted %v", pt.written)
	}
}

// Who keeps a near copy serves it until it learns that its session has ended, and does not by the end alone: a write waits until a message has come
// on the next session, or for the lease.
func TestAWriteWaitsForWhoseSessionHasEnded(t *testing.T) {
	for _, end := range []string{"a message", "the lease"} {
		b, key, _ := crowdedBench(t)
		told := map[pb.Status]int{}
		b.set(key, "old", told)
		b.copies(true)
		b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
		b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
		if len(b.m.parts[partOf31(key)].holders[key]) != 1 {
			t.Fatal("c is no holder")
		}
		b.m.Down(3, 3)
		b.set(key, "while there is none", told)
		b.m.Up(benchMembers[2], 33)
		b.set(key, "while nothing has come on the next", told)
		if b.copies(true); told[pb.Status_OK] != 1 {
			t.Fatalf("told %v: c may serve what was there before", told)
		}
		if end == "a message" {
			b.m.Receive(3, 33, b.stamp(0, &pb.Message{}))
		} else {
			b.pass(sec+sec/driftShare+40*ms, 2)
		}
		if told[pb.Status_OK] != 3 {
			t.Errorf("%s: told %v", end, told)
		}
	}
}

// A new owner that acts already, for the one before is known to serve no more, confirms no write before the barrier: another member of the view
// before, which is left out as well, may serve a near copy that this node knows nothing of.
func TestAWriteWaitsForTheBarrier(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		before := holdersAmong(t, 4, p)
		return before[0] == 3 && before[1] == 1 && holdersAmong(t, 2, p)[0] == 1
	})
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.told(&pb.Fence{Member: 3}, 3, 2, 4)
	b.confirm(2)
	b.pass(40*ms, 2)
	if !b.m.parts[p].acting || b.m.barrierOff {
		t.Fatalf("acting %v, past the barrier %v", b.m.parts[p].acting, b.m.barrierOff)
	}
	told := map[pb.Status]int{}
	b.set(keyOf(p), "v", told)
	if copies := b.copies(true); len(copies) != 1 || len(told) != 0 {
		t.Fatalf("%d copies were sent, told %v before the barrier", len(copies), told)
	}
	b.pass(sec+sec/driftShare+40*ms, 2)
	if told[pb.Status_OK] != 1 {
		t.Errorf("told %v", told)
	}
}

// A holder of a near copy whose lease has ended is not waited for, but told all the same: the next lease would revive what it holds.
func TestAHolderWithoutALeaseIsTold(t *testing.T) {
	b, key, told := lentKey(t)
	b.pass(2*sec, 2)
	b.set(key, "new", told)
	b.copies(true)
	if n := len(b.take(func(m *pb.Message) bool { return m.GetInvalidate() != nil })); n != 1 || told[pb.Status_OK] != 2 {
		t.Errorf("told %v, and the holder %d times", told, n)
	}
}

// lentKey is a key that c keeps a near copy of.
func lentKey(t *testing.T) (b *bench, key string, told map[pb.Status]int) {
	t.Helper()
	b, key, _ = crowdedBench(t)
	told = map[pb.Status]int{}
	b.set(key, "old", told)
	b.copies(true)
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	if !b.noted(key) {
		t.Fatal("c is no holder")
	}
	return b, key, told
}

// The note of a near copy whose session has ended stays while its holder may serve it: a write waits, also some ticks later.
func TestANoteOutlivesItsSession(t *testing.T) {
	b, key, told := lentKey(t)
	b.m.Down(3, 3)
	b.pass(500*ms, 2)
	b.set(key, "new", told)
	if b.copies(true); told[pb.Status_OK] != 1 {
		t.Error("c may serve what was there before")
	}
	b.pass(sec, 2)
	if told[pb.Status_OK] != 2 {
		t.Errorf("told %v", told)
	}
}

// Who reads a key again over another session is a holder anew.
func TestAReadOverAnotherSessionIsNoted(t *testing.T) {
	b, key, told := lentKey(t)
	b.m.Down(3, 3)
	b.m.Up(benchMembers[2], 33)
	b.m.Receive(3, 33, b.stamp(602, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	b.m.Receive(3, 33, b.stamp(603, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	b.set(key, "new", told)
	if b.copies(true); told[pb.Status_OK] != 1 {
		t.Error("c may serve what was there before")
	}
}

// Who reads a key again when it lasts longer holds it for longer; with what it has dropped goes the note.
func TestAReadOfWhatLastsLongerIsNoted(t *testing.T) {
	b, key, told := lentKey(t)
	b.m.dropNotes(partOf31(key), key, func(holder) bool { return true })
	for i, ttl := range []int64{sec, 60 * sec} {
		b.m.store.Put(partOf31(key), &store.Entry{Key: key, Value: "v", Version: b.m.nextVersion(), Expires: b.now + ttl})
		b.from(3, b.stamp(uint64(610+i), &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	}
	b.pass(10*sec, 2, 3)
	b.from(3, b.stamp(620, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	b.set(key, "new", told)
	if b.copies(true); told[pb.Status_OK] != 1 {
		t.Fatal("c may serve what was there before")
	}
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetInvalidate() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_InvalidateReply{InvalidateReply: &pb.InvalidateReply{}}}))
	}
	if told[pb.Status_OK] != 2 || b.noted(key) {
		t.Errorf("c has dropped it: told %v; still noted: %v", told, b.noted(key))
	}
}

// withFormerCopy is a bench with a write of a key whose copy, c, did not confirm it and is left out since, though what it may serve runs on: told of its end in told.
func withFormerCopy(t *testing.T) (b *bench, told map[pb.Status]int) {
	t.Helper()
	b = newBench(t, "")
	p := partition(t, func(p int) bool {
		o := holdersAmong(t, 3, p)
		return o[0] == 1 && o[1] == 3 && holdersAmong(t, 2, p)[0] == 1
	})
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	told = map[pb.Status]int{}
	b.set(keyOf(p), "new", told)
	b.copies(false) // which c does not get
	b.enter(3, 2, 3)
	b.confirm(2)
	return b, told
}

// A write under way waits for a copy that did not confirm it and is left out: that one serves the older value until it knows, or its lease has ended.
func TestAWriteUnderWayWaitsForAFormerCopy(t *testing.T) {
	for _, knows := range []bool{false, true} {
		b, told := withFormerCopy(t)
		b.pass(40*ms, 2)
		if b.copies(true); len(told) != 0 {
			t.Fatalf("told %v while c may serve the older value", told)
		}
		if knows {
			b.from(3, b.stamp(0, &pb.Message{}))
		} else {
			b.pass(sec+sec/driftShare+40*ms, 2)
		}
		if told[pb.Status_OK] != 1 {
			t.Errorf("c knows: %v: told %v", knows, told)
		}
	}
}

// What all copies have is confirmed only while the owner's lease runs: another may be the owner by now (rule 7).
func TestAWriteIsConfirmedUnderALease(t *testing.T) {
	b, key, _ := crowdedBench(t)
	told := map[pb.Status]int{}
	b.set(key, "v", told)
	b.now += 1200 * ms
	if b.copies(true); len(told) != 0 {
		t.Fatalf("without a lease: told %v", told)
	}
	if b.pass(500*ms, 2, 3); told[pb.Status_OK] != 1 {
		t.Errorf("with a lease again: told %v", told)
	}
}

// A new session voids near copies. A former copy that does not know of the view is waited for all the same: what it holds it serves under its lease.
func TestAFormerCopyOverANewSession(t *testing.T) {
	b, told := withFormerCopy(t)
	b.copies(true)
	b.m.Down(3, 3)
	b.m.Up(benchMembers[2], 33)
	b.m.Receive(3, 33, &pb.Message{Chain: 9, View: 2})
	if b.pass(40*ms, 2); len(told) != 0 {
		t.Errorf("told %v while c may serve the older value", told)
	}
	if b.m.Receive(3, 33, b.stamp(0, &pb.Message{})); told[pb.Status_OK] != 1 {
		t.Errorf("c knows: told %v", told)
	}
}

// Who held a near copy when a write began, and is to have it as a copy since the view has changed, gets it again over a new session.
func TestANearHolderThatBecomesACopy(t *testing.T) {
	b, key, told := lentKey(t)
	b.set(key, "new", told)
	b.copies(false)
	b.learn(&pb.View{Chain: 9, Number: 3, Members: []*pb.Member{benchMembers[0], benchMembers[2]}, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}})
	b.confirm(3)
	if got := b.copies(false); len(got) != 1 {
		t.Fatalf("c is sent %q", got)
	}
	for _, session := range []uint64{33, 34} {
		b.m.Down(3, b.m.peers[3].session)
		b.m.Up(benchMembers[2], session)
		b.m.Receive(3, session, b.stamp(0, &pb.Message{}))
		if got := b.copies(false); len(got) != 1 || got[0] != "new" {
			t.Errorf("over session %d c is sent %q", session, got)
		}
	}
}

// A fill is refused by what has come after its ticket: a value, a deletion, a cut of its tag (rule 13).
func TestAFillIsRefusedByWhatCameLater(t *testing.T) {
	for about, come := range map[string]func(b *bench){
		"nothing":    func(*bench) {},
		"a value":    func(b *bench) { b.written(&pb.Write{Key: "k", Value: []byte("new")}) },
		"a deletion": func(b *bench) { b.written(&pb.Write{Key: "k", Kind: pb.Kind_TOMBSTONE}) },
		"a cut":      func(b *bench) { b.m.Cut([]string{"user"}, b.now+sec, 0, func(Result) {}) },
	} {
		b := newBench(t, "")
		b.enter(2, 1)
		b.pass(100 * ms)
		ticket := b.m.ticket()
		come(b)
		want := pb.Status_STALE_FILL
		if about == "nothing" {
			want = pb.Status_OK
		}
		if r := b.written(&pb.Write{Key: "k", Value: []byte("old"), Tags: []string{"user"}, Ticket: ticket, TicketChain: 9}); r.Status != want {
			t.Errorf("%s has come: %v", about, r.Status)
		}
	}
}
