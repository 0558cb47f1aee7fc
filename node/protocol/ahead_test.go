package protocol

import (
	"slices"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A holder of a near copy that is ahead takes no invalidation of the view before. It is sent again in the next view: else the write would wait
// for the holder's lease, as one did with every few graceful departures.
func TestInvalidationIsCarriedIntoTheNextView(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		return slices.Equal(holdersAmong(t, 4, p), []uint64{1, 2}) && slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2})
	})
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.pass(2*sec, 2, 3, 4)
	write := func() (done *bool) {
		done = new(bool)
		b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v")}, b.now+3*sec, 0, func(r Result) { *done = r.Status == pb.Status_OK })
		return done
	}
	copied := func() {
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
		}
	}
	first := write()
	if copied(); !*first {
		t.Fatal("not written")
	}
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	if kept, _ := b.lend(keyOf(p)); !kept {
		t.Fatal("c keeps nothing")
	}
	done := write()
	lost := b.take(func(m *pb.Message) bool { return m.GetInvalidate() != nil || m.GetCopy() != nil }) // b and c are in the next view by now
	if len(lost) != 2 {
		t.Fatalf("%d messages", len(lost))
	}
	b.enter(3, 3, 4)
	b.confirm(2, 3)
	if copied(); *done {
		t.Fatal("the write did not wait for c, which may be serving")
	}
	b.confirmDropped(b.take(func(m *pb.Message) bool { return m.GetInvalidate() != nil })...)
	if !*done {
		t.Error("the write still waits")
	}
}
