package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A joiner of a cluster that remembers many cuts gets them once from each source, in pieces no larger than other chunks, and keeps to what they say.
func TestManyCuts(t *testing.T) {
	const cuts = 5000
	s := newSim(simConfig{seed: 1, nodes: 2, replicas: 2, memory: 32 << 20, calm: true, ring: ring.Params{Partitions: 271, VirtualNodes: 8, Load: 2}})
	s.at(0, nil, s.gossip)
	if !s.until(60*sec, func() bool { return s.atRest(2) }) {
		t.Fatal("not at rest")
	}
	tag := func(i int) string { return fmt.Sprintf("user:%036d", i) }
	for _, p := range s.procs {
		for i := range cuts {
			p.m.store.Cut(tag(i), false, 1<<viewShift+uint64(i)+1)
		}
	}
	s.sentSince()
	for _, p := range s.procs {
		p.largest = 0
	}
	began := s.now
	s.procs = append(s.procs, nil)
	j := s.start(2)
	if !s.until(20*sec, func() bool { return s.atRest(3) }) {
		t.Fatal("the joiner is not in sync after 20 s")
	}
	t.Logf("in sync %.2f s after it started", f(s.now-began))
	for _, p := range s.procs[:2] {
		if p.largest > chunkBytes+1024 {
			t.Errorf("%s sent a message of %d bytes", p.name, p.largest)
		}
		if least, most := cuts*len(tag(0)), cuts*(len(tag(0))+16)+50_000; p.bytes < least || p.bytes > most {
			t.Errorf("%s sent %d bytes, want %d to %d", p.name, p.bytes, least, most)
		}
	}
	for i := range cuts {
		if v := 1<<viewShift + uint64(i) + 1; !j.m.store.CutSince([]string{tag(i)}, v) || j.m.store.CutSince([]string{tag(i)}, v+1) {
			t.Fatalf("cut %d is not what it was", i)
		}
	}
}

// cutsBench is a bench that joins b and c and has to pull from both. It plays them: pulls returns what they are asked for, chunk answers it.
func cutsBench(t *testing.T) (b *bench, pulls func() map[uint64]letter, chunk func(letter, *pb.PullReply)) {
	b = newBench(t, "")
	b.join()
	b.pass(1500*ms, 2, 3)
	pulls = func() map[uint64]letter {
		t.Helper()
		b.m.tickTransfer(b.now)
		out := map[uint64]letter{}
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
			if out[l.to].msg != nil {
				t.Fatalf("%d is asked for two chunks at a time", l.to)
			}
			out[l.to] = l
		}
		return out
	}
	chunk = func(l letter, r *pb.PullReply) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}}))
	}
	return b, pulls, chunk
}

func cutPiece(more bool, tags ...string) *pb.PullReply {
	r := &pb.PullReply{MoreCuts: more}
	for _, tag := range tags {
		r.Cuts = append(r.Cuts, &pb.CutRecord{Tag: tag, Version: 1<<viewShift + 1})
	}
	return r
}

// Cuts come from each source before its entries, go on where they were when the session breaks, and are asked for anew in the next view.
func TestCutsOfEachSource(t *testing.T) {
	b, pulls, chunk := cutsBench(t)
	want := func(ls map[uint64]letter, id uint64, cuts bool, after string) letter {
		t.Helper()
		l := ls[id]
		if l.msg == nil {
			t.Fatalf("%d is not asked", id)
		}
		if p := l.msg.GetPull(); p.Cuts != cuts || p.CutsAfter.GetTag() != after {
			t.Fatalf("%d is asked for cuts: %v, after %v", id, p.Cuts, p.CutsAfter)
		}
		return l
	}
	first := pulls()
	fromB, fromC := want(first, 2, true, ""), want(first, 3, true, "")
	chunk(fromC, cutPiece(false)) // none: it is asked for entries from now on
	chunk(fromB, cutPiece(true, "x", "y"))
	next := b.take(func(m *pb.Message) bool { return m.GetPull() != nil })
	fromB = letter{}
	for _, l := range next {
		switch {
		case l.to == 2:
			fromB = want(map[uint64]letter{2: l}, 2, true, "y")
		case l.msg.GetPull().Cuts:
			t.Error("c, which has sent all, is asked for cuts again")
		}
	}
	if fromB.msg == nil {
		t.Fatal("b is not asked for the rest")
	}
	if !b.m.store.CutSince([]string{"x"}, 1<<viewShift+1) {
		t.Error("what has come is not applied")
	}
	b.m.Down(2, 2)
	b.m.Up(benchMembers[1], 2)
	again := want(pulls(), 2, true, "y")
	chunk(fromB, cutPiece(false, "late")) // to who is not asked any more
	if b.m.cutsOf(2).done || b.m.store.CutSince([]string{"late"}, 1) {
		t.Error("an answer of an earlier session was taken")
	}
	chunk(again, cutPiece(false, "z"))
	if !b.m.cutsOf(2).done {
		t.Error("b has no more cuts")
	}
	b.take(func(m *pb.Message) bool { return m.GetPull() != nil })
	b.m.learn(&pb.View{
		Chain: 9, Number: 4, Members: benchMembers[:3],
		History: []*pb.MemberSet{{Number: 2, Members: benchMembers[1:3]}, {Number: 3, Members: benchMembers[:3]}},
	})
	b.built()
	b.confirm(2, 3)
	if b.m.missing == 0 {
		t.Fatal("nothing is left to pull")
	}
	ls := pulls()
	if len(ls) == 0 {
		t.Fatal("nobody is asked in the next view")
	}
	for id, l := range ls {
		want(map[uint64]letter{id: l}, id, true, "")
	}
}

