package protocol

import (
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What is made of another key's entry is judged by the cuts that are remembered: not by an owner that is new in the cluster and has not read them yet. It has heard of
// those of after it came in.
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
		young := pb.Status(-1)
		b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Tags: []string{"user"}, Origin: b.m.cameIn}, b.now+5*sec, 0, func(r Result) { young = r.Status })
		if step(); young != pb.Status_OK {
			t.Errorf("mutant %q: of after it came in: %v", mutant, young)
		}
		for range 20 {
			b.answerPulls(&pb.CutRecord{Tag: "user", Version: 2<<viewShift + 9})
			step()
		}
		if status != want {
			t.Errorf("mutant %q: %v, want %v", mutant, status, want)
		}
	}
}

// Nor by one that has nobody left to read a partition from: it reads the cuts from whom it reads the others from.
func TestAnAgeIsNotJudgedWhereTheSourcesHaveDied(t *testing.T) {
	for mutant, want := range map[string]pb.Status{"": pb.Status_STALE_FILL, "age-unread": pb.Status_OK} {
		b := newBench(t, mutant)
		b.replicas = 1
		owner := func(p int, members ...*pb.Member) uint64 {
			table, err := ring.Build(namesOf(members), 1, benchRing)
			if err != nil {
				t.Fatal(err)
			}
			return members[table.Owner(p)].Id
		}
		a, beside, dies := benchMembers[0], benchMembers[1], benchMembers[2]
		p := partition(t, func(p int) bool {
			return owner(p, beside, dies) == dies.Id && owner(p, a, beside, dies) == a.Id && owner(p, a, beside) == a.Id
		})
		before, with := []*pb.Member{beside, dies}, []*pb.Member{a, beside, dies}
		b.learn(&pb.View{Chain: 9, Number: 3, Members: with, History: []*pb.MemberSet{{Number: 2, Members: before}}})
		b.confirm(2, 3)
		b.learn(&pb.View{Chain: 9, Number: 4, Members: with[:2], History: []*pb.MemberSet{{Number: 2, Members: before}, {Number: 3, Members: with}}})
		b.confirm(2)
		b.pass(1500*ms, 2)
		if !b.m.parts[p].acting || len(b.m.parts[p].sources) > 0 || b.m.missing == 0 {
			t.Fatalf("%+v, %d are missing", &b.m.parts[p], b.m.missing)
		}
		status := pb.Status(-1)
		b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v"), Tags: []string{"user"}, Origin: 2<<viewShift + 5}, b.now+5*sec, 0, func(r Result) { status = r.Status })
		if b.pass(40*ms, 2); mutant == "" && status != -1 {
			t.Errorf("before the cuts are read: %v", status)
		}
		for range 20 {
			b.answerPulls(&pb.CutRecord{Tag: "user", Version: 2<<viewShift + 9})
			b.pass(40*ms, 2)
		}
		if status != want {
			t.Errorf("mutant %q: %v, want %v", mutant, status, want)
		}
	}
}

// answerPulls answers, for all peers, that there is nothing but these cuts.
func (b *bench) answerPulls(cuts ...*pb.CutRecord) {
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
		r := &pb.PullReply{Done: uint32(len(l.msg.GetPull().Partitions))}
		if l.msg.GetPull().Cuts {
			r.Cuts = cuts
		}
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}}))
	}
}
