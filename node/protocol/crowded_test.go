package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// crowdedBench is an acting member of three, and the partitions that it owns with b as the copy, and that b owns.
func crowdedBench(t *testing.T) (b *bench, owned, others string) {
	b = newBench(t, "")
	b.queued = map[uint64]int{}
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	owned = keyOf(partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2}) }))
	others = keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	return b, owned, others
}

func (b *bench) crowd(id uint64) { b.queued[id] = b.m.cfg.HighWater + 1 }

func (b *bench) set(key, value string, told map[pb.Status]int) {
	b.m.Write(&pb.Write{Key: key, Value: []byte(value)}, b.now+60*sec, 0, func(r Result) { told[r.Status]++ })
}

// copies takes what copies were sent, and answers it if asked to.
func (b *bench) copies(answer bool) (values []string) {
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
		values = append(values, string(l.msg.GetCopy().Entry.Value))
		if answer {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
		}
	}
	return values
}

func TestCopiesWaitForTheirTurn(t *testing.T) {
	b, key, _ := crowdedBench(t)
	told := map[pb.Status]int{}
	b.crowd(2)
	for i := range 3 {
		b.set(key, fmt.Sprint("value", i), told)
	}
	if got := b.copies(false); got != nil {
		t.Fatalf("sent %q on a session on which too much waits", got)
	}
	b.pass(100*ms, 2, 3)
	b.m.Down(2, 2)
	b.m.Up(benchMembers[1], 2)
	if got := b.copies(false); got != nil {
		t.Fatalf("sent %q on a new session on which too much waits", got)
	}
	b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}, b.now+60*sec, 0, func(r Result) { told[r.Status]++ })
	if got := b.copies(true); !slices.Equal(got, []string{""}) || told[pb.Status_OK] != 1 {
		t.Fatalf("of a deletion %q was sent, and %v told", got, told)
	}
	b.queued[2] = 0
	b.set(key, "value3", told)
	if got := b.copies(false); got != nil {
		t.Fatalf("sent %q before others", got)
	}
	b.m.Tick(20 * ms)
	// What is sent late is what is here now: the versions before it are of no use to the copy.
	if got := b.copies(true); !slices.Equal(got, []string{"value3", "value3", "value3", "value3"}) || told[pb.Status_OK] != 5 {
		t.Fatalf("sent %q, told %v", got, told)
	}
	if q := b.m.peers[2]; q.backlog != nil || b.m.unacked != 0 || len(b.m.writes) != 0 {
		t.Errorf("%d wait, %d bytes of %d writes", len(q.backlog), b.m.unacked, len(b.m.writes))
	}
}

// An answer makes room, also when no tick comes.
func TestCopiesGoOnWithEachAnswer(t *testing.T) {
	b, key, _ := crowdedBench(t)
	told := map[pb.Status]int{}
	b.set(key, "first", told)
	b.crowd(2)
	b.set(key, "second", told)
	b.queued[2] = 0
	if got := b.copies(true); !slices.Equal(got, []string{"first"}) || told[pb.Status_OK] != 1 {
		t.Fatalf("sent %q, told %v", got, told)
	}
	if got := b.copies(true); !slices.Equal(got, []string{"second"}) || told[pb.Status_OK] != 2 {
		t.Fatalf("sent %q, told %v", got, told)
	}
}

// A view makes who is a copy anew: what waited for one of before goes to those of now, once each.
func TestCopiesThatWaitInANewView(t *testing.T) {
	b, key, _ := crowdedBench(t)
	told := map[pb.Status]int{}
	b.crowd(2)
	b.set(key, "value", told)
	b.enter(3, 4, 3)
	b.confirm(2, 3, 4)
	b.queued[2] = 0
	b.m.Tick(20 * ms)
	to := map[uint64]int{}
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
		to[l.to]++
	}
	if to[2] != 1 {
		t.Errorf("sent to %v", to)
	}
}

