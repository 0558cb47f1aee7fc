package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Without a majority a Set is not sent, also while the session with the owner stands: it is certain that nothing was written. A deletion is.
func TestSetsAreNotSentWithoutAMajority(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.pass(2 * sec) // nobody answers
	writes := func() int {
		return len(b.take(func(m *pb.Message) bool { return m.GetWrite() != nil }))
	}
	var set, del Result
	b.m.Write(&pb.Write{Key: key, Value: []byte("v")}, b.now+sec/2, 0, func(r Result) { set = r })
	if n := writes(); n != 0 {
		t.Errorf("a Set was sent")
	}
	b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_REVOKED}, b.now+sec/2, b.now+60*sec, func(r Result) { del = r })
	if n := writes(); n != 1 {
		t.Errorf("a deletion was sent %d times", n)
	}
	b.pass(sec)
	if set.Status != pb.Status_UNSURE || set.Tried || !set.NoMajority {
		t.Errorf("Set: %+v", set)
	}
	if del.Status != pb.Status_UNSURE || !del.Tried || !del.NoMajority {
		t.Errorf("Delete: %+v", del)
	}
	b.m.Write(&pb.Write{Key: key, Value: []byte("v")}, b.now+sec, 0, func(Result) {})
	b.pass(sec/2, 2, 3) // they do again
	if n := writes(); n != 1 {
		t.Errorf("with a majority the Set was sent %d times", n)
	}
}

// What the owner has applied, and cannot confirm in time, may take effect, for a caller at the owner too. What it refuses may not.
func TestAWriteAtItsOwnerIsTried(t *testing.T) {
	for _, lost := range []bool{false, true} {
		b := newBench(t, "")
		key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 }))
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(2*sec, 2, 3)
		if lost {
			b.pass(2 * sec)
		}
		var r Result
		b.m.Write(&pb.Write{Key: key, Value: []byte("new")}, b.now+sec/2, 0, func(x Result) { r = x })
		if lost {
			b.pass(sec)
		} else {
			b.pass(sec, 2, 3) // the copy does not answer
		}
		if r.Status != pb.Status_UNSURE || r.Tried == lost || r.NoMajority != lost {
			t.Errorf("without a majority: %v: %+v", lost, r)
		}
	}
}

// An entry ends when its caller meant it to, however long its write waited for an owner, here or elsewhere.
func TestTTLOfAWriteThatWaited(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Down(2, 2)
	b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Ttl: 2 * sec}, b.now+5*sec, 0, func(Result) {})
	b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Ttl: sec}, b.now+5*sec, 0, func(Result) {})
	b.pass(1500*ms, 3)
	b.m.Up(benchMembers[1], 2)
	b.confirm(2, 3)
	b.pass(20*ms, 2, 3)
	sent := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })
	if len(sent) != 2 {
		t.Fatalf("%d writes were sent", len(sent))
	}
	if left := sent[0].msg.GetWrite().Ttl; left < 400*ms || left > 500*ms {
		t.Errorf("of 2 s, after 1.5 s, %d ms are left", left/ms)
	}
	if left := sent[1].msg.GetWrite().Ttl; left != 1 {
		t.Errorf("of 1 s, after 1.5 s, %d ns are left", left)
	}

	key = keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 }))
	b.pass(2 * sec) // no lease
	b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Ttl: 2 * sec}, b.now+5*sec, 0, func(Result) {})
	b.pass(sec)
	b.pass(500*ms, 2, 3)
	e := b.m.store.Get(ring.PartitionOf(key, len(b.m.parts)), key)
	if e == nil || e.Expires-b.now > 600*ms {
		t.Errorf("at the owner: %+v", e)
	}
}

