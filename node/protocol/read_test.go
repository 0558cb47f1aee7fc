package protocol

import (
	"testing"

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