func TestUnackedBytesAreBounded(t *testing.T) {
	b, key, _ := crowdedBench(t)
	b.m.cfg.MaxUnacked = 10
	told := map[pb.Status]int{}
	b.set(key, "more than ten bytes", told) // alone it may
	b.set(key, "8 bytes.", told)
	b.m.Write(&pb.Write{Key: key, Touch: true}, b.now+60*sec, 0, func(r Result) { told[r.Status]++ })
	if told[pb.Status_FULL] != 2 {
		t.Fatalf("told %v", told)
	}
	if e := b.m.store.Get(partOf31(key), key); e == nil || e.Value != "more than ten bytes" {
		t.Errorf("what was refused is here: %+v", e)
	}
	b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}, b.now+60*sec, 0, func(r Result) { told[r.Status]++ })
	b.copies(true)
	if told[pb.Status_OK] != 2 || b.m.unacked != 0 {
		t.Fatalf("told %v; %d bytes are left", told, b.m.unacked)
	}
	b.set(key, "5 by.", told)
	b.set(key, "6 byte", told) // one more than there is room for
	if told[pb.Status_FULL] != 3 {
		t.Fatalf("told %v", told)
	}
	b.set(key, "5 by.", told)
	if b.copies(true); told[pb.Status_OK] != 4 || b.m.unacked != 0 {
		t.Errorf("told %v; %d bytes are left", told, b.m.unacked)
	}
}

func partOf31(key string) int { return ring.PartitionOf(key, benchRing.Partitions) }

// An owner to which much waits gets no more values; deletions it gets.
func TestWritesWaitForTheirTurn(t *testing.T) {
	b, _, key := crowdedBench(t)
	told := map[pb.Status]int{}
	writes := func() (n int) { return len(b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })) }
	b.crowd(2)
	b.set(key, "value", told)
	b.pass(100*ms, 2, 3)
	if n := writes(); n != 0 {
		t.Fatalf("%d values were sent", n)
	}
	b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}, b.now+60*sec, 0, func(Result) {})
	if n := writes(); n != 1 {
		t.Fatalf("%d deletions were sent", n)
	}
	b.queued[2] = 0
	b.pass(40*ms, 2, 3)
	if n := writes(); n != 1 || len(told) != 0 {
		t.Errorf("%d were sent when there was room, told %v", n, told)
	}
}

func TestAnswersWaitForTheirTurn(t *testing.T) {
	b, key, others := crowdedBench(t)
	b.m.store.Put(partOf31(key), &store.Entry{Key: key, Value: "value", Version: 2<<viewShift + 1})
	for _, crowded := range []bool{true, false} {
		if b.queued[3] = 0; crowded {
			b.crowd(3)
		}
		want := map[bool]pb.Status{true: pb.Status_FULL, false: pb.Status_OK}[crowded]
		b.from(3, b.stamp(7, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
		got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil })
		if len(got) != 1 || got[0].msg.GetGetReply().Status != want || (got[0].msg.GetGetReply().Entry == nil) != crowded {
			t.Errorf("crowded %v: answered %v", crowded, got)
		}
		if noted := len(b.m.parts[partOf31(key)].holders[key]) > 0; noted == crowded {
			t.Errorf("crowded %v: a near copy was noted: %v", crowded, noted)
		}
		b.from(3, b.stamp(8, &pb.Message{Body: &pb.Message_PullKey{PullKey: &pb.PullKey{Key: key}}}))
		pulled := b.take(func(m *pb.Message) bool { return m.GetPullKeyReply() != nil })
		if len(pulled) != 1 || pulled[0].msg.GetPullKeyReply().Status != want || (pulled[0].msg.GetPullKeyReply().Entry == nil) != crowded {
			t.Errorf("crowded %v: %v of a hand-over", crowded, pulled)
		}
	}
	// A copy that answers for an owner out of reach does so too.
	p := partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), []uint64{2, 1}) })
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "value", Version: 2<<viewShift + 1})
	for _, crowded := range []bool{true, false} {
		if b.queued[3] = 0; crowded {
			b.crowd(3)
		}
		want := map[bool]pb.Status{true: pb.Status_UNSURE, false: pb.Status_OK}[crowded]
		b.from(3, b.stamp(9, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
		if got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }); len(got) != 1 || got[0].msg.GetGetReply().Status != want {
			t.Errorf("crowded %v: a copy answered %v", crowded, got)
		}
	}
	// Who is told so in a take-over is not sure, and asks again; so does who reads.
	b.m.parts[p].complete.Store(false)
	b.m.parts[p].sources = []uint64{2}
	var sure []bool
	b.m.withKey(p, "another", func(ok bool) { sure = append(sure, ok) })
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{Key: "another", Status: pb.Status_FULL}}}))
	}
	if !slices.Equal(sure, []bool{false}) || len(b.m.keyPulls) != 0 {
		t.Errorf("of a key that could not be pulled %v was said", sure)
	}
	b.m.parts[p].complete.Store(true)
	var result *Result
	b.m.Get(&pb.Get{Key: others}, b.now+10*sec, func(r Result) { result = &r })
	for _, status := range []pb.Status{pb.Status_FULL, pb.Status_FULL, pb.Status_ABSENT} {
		asked := b.take(func(m *pb.Message) bool { return m.GetGet() != nil })
		if len(asked) != 1 || result != nil {
			t.Fatalf("asked %v, told %v", asked, result)
		}
		b.from(2, b.stamp(asked[0].msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{Status: status}}}))
		b.pass(20*ms, 2, 3)
	}
	if result == nil || result.Status != pb.Status_ABSENT {
		t.Errorf("told %v", result)
	}
}