// An owner may have too much to do just then. Whoever waits for a deletion that was not begun is told, but what goes on by itself is tried again.
func TestRevocationsGoOnPastAFullOwner(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	answer := func(s pb.Status) int {
		sent := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })
		for _, l := range sent {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: s}}}))
		}
		return len(sent)
	}
	told := map[pb.Status]int{}
	for _, kind := range []pb.Kind{pb.Kind_LIVE, pb.Kind_TOMBSTONE, pb.Kind_REVOKED} {
		b.m.Write(&pb.Write{Key: key, Kind: kind}, b.now+sec, b.now+60*sec, func(r Result) { told[r.Status]++ })
	}
	if n := answer(pb.Status_FULL); n != 3 || told[pb.Status_FULL] != 3 {
		t.Fatalf("%d were sent, told %v", n, told)
	}
	b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_REVOKED}, b.now+sec/10, b.now+60*sec, func(r Result) { told[r.Status]++ })
	b.pass(200*ms, 2, 3)
	if told[pb.Status_UNSURE] != 1 {
		t.Fatalf("told %v", told)
	}
	for range 3 {
		if n := answer(pb.Status_FULL); n != 1 {
			t.Fatalf("%d were sent", n)
		}
		b.pass(300*ms, 2, 3)
	}
	if n := answer(pb.Status_OK); n != 1 || b.m.operations() != 0 || b.m.Counters.Late.Load() != 1 {
		t.Errorf("%d were sent, %d are left, %d were late", n, b.m.operations(), b.m.Counters.Late.Load())
	}
}

// Revocations whose callers have given up go on while their owner is out of reach, and may be many: they are tried now and then, and bounded.
func TestRevocationsThatGoOnAreBounded(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Down(2, 2)
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	refused := 0
	write := func(kind pb.Kind) {
		b.m.Write(&pb.Write{Key: key, Kind: kind}, b.now+sec/10, b.now+60*sec, func(r Result) {
			if r.Status == pb.Status_FULL {
				refused++
			}
		})
	}
	for range mostOps {
		write(pb.Kind_REVOKED)
	}
	if refused != 0 {
		t.Fatalf("%d were refused", refused)
	}
	write(pb.Kind_REVOKED)
	write(pb.Kind_LIVE)
	if refused != 2 || len(b.m.ops) != mostOps {
		t.Errorf("%d of 2 were refused, %d are under way", refused, len(b.m.ops))
	}
	b.pass(200*ms, 3)
	if n := len(b.m.parkedOrphans); n != mostOps || len(b.m.orphans) != mostOps {
		t.Fatalf("%d of %d wait", n, mostOps)
	}
	b.m.Up(benchMembers[1], 2)
	if n := len(b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })); n != mostOps {
		t.Errorf("%d of %d are sent when the owner is there", n, mostOps)
	}
}

// A view has 2^40 versions. When half are used the coordinator proposes a view of the same members, and when none is left nothing is
// written until that is there: versions of a later view would stand above those that its owners give.
func TestVersionsOfAView(t *testing.T) {
	for _, left := range []uint64{viewVersions / 2, 3} {
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			s := rested(t, 3)
			a, c := s.procs[0], s.procs[1]
			key := ""
			for i := 0; key == ""; i++ {
				k := fmt.Sprint("key", i)
				if o := a.m.lay.table.Owners(partOf(k)); a.m.lay.ids[o[0]] == a.id && a.m.lay.ids[o[1]] == c.id {
					key = k
				}
			}
			number := a.m.lay.number()
			for _, q := range s.procs {
				q.m.clock = (number+1)<<viewShift - left
			}
			do := func(f func(done func(Result))) {
				t.Helper()
				r := Result{Status: -1}
				f(func(x Result) { r = x })
				s.until(10*sec, func() bool { return r.Status != -1 })
				if r.Status != pb.Status_OK {
					t.Fatalf("%+v", r)
				}
			}
			set := func() {
				t.Helper()
				do(func(d func(Result)) { a.m.Write(&pb.Write{Key: key, Value: []byte("old")}, a.Now()+5*sec, 0, d) })
				if e, _ := a.m.Read(key); e.Version>>viewShift > a.m.lay.number() {
					t.Fatalf("in view %d a version is %x", a.m.lay.number(), e.Version)
				}
			}
			for range 20 {
				set()
			}
			if !s.until(10*sec, func() bool { return a.m.lay.number() == number+1 && c.m.lay.number() == number+1 }) {
				t.Fatalf("still in view %d", a.m.lay.number())
			}
			for range 20 {
				set()
			}
			do(func(d func(Result)) { c.m.Cut(nil, c.Now()+5*sec, c.Now()+5*sec, d) })
			if e, out := a.m.Read(key); out == Hit {
				t.Errorf("%s is served after a cut", e.Value)
			}
			set()
			s.do("crash", a)
			if !s.until(30*sec, func() bool { return c.m.lay.number() > number+1 && c.m.parts[partOf(key)].acting }) {
				t.Fatal("nobody takes over")
			}
			do(func(d func(Result)) {
				c.m.Write(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}, c.Now()+5*sec, c.Now()+5*sec, d)
			})
			if e, out := c.m.Read(key); out == Hit {
				t.Errorf("%s is served after a deletion", e.Value)
			}
		})
	}
}

