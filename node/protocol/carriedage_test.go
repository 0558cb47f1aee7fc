package protocol

import (
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What is made of another key's entry is judged by the cuts that are remembered: not by an owner that is new in the cluster and has not read them yet.
func TestAnAgeIsNotJudgedBeforeTheCutsAreRead(t *testing.T) {
	for mutant, want := range map[string]pb.Status{"": pb.Status_STALE_FILL, "age-unread": pb.Status_OK} {
		b := newBench(t, mutant)
		b.join()
		b.pass(1500*ms, 2, 3)
		p := partition(t, func(p int) bool { return b.m.parts[p].acting && !b.m.parts[p].complete.Load() })
		key, status := keyOf(p), pb.Status(-1)
		b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Tags: []string{"user"}, Origin: 2<<viewShift + 5}, b.now+5*sec, 0, func(r Result) { status = r.Status })
		step := func() {
			b.pass(40*ms, 2, 3)
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{Key: key, Status: pb.Status_ABSENT}}}))
			}
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, pb.NewCopyReply()))
			}
		}
		for range 3 {
			step()
		}
		if e := b.m.store.Get(p, key); (e != nil && e.Kind == store.Live) == (mutant == "") {
			t.Errorf("mutant %q: before the cuts are read: %+v", mutant, e)
		}
		for range 20 {
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
				r := &pb.PullReply{Done: uint32(len(l.msg.GetPull().Partitions))}
				if l.msg.GetPull().Cuts {
					r.Cuts = []*pb.CutRecord{{Tag: "user", Version: 2<<viewShift + 9}}
				}
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}}))
			}
			step()
		}
		if status != want {
			t.Errorf("mutant %q: %v, want %v", mutant, status, want)
		}
	}
}
