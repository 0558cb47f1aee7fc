package protocol

import (
	"fmt"
	"slices"
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
		b.m.Write(&pb.Write{Key: key, Value: []byte("v"), Tags: []string{"user"}, Origin: b.m.cutsFrom}, b.now+5*sec, 0, func(r Result) { young = r.Status })
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

// Nor by one that takes the place of the only holder of all it holds: it has nothing to pull, and reads the cuts all the same. What else it is asked it
// answers meanwhile.
func TestAnAgeIsNotJudgedWhereNothingIsPulled(t *testing.T) {
	for mutant, want := range map[string]pb.Status{"": pb.Status_STALE_FILL, "age-unread": pb.Status_OK} {
		b := newBench(t, mutant)
		b.replicas = 1
		before := []*pb.Member{{Name: "a", Id: 20, Addr: "a"}, benchMembers[1]}
		b.learn(&pb.View{Chain: 9, Number: 3, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 2, Members: before}}})
		b.confirm(2)
		b.pass(1500*ms, 2)
		p := partition(t, func(p int) bool { return b.m.parts[p].acting })
		if b.m.missing > 0 || b.m.inSyncNow() {
			t.Fatalf("%d are missing, in sync: %v", b.m.missing, b.m.inSyncNow())
		}
		status, plain := b.carry(p, 2<<viewShift+5), b.carry(p, 0)
		if b.pass(40*ms, 2); mutant == "" && *status != -1 || *plain != pb.Status_OK {
			t.Errorf("before the cuts are read: %v, and %v without an age", *status, *plain)
		}
		for range 20 {
			b.answerPulls(&pb.CutRecord{Tag: "user", Version: 2<<viewShift + 9})
			b.pass(40*ms, 2)
		}
		if *status != want || !b.m.inSyncNow() {
			t.Errorf("mutant %q: %v, want %v; in sync: %v", mutant, *status, want, b.m.inSyncNow())
		}
		if status = b.carry(p, 2<<viewShift+10); *status != pb.Status_OK {
			t.Errorf("mutant %q: of after the cut: %v", mutant, *status)
		}
	}
}

// Those who were in sync before this node came in know all cuts: one that has stayed, or all that leave if there were no others, for a cut need not have reached
// those. Where none of them is left nobody can tell: what is older is not confirmed, what is younger is.
func TestWhoKnowsTheCuts(t *testing.T) {
	a, gone, leaves, late := benchMembers[0], &pb.Member{Name: "x", Id: 20, Addr: "x"}, benchMembers[2], benchMembers[1]
	for name, c := range map[string]struct {
		before, leaving []*pb.Member
		asked           []uint64
	}{
		"one has stayed":  {before: []*pb.Member{late, leaves, gone}, leaving: []*pb.Member{leaves}, asked: []uint64{2}},
		"all leave":       {before: []*pb.Member{leaves}, leaving: []*pb.Member{leaves}, asked: []uint64{3}},
		"who stayed died": {before: []*pb.Member{leaves, gone}, leaving: []*pb.Member{leaves}},
		"none is left":    {before: []*pb.Member{gone}},
	} {
		b := newBench(t, "")
		b.replicas = 1
		b.learn(&pb.View{Chain: 9, Number: 3, Members: []*pb.Member{a, late}, Leaving: c.leaving, History: []*pb.MemberSet{{Number: 2, Members: c.before}}})
		b.confirm(2)
		if !slices.Equal(b.m.tellers, c.asked) {
			t.Errorf("%s: %v are asked, want %v", name, b.m.tellers, c.asked)
		}
		for range 50 {
			b.answerPulls()
			b.pass(40*ms, 2)
		}
		p := partition(t, func(p int) bool { return b.m.parts[p].acting })
		status, young := b.carry(p, 2<<viewShift+5), b.carry(p, 3<<viewShift)
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, pb.NewCopyReply()))
		}
		if b.pass(40*ms, 2); (*status == pb.Status_OK) != (len(c.asked) > 0) || *young != pb.Status_OK {
			t.Errorf("%s: %v, and %v for what is younger", name, *status, *young)
		}
		if !b.m.inSyncNow() {
			t.Errorf("%s: not in sync", name)
		}
	}
}