// A deletion that has not removed what is here is not confirmed.
func TestADeletionThatRemovesNothing(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 1, p)[0] == 1 })
	b.enter(2, 1)
	b.pass(2 * sec)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 9<<viewShift + 5}) // as no node of this view gives
	var r Result
	b.m.Write(&pb.Write{Key: keyOf(p), Kind: pb.Kind_TOMBSTONE}, b.now+sec, b.now+sec, func(x Result) { r = x })
	b.pass(2 * sec)
	if _, out := b.m.Read(keyOf(p)); r.Status == pb.Status_OK && out == Hit {
		t.Error("it is confirmed, and the value served")
	}
	if r.Status != pb.Status_UNSURE {
		t.Errorf("%+v", r)
	}
}

// A view lease is renewed with each round of confirmations, and begins at once in a view that has just been adopted.
func TestTheViewLeaseIsRenewed(t *testing.T) {
	b := newBench(t, "")
	for number := range uint64(3) {
		b.enter(2+number, 3)
		b.confirm(2, 3)
		if !b.m.leased() {
			t.Fatalf("view %d: no lease, though all have confirmed", 2+number)
		}
	}
	for range 50 {
		b.pass(100*ms, 2, 3)
		if left := b.m.lease.until.Load() - b.now; left < sec/2 {
			t.Fatalf("%d ms are left", left/ms)
		}
	}
}

// A copy that has no room for a new value does not keep the older one.
func TestACopyWithoutRoomKeepsNothingOlder(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 && slices.Contains(holdersAmong(t, 3, p), 1) })
	key := keyOf(p)
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	copied := func(version uint64, size int) *store.Entry {
		b.from(2, b.stamp(800+version, &pb.Message{Body: &pb.Message_Copy{Copy: &pb.Copy{
			Entry: &pb.Entry{Key: key, Value: make([]byte, size), Version: 2<<viewShift + version},
		}}}))
		if n := len(b.take(func(m *pb.Message) bool { return m.GetCopyReply() != nil })); n != 1 {
			t.Fatalf("%d answers", n)
		}
		return b.m.store.Get(p, key)
	}
	if e := copied(5, 10); e == nil || e.Version != 2<<viewShift+5 {
		t.Fatalf("%+v", e)
	}
	if e := copied(6, 4<<20); e != nil {
		t.Errorf("version %d is still here", e.Version-2<<viewShift)
	}
}

// A deletion of what has been revoked is one, and leaves it revoked.
func TestADeletionAfterARevocation(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	key := keyOf(p)
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	for _, kind := range []pb.Kind{pb.Kind_REVOKED, pb.Kind_TOMBSTONE} {
		status := pb.Status(-1)
		b.m.Write(&pb.Write{Key: key, Kind: kind}, b.now+sec, b.now+sec, func(r Result) { status = r.Status })
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
		}
		if e := b.m.store.Get(p, key); status != pb.Status_OK || e == nil || e.Kind != store.Revoked {
			t.Errorf("%v: %v, left %+v", kind, status, e)
		}
	}
}

