package protocol

import (
	"slices"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A write is under way as its owner comes to a view in which it owns the key, and has missed one in which others held it. What it has here of the key
// is provisional then, and must be read from those others first. So the write is done anew: if it went on, its copies would be told that its value had ended, and
// it would be confirmed.
func TestWritesOverASkippedView(t *testing.T) {
	for mutant, want := range map[string]pb.Kind{"": pb.Kind_LIVE, "write-goes-on": pb.Kind_TOMBSTONE} {
		b := newBench(t, mutant)
		key := keyOf(partition(t, func(p int) bool {
			between := holdersAmong(t, 4, p)
			return holdersAmong(t, 2, p)[0] == 1 && !slices.Contains(between, 1) && !slices.Contains(between, 2)
		}))
		b.enter(2, 2)
		b.confirm(2)
		b.pass(2*sec, 2)
		status := pb.Status(-1)
		b.m.Write(&pb.Write{Key: key, Value: []byte("v")}, b.now+10*sec, 0, func(r Result) { status = r.Status })
		b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) // b is in the next view already, and refuses it
		b.enter(4, 2, 2, 4)                                            // c and d have come and have died
		copied := new(pb.Entry)                                        // what b has of the key
		for end := b.now + 10*sec; status == -1 && b.now < end; b.pass(20*ms, 2) {
			for _, l := range b.take(func(*pb.Message) bool { return true }) {
				answer := new(pb.Message)
				switch asked := l.msg.Body.(type) {
				case *pb.Message_Copy:
					copied = asked.Copy.Entry
					answer.Body = &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}
				case *pb.Message_PullKey:
					answer.Body = &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{Key: key, Status: pb.Status_ABSENT}}
				case *pb.Message_Pull:
					answer.Body = &pb.Message_PullReply{PullReply: &pb.PullReply{Done: uint32(len(asked.Pull.Partitions))}}
				default:
					continue
				}
				b.from(2, b.stamp(l.msg.Id, answer))
			}
		}
		if status != pb.Status_OK || copied.Key != key || copied.Kind != want {
			t.Errorf("mutant %q: the write ended %v; its copy was told %v, want %v", mutant, status, copied, want)
		}
	}
}

// A write that waits for a take-over, and is made the moment that is done, is none of an earlier view.
func TestWritesAtATakeOverGoOn(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		h := holdersAmong(t, 3, p)
		return h[0] == 3 && h[1] == 1 && holdersAmong(t, 2, p)[0] == 1
	})
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	b.m.Down(3, 3)
	status := pb.Status(-1)
	b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v"), IfAbsent: true}, b.now+10*sec, 0, func(r Result) { status = r.Status })
	b.told(&pb.Fence{Member: 3}, 3, 2, 3) // its lease has ended
	if len(b.m.writes) != 1 {
		t.Fatalf("%d writes are under way", len(b.m.writes))
	}
	for end := b.now + 10*sec; status == -1 && b.now < end; b.pass(20*ms, 2) {
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
		}
	}
	if status != pb.Status_OK {
		t.Errorf("it ended %v", status)
	}
}