// Of those that leave one may not have been waited for by a cut that another has heard of: all of them are needed.
func TestAllThatLeaveTellTheCuts(t *testing.T) {
	x := &pb.Member{Name: "x", Id: 20, Addr: "x"}
	leaving := []*pb.Member{benchMembers[2], x}
	b := newBench(t, "")
	b.learn(&pb.View{Chain: 9, Number: 3, Members: benchMembers[:2], Leaving: leaving, History: []*pb.MemberSet{{Number: 2, Members: leaving}}})
	if b.m.told(3, 0); b.m.knowsCuts(2 << viewShift) {
		t.Error("one has told, and an age of before is judged")
	}
	if b.m.told(20, 0); !b.m.knowsCuts(2 << viewShift) {
		t.Error("both have told")
	}
}

// In an ordinary cluster what is older than the newest member is taken by all, whoever came, went and died.
func TestAnAgeIsTakenByAll(t *testing.T) {
	s := newSim(simConfig{seed: 1, nodes: 2, replicas: 1, memory: 1 << 20, calm: true})
	s.at(0, nil, s.gossip)
	carried := func(when string, n int) {
		t.Helper()
		if !s.until(30*sec, func() bool { return s.atRest(n) }) {
			t.Fatalf("%s: not at rest", when)
		}
		for _, p := range s.procs {
			for i := range 40 {
				key, status := fmt.Sprint("key", i), pb.Status(-1)
				if p.gone || p.m.lay == nil || p.m.lay.owner(partOf(key)) != p.id {
					continue
				}
				p.m.Write(&pb.Write{Key: key, Value: []byte("v"), Tags: []string{"user"}, Origin: 1<<viewShift + 1}, p.Now()+sec, 0, func(r Result) { status = r.Status })
				s.until(2*sec, func() bool { return status != -1 })
				if status != pb.Status_OK {
					t.Errorf("%s: %s of %s: %v", when, key, p.name, status)
				}
			}
		}
	}
	carried("two", 2)
	s.procs = append(s.procs, nil)
	s.start(2)
	carried("three", 3)
	s.kill(s.procs[2], false)
	s.start(2)
	carried("one has died and come back", 3)
	s.procs[0].m.Leave()
	carried("the first has left", 2)
}

// Who came in just as the last that knew the cuts died has not read them, and tells nobody that it knows them all: who comes in after it takes no more than it does. What
// is of after it came in both take.
func TestWhoHasNotReadTheCutsCannotTellThem(t *testing.T) {
	s := newSim(simConfig{seed: 1, nodes: 1, replicas: 1, memory: 1 << 20, calm: true})
	s.at(0, nil, s.gossip)
	first := s.procs[0]
	first.m.Reached()
	if !s.until(30*sec, func() bool { return s.atRest(1) }) {
		t.Fatal("not at rest")
	}
	s.write(t, first, &pb.Write{Key: "k", Value: []byte("v"), Tags: []string{"user"}})
	age, cut := first.m.clock, pb.Status(-1)
	first.m.Cut([]string{"user"}, first.Now()+sec, 0, func(r Result) { cut = r.Status })
	if !s.until(sec, func() bool { return cut == pb.Status_OK }) {
		t.Fatalf("the cut: %v", cut)
	}
	s.procs = append(s.procs, nil)
	second := s.start(1)
	if !s.until(30*sec, func() bool { return second.m.lay != nil }) || !second.m.cutsUnread {
		t.Fatal("it has read the cuts already, or is not in")
	}
	s.kill(first, false)
	s.start(0)
	if !s.until(30*sec, func() bool { return s.atRest(2) }) {
		t.Fatal("not at rest when the first had died")
	}
	s.procs = append(s.procs, nil)
	s.start(2)
	if !s.until(30*sec, func() bool { return s.atRest(3) }) {
		t.Fatal("not at rest when a third had come")
	}
	for _, p := range s.procs {
		i := 0
		for p.m.lay.owner(partOf(fmt.Sprint("new", i))) != p.id {
			i++
		}
		for _, c := range []struct {
			age  uint64
			want bool
		}{{age, false}, {2 << viewShift, true}} {
			status := pb.Status(-1)
			p.m.Write(&pb.Write{Key: fmt.Sprint("new", i), Value: []byte("v"), Tags: []string{"other"}, Origin: c.age}, p.Now()+sec, 0, func(r Result) { status = r.Status })
			if s.until(2*sec, func() bool { return status != -1 }); (status == pb.Status_OK) != c.want {
				t.Errorf("%s: %v for the age %x", p.name, status, c.age)
			}
		}
	}
}

// carry writes an entry of an age under a key of a partition.
func (b *bench) carry(p int, age uint64) *pb.Status {
	status := pb.Status(-1)
	b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v"), Tags: []string{"user"}, Origin: age}, b.now+5*sec, 0, func(r Result) { status = r.Status })
	return &status
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