// A write waits for the majority as long as a fault may take that passes. After that it is refused at once, whoever owns the key; a deletion goes on.
func TestWritesOfAMinorityAreRefusedAtOnce(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Down(2, 2)
	b.m.Down(3, 3)
	var told []Result
	write := func(owner uint64, kind pb.Kind) {
		key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == owner }))
		b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Kind: kind}, b.now+20*sec, b.now+60*sec, func(r Result) { told = append(told, r) })
	}
	b.pass(sec + sec/2) // the lease is over
	write(1, pb.Kind_LIVE)
	write(2, pb.Kind_LIVE)
	if b.pass(sec / 2); len(told) != 0 || b.m.lost {
		t.Fatalf("lost %v, told %v", b.m.lost, told)
	}
	b.pass(b.m.cfg.ExpelAfter + b.m.cfg.Lease)
	for _, r := range told {
		if r.Status != pb.Status_UNSURE || !r.NoMajority || r.Tried {
			t.Errorf("one that waited was told %+v", r)
		}
	}
	if !b.m.lost || len(told) != 2 {
		t.Fatalf("lost %v, told %v", b.m.lost, told)
	}
	write(1, pb.Kind_LIVE)
	write(3, pb.Kind_LIVE)
	if len(told) != 4 || told[3].Status != pb.Status_UNSURE || !told[3].NoMajority || told[3].Tried {
		t.Errorf("told %+v", told)
	}
	write(3, pb.Kind_REVOKED)
	b.m.Up(benchMembers[1], 2)
	b.m.Up(benchMembers[2], 3)
	if b.pass(sec, 2, 3); len(told) != 4 {
		t.Fatalf("the deletion was told %+v", told[4:])
	}
	write(2, pb.Kind_LIVE) // the majority is back
	if n := len(b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })); n != 2 || len(told) != 4 {
		t.Errorf("%d were sent, told %+v", n, told[4:])
	}
}

// What an owner had begun when it lost the key, or its cluster, may take effect: its caller is not told that nothing was written, and what the next owner
// says of a condition may be of that very value.
func TestAWriteThatItsOwnerHasLost(t *testing.T) {
	mine := func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 && holdersAmong(t, 4, p)[0] == 4 }
	for name, lose := range map[string]func(b *bench){
		"to another that is out of reach": func(b *bench) {
			b.m.Down(4, 4)
			b.enter(3, 4, 3)
		},
		"to another": func(b *bench) {
			b.enter(3, 4, 3)
			b.confirm(2, 3, 4)
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetWrite() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: pb.Status_CONDITION, Existed: true}}}))
			}
		},
		"with the cluster": func(b *bench) { b.m.dissolve("") },
	} {
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(sec, 2, 3)
		var got *Result
		b.m.Write(&pb.Write{Key: keyOf(partition(t, mine)), Value: []byte("v"), IfAbsent: true}, b.now+5*sec, 0, func(r Result) { got = &r })
		lose(b)
		if b.pass(6*sec, 2, 3); got == nil || got.Status != pb.Status_UNSURE || !got.Tried {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Nor is he where the owner that was asked first has not answered, and this node, which owns the key now, does not act yet.
func TestAWriteThatWasSentIsTried(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 && holdersAmong(t, 4, p)[0] == 4 })
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	var got *Result
	b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v")}, b.now+500*ms, 0, func(r Result) { got = &r })
	b.enter(3, 3, 4)
	if b.pass(600*ms, 2, 3); got == nil || got.Status != pb.Status_UNSURE || !got.Tried {
		t.Errorf("%+v", got)
	}
}

// A Set that had to be sent again may have been confirmed and read, and then revoked: that the key is revoked does not say that nothing was written.
func TestARevocationBetweenTwoAttempts(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	write := func(from uint64, w *pb.Write) pb.Status {
		b.from(from, b.stamp(900, &pb.Message{Body: &pb.Message_Write{Write: w}}))
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, pb.NewCopyReply()))
		}
		return b.take(func(m *pb.Message) bool { return m.GetWriteReply() != nil })[0].msg.GetWriteReply().Status
	}
	set := &pb.Write{Key: key, Value: []byte("v")}
	if st := write(2, set); st != pb.Status_OK { // this answer is lost
		t.Fatal(st)
	}
	if e, out := b.m.Read(key); out != Hit || string(e.Value) != "v" {
		t.Errorf("it is read: %v", out)
	}
	if st := write(3, &pb.Write{Key: key, Kind: pb.Kind_REVOKED}); st != pb.Status_OK {
		t.Fatal(st)
	}
	if st := write(2, set); st != pb.Status_GONE {
		t.Errorf("sent again it is %v", st)
	}
}