// A source sends no entry before its last cut, what it is asked for at most, and what it forgets meanwhile is covered.
func TestCutsAreSentFirst(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	p := partition(t, func(p int) bool { return slices.Contains(holdersAmong(t, 3, p), 1) })
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 5})
	for i := range 400 {
		b.m.store.Cut(fmt.Sprintf("tag%d", i), false, 1<<viewShift+uint64(i)+1)
	}
	other := store.New(store.Config{MaxBytes: 1 << 20})
	ask := &pb.Pull{Partitions: []uint32{uint32(p)}, MaxBytes: 5000, Cuts: true}
	rounds := 0
	for {
		rounds++
		b.from(2, b.stamp(900, &pb.Message{Body: &pb.Message_Pull{Pull: ask}}))
		replies := b.take(func(m *pb.Message) bool { return m.GetPullReply() != nil })
		if len(replies) != 1 {
			t.Fatalf("%d answers", len(replies))
		}
		if n := replies[0].msg.SizeVT(); n > 5100 {
			t.Errorf("an answer of %d bytes", n)
		}
		r := replies[0].msg.GetPullReply()
		for _, c := range r.Cuts {
			other.Cut(c.Tag, c.All, c.Version)
			ask.CutsAfter = c
		}
		if !r.MoreCuts {
			if len(r.Entries) != 1 || r.Done != 1 {
				t.Errorf("with the last cuts came %d entries, %d partitions are complete", len(r.Entries), r.Done)
			}
			break
		}
		if len(r.Entries) > 0 || r.Done > 0 {
			t.Fatal("entries before the last cut")
		}
		if rounds == 3 {
			b.m.store.Cut("new", false, 1<<viewShift+1000)
			b.m.store.Cut("", false, 1<<viewShift+300) // forgets where it was
		}
	}
	if rounds < 3 {
		t.Errorf("%d answers", rounds)
	}
	for i := range 400 {
		if tags := []string{fmt.Sprintf("tag%d", i)}; !other.CutSince(tags, 1<<viewShift+uint64(i)+1) {
			t.Fatalf("%v is not cut", tags)
		}
	}
	if !other.CutSince([]string{"new"}, 1<<viewShift+1000) {
		t.Error("a cut that was made meanwhile did not come")
	}
	ask.Cuts, ask.CutsAfter = false, nil
	b.from(2, b.stamp(901, &pb.Message{Body: &pb.Message_Pull{Pull: ask}}))
	if r := b.take(func(m *pb.Message) bool { return m.GetPullReply() != nil })[0].msg.GetPullReply(); len(r.Cuts) > 0 || r.Done != 1 {
		t.Errorf("unasked for: %d cuts; %d partitions complete", len(r.Cuts), r.Done)
	}
}

// Cuts keep to RepairRate as entries do.
func TestRepairRateOfCuts(t *testing.T) {
	const rate, seconds = 10_000, 5
	b, pulls, chunk := cutsBench(t)
	b.m.cfg.RepairRate = rate
	n, bytes := 0, 0
	for end := b.now + seconds*sec; b.now < end; {
		b.pass(20*ms, 2, 3)
		for range 10 { // as fast as it may
			ls := pulls()
			for _, id := range []uint64{2, 3} {
				if l := ls[id]; l.msg != nil {
					var tags []string
					for range 5 {
						n++
						tags = append(tags, fmt.Sprintf("%0100d", n))
						bytes += 100
					}
					chunk(l, cutPiece(true, tags...))
					b.sent = append(b.sent, b.take(func(m *pb.Message) bool { return m.GetPull() != nil })...)
				}
			}
		}
	}
	if bytes > rate*(seconds+1) || bytes < rate*seconds/4 {
		t.Errorf("%d bytes in %d s at %d bytes a second", bytes, seconds, rate)
	}
}
