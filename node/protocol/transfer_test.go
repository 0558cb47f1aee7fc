package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What is pulled in a hand-over keeps to RepairRate, over all partitions together.
func TestRepairRate(t *testing.T) {
	const rate, seconds = 10_000, 5
	b := newBench(t, "")
	b.m.cfg.RepairRate = rate
	b.enter(2, 3)
	b.confirm(2, 3)
	b.enter(3, 2, 3)
	n := 0
	for end := b.now + seconds*sec; b.now < end; {
		b.pass(20*ms, 2)
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
			p := l.msg.GetPull().Partitions[0] // the source never comes to its end
			n++
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{
				Entries: []*pb.Entry{{Key: keyOf(int(p)), Value: make([]byte, 400), Version: 2<<viewShift + uint64(n)}},
			}}}))
		}
	}
	if got := b.m.Counters.Pulled.Load(); got > rate*(seconds+1) || got < rate*seconds/2 {
		t.Errorf("%d bytes in %d s at %d bytes a second", got, seconds, rate)
	}
}

// A source that is slow to answer, for it is cut off or stopped, does not keep others from being asked.
func TestASlowSource(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.pass(2*sec, 2, 3, 4)
	b.enter(3, 3, 4)
	b.take(func(m *pb.Message) bool { return m.GetPull() != nil })
	lacking := 0
	for p := range b.m.parts {
		if pt := &b.m.parts[p]; pt.holder && !pt.complete.Load() {
			pt.pulling, pt.sources = false, []uint64{2 + uint64(lacking%2)}
			lacking++
		}
	}
	if lacking < 2 {
		t.Fatal("nothing to pull from each of b and c")
	}
	b.m.pulls = map[uint64]*pull{900: {peer: 2, asked: b.now}, 901: {peer: 2, asked: b.now}}
	asked := func() map[uint64]int {
		b.m.tickTransfer(b.now)
		n := map[uint64]int{}
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
			n[l.to]++
		}
		return n
	}
	if n := asked(); len(n) > 0 {
		t.Errorf("asked beside two chunks that are under way: %v", n)
	}
	b.now += 250 * ms
	if n := asked(); n[2] > 0 || n[3] == 0 {
		t.Errorf("asked while b does not answer: %v, want only c", n)
	}
}

// What is pulled for those who wait is not held back, and does not keep the hand-over from going on.
func TestReadsDoNotHoldAHandOverBack(t *testing.T) {
	b := newBench(t, "")
	b.m.cfg.RepairRate = 1000
	b.enter(2, 3, 2)
	p := partition(t, func(p int) bool { return b.m.parts[p].holder && !b.m.parts[p].complete.Load() })
	b.pass(100 * ms)
	before := b.m.allowance
	b.m.withKey(p, keyOf(p), func(bool) {})
	asked := b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil })
	if len(asked) == 0 {
		t.Fatal("the key is not asked for")
	}
	for _, l := range asked {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{
			Key: keyOf(p), Entry: &pb.Entry{Key: keyOf(p), Value: make([]byte, 5000), Version: 1},
		}}}))
	}
	if e := b.m.store.Get(p, keyOf(p)); e == nil || e.IsProvisional() {
		t.Fatalf("what was pulled: %v", e)
	}
	if b.m.allowance != before {
		t.Errorf("the hand-over may pull %d bytes, %d before", b.m.allowance, before)
	}
}

// While a node pulls a partition, deletions of other keys may have to forget some of themselves. What the sources then send is not taken
// for deleted, by its reader or for good: nothing is lost (P2). What has been deleted here, or in what another source has sent, stays deleted.
func TestFloodWhilePulling(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.join()
	b.pass(1500*ms, 2, 3)
	pull := b.pullOf(p)
	keys := make([]string, 0, 4) // of that partition
	for i := 0; len(keys) < cap(keys); i++ {
		if k := fmt.Sprint("session", i); ring.PartitionOf(k, benchRing.Partitions) == p {
			keys = append(keys, k)
		}
	}
	entry := func(i int, kind pb.Kind, version uint64) *pb.Entry {
		return &pb.Entry{Key: keys[i], Value: []byte("v"), Version: 2<<viewShift + version, Kind: kind}
	}
	chunk := func(done int, entries ...*pb.Entry) {
		b.from(pull.to, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{Entries: entries, Done: uint32(done)}}}))
	}
	answer := func() {
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil || m.GetPullKey() != nil }) {
			if l.msg.GetCopy() != nil {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
				continue
			}
			r := &pb.PullKeyReply{Key: l.msg.GetPullKey().Key, Status: pb.Status_ABSENT}
			if r.Key == keys[0] {
				r.Status, r.Entry = pb.Status_OK, entry(0, pb.Kind_LIVE, 1)
			}
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: r}}))
		}
	}
	remove := func(key string) {
		b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}, b.now+sec, 0, func(Result) {})
		answer()
	}
	chunk(0, entry(1, pb.Kind_TOMBSTONE, 9)) // the other source lacks it
	b.pass(20*ms, 2, 3)
	pull = b.pullOf(p)
	remove(keys[2])
	for i, n := 0, 0; n < 3000; i++ {
		if key := fmt.Sprint("random", i); b.m.lay.owner(ring.PartitionOf(key, benchRing.Partitions)) == 1 {
			remove(key)
			n++
		}
	}
	if b.m.store.Floor(p) == 0 {
		t.Fatal("no deletion has been forgotten")
	}
	var got Result
	b.m.Get(&pb.Get{Key: keys[0]}, b.now+sec, func(r Result) { got = r })
	answer()
	if got.Status != pb.Status_OK || got.Entry == nil {
		t.Errorf("a key that its source has sent: %v", got.Status)
	}
	chunk(len(pull.msg.GetPull().Partitions), entry(0, pb.Kind_LIVE, 1), entry(1, pb.Kind_LIVE, 1), entry(2, pb.Kind_LIVE, 1), entry(3, pb.Kind_LIVE, 1))
	if !b.m.parts[p].complete.Load() {
		t.Fatal("not complete")
	}
	for i, want := range []Outcome{Hit, Absent, Absent, Hit} {
		if _, how := b.m.Read(keys[i]); how != want {
			t.Errorf("key %d: %v, want %v", i, how, want)
		}
	}
}