// A copy that confirms nothing is expelled; one that has much to confirm, and confirms one write after the other, has more time.
func TestSlowCopyIsNotStuck(t *testing.T) {
	b, key, _ := crowdedBench(t)
	b.pass(3*sec, 2, 3)
	told := map[pb.Status]int{}
	b.set(key, "waits", told)
	slow := b.take(func(m *pb.Message) bool { return m.GetCopy() != nil })
	begun := b.now
	for b.now-begun < (slowest-1)*b.m.cfg.ExpelAfter {
		b.set(key, "another", told)
		b.copies(true)
		b.pass(sec, 2, 3)
		if b.m.stuck(2, b.now) {
			t.Fatalf("after %v ms", (b.now-begun)/ms)
		}
	}
	for range 3 {
		b.set(key, "another", told)
		b.copies(true)
		b.pass(sec, 2, 3)
	}
	if !b.m.stuck(2, b.now) {
		t.Error("a write may wait for a copy without an end")
	}
	b.from(2, b.stamp(slow[0].msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
	if b.m.stuck(2, b.now) {
		t.Error("stuck, and nothing waits for it")
	}
	b.set(key, "waits", told)
	if b.pass(b.m.cfg.ExpelAfter+40*ms, 2, 3); !b.m.stuck(2, b.now) {
		t.Error("a copy that confirms nothing is not stuck")
	}
}

// A write that has been sent again, and finds its owner full or its condition not met, may have taken effect the first time.
func TestAnswersToASecondAttempt(t *testing.T) {
	for _, status := range []pb.Status{pb.Status_FULL, pb.Status_CONDITION} {
		b, _, key := crowdedBench(t)
		var result *Result
		b.m.Write(&pb.Write{Key: key, Value: []byte("value")}, b.now+sec, 0, func(r Result) { result = &r })
		b.m.Down(2, 2)
		b.m.Up(benchMembers[1], 2)
		sent := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })
		if len(sent) != 2 {
			t.Fatalf("sent %v", sent)
		}
		b.from(2, b.stamp(sent[1].msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: status}}}))
		b.pass(sec+40*ms, 2, 3)
		if result == nil || result.Status != pb.Status_UNSURE || !result.Tried {
			t.Errorf("%v: told %v", status, result)
		}
	}
}

// What is under way is bounded in number too: cuts that go on after their callers, and writes that wait for a copy.
func TestWhatIsUnderWayIsBounded(t *testing.T) {
	b, key, _ := crowdedBench(t)
	told := map[pb.Status]int{}
	for range mostCuts {
		b.m.Cut([]string{"tag"}, b.now+1, b.now+60*sec, func(r Result) { told[r.Status]++ })
	}
	if len(told) != 0 {
		t.Fatalf("told %v", told)
	}
	b.m.Cut(nil, b.now+60*sec, 0, func(r Result) { told[r.Status]++ })
	if told[pb.Status_FULL] != 1 {
		t.Errorf("one cut too many was told %v", told)
	}
	clear(told)
	for range b.m.cfg.MaxPending {
		b.set(key, "value", told)
	}
	if len(told) != 0 {
		t.Fatalf("told %v", told)
	}
	b.set(key, "value", told)
	if told[pb.Status_FULL] != 1 || len(b.m.writes) != b.m.cfg.MaxPending {
		t.Errorf("one write too many was told %v, %d are under way", told, len(b.m.writes))
	}
}