// The place where a list stopped is that of its partition: the partitions after it, and another source, are read from the beginning.
func TestEachListIsReadFromItsBeginning(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	p := partition(t, func(p int) bool { return slices.Contains(holdersAmong(t, 3, p), 1) })
	q := partition(t, func(q int) bool { return q > p && slices.Contains(holdersAmong(t, 3, q), 1) && keyOf(q) < "key9" })
	b.m.store.Put(q, &store.Entry{Key: keyOf(q), Value: "v", Version: 2<<viewShift + 1})
	b.from(2, b.stamp(80, &pb.Message{Body: &pb.Message_Pull{Pull: &pb.Pull{
		Partitions: []uint32{uint32(p), uint32(q)}, After: "key9", Started: true, MaxBytes: chunkBytes,
	}}}))
	got := b.take(func(m *pb.Message) bool { return m.GetPullReply() != nil })
	if len(got) != 1 || got[0].msg.GetPullReply().Done != 2 || len(got[0].msg.GetPullReply().Entries) != 1 {
		t.Errorf("answered %v", got)
	}

	b = newBench(t, "")
	other := []*pb.Member{benchMembers[1], benchMembers[2]}
	b.m.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: other}, {Number: 3, Members: other}}})
	b.built()
	b.confirm(2, 3)
	b.pass(40*ms, 2, 3)
	first := b.pullOf(p)
	b.from(first.to, b.stamp(first.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{
		Entries: []*pb.Entry{{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 1}},
	}}}))
	if !b.m.parts[p].started {
		t.Fatal("nothing is taken")
	}
	b.m.Down(first.to, first.to)
	b.pass(40*ms, 5-first.to)
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
		if l.to != first.to && l.msg.GetPull().Started {
			t.Errorf("another source is asked for what comes after %q", l.msg.GetPull().After)
		}
	}
	if b.m.parts[p].started {
		t.Error("the next is to go on where the first one stopped")
	}
}

// The next source of a partition is read from its beginning, and not from where the one before has ended.
func TestEachSourceIsReadFromItsBeginning(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		return slices.Equal(holdersAmong(t, 4, p), []uint64{1, 2}) && slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2})
	})
	other := benchMembers[1:3]
	b.m.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: other}, {Number: 3, Members: other}}})
	b.built()
	b.confirm(2, 3)
	b.pass(1500*ms, 2, 3)
	var asked []uint64
	for range 20 {
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
			q := l.msg.GetPull()
			r := &pb.PullReply{Done: uint32(len(q.Partitions))}
			if slices.Contains(q.Partitions, uint32(p)) {
				if asked = append(asked, l.to); q.After != "" || q.Started {
					t.Errorf("%d is asked for what is after %q", l.to, q.After)
				}
				r.Entries = []*pb.Entry{{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 1}}
			}
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}}))
		}
		b.pass(20*ms, 2, 3)
	}
	if slices.Sort(asked); !slices.Equal(asked, []uint64{2, 3}) || !b.m.parts[p].complete.Load() {
		t.Errorf("asked %v", asked)
	}
}

// What was written while a partition is pulled is noted with its latest version, also when what is older comes after: nothing between the two is taken,
// though what was written has ended.
func TestTheLatestVersionIsNoted(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.join()
	at := func(n uint64) uint64 { return 2<<viewShift + n }
	b.m.parts[p].wrote(&store.Entry{Key: keyOf(p), Version: at(9)})
	b.m.merge(p, &pb.Entry{Key: keyOf(p), Kind: pb.Kind_TOMBSTONE, Version: at(3), Ttl: sec}, b.now)
	b.m.parts[p].wrote(&store.Entry{Key: keyOf(p), Version: at(3)})
	for _, version := range []uint64{at(5), at(8)} {
		if b.m.merge(p, &pb.Entry{Key: keyOf(p), Value: []byte("v"), Version: version}, b.now); b.m.store.Get(p, keyOf(p)) != nil {
			t.Errorf("%d is taken after %d was written", version, at(9))
		}
	}
	if b.m.merge(p, &pb.Entry{Key: keyOf(p), Value: []byte("v"), Version: at(10)}, b.now); b.m.store.Get(p, keyOf(p)) == nil {
		t.Error("what is newer is not taken")
	}
}
