package protocol

import (
	"fmt"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// write1 is a write at p, which goes on until it ends.
func (s *sim) write1(p *simProc, key, value string) pb.Status {
	status := pb.Status(-1)
	p.m.Write(&pb.Write{Key: key, Value: []byte(value)}, p.Now()+5*sec, 0, func(r Result) { status = r.Status })
	s.until(6*sec, func() bool { return status != -1 })
	return status
}

// A member that has lost all but one of the others holds no view lease, and so is fenced at once when it is left out. But the one it can still
// hear granted it a pair lease, under which it serves copies: no write may be confirmed while it does (P1).
func TestCopyOfAFencedMember(t *testing.T) {
	if n := copiesServed(t, ""); n > 0 {
		t.Errorf("an older value was served in %d of 10", n)
	}
	if copiesServed(t, "copy-without-view-lease") == 0 {
		t.Error("switched off and yet kept, so nothing was tested")
	}
}

func copiesServed(t *testing.T, mutant string) (served int) {
	for seed := int64(1); seed <= 10; seed++ {
		s := newSim(simConfig{seed: seed, nodes: 5, replicas: 2, memory: 1 << 20, calm: true, mutant: mutant})
		s.at(0, nil, s.gossip)
		if !s.until(60*sec, func() bool { return s.atRest(5) }) {
			t.Fatal("not at rest")
		}
		lay := s.procs[0].m.lay
		// A key whose owner y and copy x are such that y owns it without x, too.
		var key string
		var x, y *simProc
		for i := 0; key == "" && i < 1000; i++ {
			k := fmt.Sprint("key", i)
			o := lay.table.Owners(partOf(k))
			a, b := s.byID(lay.ids[o[0]]), s.byID(lay.ids[o[1]])
			var names []string
			for _, mem := range lay.view.Members {
				if mem.Id != b.id {
					names = append(names, mem.Name)
				}
			}
			if less, _ := s.ring(names); names[less.Owner(partOf(k))] == a.name {
				key, x, y = k, b, a
			}
		}
		if key == "" {
			t.Fatal("no such key")
		}
		if st := s.write1(y, key, "old"); st != pb.Status_OK {
			t.Fatal(st)
		}
		number := y.m.lay.number()
		for _, p := range s.procs {
			if p != x && p != y {
				s.setCut(p.slot, x.slot, true)
				s.setCut(x.slot, p.slot, true)
			}
		}
		if !s.until(20*sec, func() bool { return y.m.lay.number() > number && !y.m.lay.has(x.id) && y.m.barrierOff }) {
			t.Fatal("x is not left out")
		}
		at := s.now
		if st := s.write1(y, key, "new"); st != pb.Status_OK {
			t.Fatal(st)
		}
		if e, how := x.m.Read(key); how == Hit && e.Value == "old" {
			served++
			t.Logf("seed %d: %d ms after %s left %s out, a Set is confirmed and %s serves the older value, as a copy; lease of the view %d ms, pair lease %d ms",
				seed, (s.now-at)/ms, y.name, x.name, x.name, (x.m.lease.until.Load()-x.Now())/ms, (x.m.peers[y.id].lease.until.Load()-x.Now())/ms)
		}
	}
	return served
}

// A process may be let in, left out and let in again under one id, if it has not learned of any of that. What was said of its lease when it was
// first left out says nothing of the lease it has had since.
func TestFenceOfWhoIsLetInAgain(t *testing.T) {
	for _, skips := range []bool{false, true} { // this node goes by the view in which d is in again, or skips it
		if !fenceOfWhoIsLetInAgain(t, "", skips) {
			t.Errorf("skips %v: taken over at once, though the lease of the owner may run for another second", skips)
		}
		if fenceOfWhoIsLetInAgain(t, "fence-for-good", skips) {
			t.Error("switched off and yet kept, so nothing was tested")
		}
	}
}

func fenceOfWhoIsLetInAgain(t *testing.T, mutant string, skips bool) bool {
	b := newBench(t, mutant)
	p := partition(t, func(p int) bool { return holdersAmong(t, 4, p)[0] == 4 && holdersAmong(t, 3, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.enter(3, 4, 3) // d is let in, does not hear of it
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	v := &pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}, {Number: 3, Members: benchMembers[:4]}}}
	b.m.heed(&pb.Decide{View: v, Fences: []*pb.Fence{{Member: 4}}})
	b.enter(4, 3, 3, 4) // and is left out: it has no lease
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	if skips {
		w := &pb.View{Chain: 9, Number: 6, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 4, Members: benchMembers[:3]}, {Number: 5, Members: benchMembers[:4]}}}
		b.m.heed(&pb.Decide{View: w, Fences: []*pb.Fence{{Member: 4, Left: sec}}})
		b.enter(6, 3, 3, 4)
	} else {
		b.enter(5, 4, 3) // let in again, all others being in sync; now it acts
		b.confirm(2, 3, 4)
		b.pass(2*sec, 2, 3, 4)
		b.told(&pb.Fence{Member: 4, Left: sec}, 6, 3, 4) // and is left out while its lease runs
	}
	b.confirm(2, 3)
	return !b.m.barrierOff && !b.m.parts[p].acting
}

// Nor where nothing is said of it when it is left out for the second time.
func TestNoFenceOfWhoIsLetInAgain(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 4, p)[0] == 4 && holdersAmong(t, 3, p)[0] == 1 })
	b.enter(2, 4)
	b.confirm(2, 3, 4)
	b.told(&pb.Fence{Member: 4}, 3, 3, 4)
	b.confirm(2, 3)
	if !b.m.parts[p].acting {
		t.Fatal("not taken over at once from one that had no lease")
	}
	b.pass(2*sec, 2, 3)
	b.enter(4, 4, 3)
	b.confirm(2, 3, 4)
	b.pass(2*sec, 2, 3, 4)
	b.enter(5, 3, 4)
	if b.confirm(2, 3); b.m.barrierOff || b.m.parts[p].acting {
		t.Error("taken over at once, though the lease of the owner may run for another second")
	}
}

// What is told of a lease counts whenever it comes: after its view was adopted, or before that of an earlier view.
func TestAFenceThatComesOutOfTurn(t *testing.T) {
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 3 && holdersAmong(t, 2, p)[0] == 1 })
	out := func(sets ...int) *pb.Decide { // of members, in the views from 2 on; the next is without c
		v := &pb.View{Chain: 9, Number: uint64(2 + len(sets)), Members: benchMembers[:2]}
		for i, n := range sets {
			v.History = append(v.History, &pb.MemberSet{Number: uint64(2 + i), Members: benchMembers[:n]})
		}
		return &pb.Decide{View: v, Fences: []*pb.Fence{{Member: 3}}}
	}
	for name, decides := range map[string][]*pb.Decide{"after its view": {out(3)}, "before an earlier view": {out(3, 2, 3), out(3)}} {
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		if len(decides) == 1 {
			b.learn(decides[0].View)
		}
		for _, d := range decides {
			b.m.heed(d)
		}
		b.learn(decides[0].View)
		if b.confirm(2); !b.m.parts[p].acting {
			t.Errorf("%s: an owner that has no lease is waited for", name)
		}
	}
}

// What a node outside heard of another cluster is not of the one it comes into.
func TestFenceOfAnotherChain(t *testing.T) {
	if !fenceOfAnotherChain(t, "") {
		t.Error("taken over at once, though the lease of the owner may run for another second")
	}
	if fenceOfAnotherChain(t, "fence-for-good") {
		t.Error("switched off and yet kept, so nothing was tested")
	}
}

func fenceOfAnotherChain(t *testing.T, mutant string) bool {
	b := newBench(t, mutant)
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 3 && holdersAmong(t, 2, p)[0] == 1 })
	v := &pb.View{Chain: 8, Number: 4, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 3, Members: benchMembers[:3]}}}
	b.m.heed(&pb.Decide{View: v, Fences: []*pb.Fence{{Member: 3}}}) // c asked two clusters to let it in, and came into chain 9
	b.enter(5, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	b.told(&pb.Fence{Member: 3, Left: sec}, 6, 2, 3)
	b.confirm(2)
	return !b.m.barrierOff && !b.m.parts[p].acting
}

// How a member that was left out comes to be let in again under its old id: a process whose rings take long is let in, holds up a write, is left
// out for that, and asks again while the others still hand over.
func TestAFencedIDIsLetInAgain(t *testing.T) {
	if oneLetInAgain(t, "") {
		t.Error("an older value was served")
	}
	if !oneLetInAgain(t, "fence-for-good") {
		t.Error("switched off and yet kept, so nothing was tested")
	}
}

func oneLetInAgain(t *testing.T, mutant string) (served bool) {
	s := newSim(simConfig{seed: 1, mutant: mutant, nodes: 4, replicas: 2, memory: 1 << 20, calm: true, repair: 2000})
	s.at(0, nil, s.gossip)
	if !s.until(60*sec, func() bool { return s.atRest(4) }) {
		t.Fatal("not at rest")
	}
	for i := range 40 {
		s.write1(s.procs[0], fmt.Sprint("key", i), string(make([]byte, 100)))
	}
	s.procs = append(s.procs, nil)
	d := s.start(4)
	d.busy = 5 * sec
	id := d.id
	if !s.until(20*sec, func() bool { return s.procs[0].m.lay.has(id) }) {
		t.Fatal("not let in")
	}
	for i := range 40 {
		s.procs[0].m.Write(&pb.Write{Key: fmt.Sprint("key", i), Value: []byte("v")}, s.procs[0].Now()+20*sec, 0, func(Result) {})
	}
	if !s.until(20*sec, func() bool { return !s.procs[0].m.lay.has(id) }) {
		t.Fatal("not left out")
	}
	t.Logf("%.3f left out, in view %d", f(s.now), s.procs[0].m.lay.number())
	if !s.until(60*sec, func() bool { return s.procs[0].m.lay.has(d.id) && d.m.lay.has(d.id) }) {
		t.Fatal("not let in again")
	}
	t.Logf("%.3f in again, view %d, under the same id: %v", f(s.now), s.procs[0].m.lay.number(), d.id == id)
	d.busy = 0
	if !s.until(60*sec, func() bool { return s.atRest(5) }) || d.id != id {
		t.Fatal("not at rest")
	}
	// Later on it loses one of the others, and hears the rest late: it is left out while its lease runs.
	less, _ := s.ring([]string{"n0", "n1", "n2", "n3"})
	key := ""
	for i := 0; key == ""; i++ {
		if k := fmt.Sprint("key", i); d.m.parts[partOf(k)].acting {
			key = k
		}
	}
	w := s.procs[less.Owner(partOf(key))]
	if st := s.write1(d, key, "old"); st != pb.Status_OK {
		t.Fatal(st)
	}
	for i := range 4 {
		s.slow[[2]int{i, 4}] = 500 * ms
	}
	s.setCut(3, 4, true)
	s.setCut(4, 3, true)
	if !s.until(20*sec, func() bool { return !w.m.lay.has(id) && w.m.barrierOff }) {
		t.Fatal("not left out again")
	}
	at := s.now
	if st := s.write1(w, key, "new"); st != pb.Status_OK {
		t.Fatal(st)
	}
	if e, how := d.m.Read(key); how == Hit && e.Value == "old" {
		served = true
		t.Logf("%d ms after %s left %s out, a Set is confirmed and %s serves the older value, as the owner, for up to %d ms more",
			(s.now-at)/ms, w.name, d.name, d.name, (d.m.lease.until.Load()-d.Now())/ms)
	}
	return served
}

// A proposer believes the latest of what the acceptors say of a member's lease, and of who says nothing the worst.
func TestFences(t *testing.T) {
	for _, c := range []struct {
		name string
		said []*pb.Fence
		want int64 // what b says, at most; the proposer's own knowledge is older
	}{
		{"over", []*pb.Fence{{Member: 3}}, 0},
		{"still running", []*pb.Fence{{Member: 3, Left: 700 * ms}}, 700 * ms},
		{"of another only", []*pb.Fence{{Member: 4}}, sec + sec/driftShare},
		{"endless", []*pb.Fence{{Member: 3, Left: 1 << 60}}, sec + sec/driftShare},
		{"nothing", nil, sec + sec/driftShare},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "")
			b.enter(2, 3)
			b.confirm(2, 3)
			var accept []letter
			for end := b.now + 5*sec; len(accept) == 0 && b.now < end; { // c is silent
				b.pass(20*ms, 2)
				for _, l := range b.take(func(m *pb.Message) bool { return m.GetPrepare() != nil }) {
					p := l.msg.GetPrepare()
					b.from(l.to, b.stamp(0, &pb.Message{Body: &pb.Message_Promise{Promise: &pb.Promise{Ballot: p.Ballot, Number: p.Number, Ok: true}}}))
				}
				accept = b.take(func(m *pb.Message) bool { return m.GetAccept().GetBallot() != nil })
			}
			if len(accept) == 0 {
				t.Fatal("no view without c is proposed")
			}
			v := accept[0].msg.GetAccept()
			b.from(2, b.stamp(0, &pb.Message{Body: &pb.Message_Accepted{Accepted: &pb.Accepted{Ballot: v.Ballot, Number: 3, Ok: true, Fences: c.said}}}))
			told := b.take(func(m *pb.Message) bool { return m.GetDecide() != nil })
			if len(told) == 0 {
				t.Fatal("nobody is told")
			}
			f := told[0].msg.GetDecide().Fences
			if len(f) != 1 || f[0].Member != 3 || f[0].Left != c.want {
				t.Errorf("told %v, want c at %d", f, c.want)
			}
		})
	}
}

// The barrier is behind only when each earlier member is known to go by the view or to have no lease, in whatever order they are looked at.
func TestTheBarrierIsOfAll(t *testing.T) {
	for range 20 {
		b := newBench(t, "")
		b.enter(2, 4)
		b.confirm(2, 3, 4)
		b.told(&pb.Fence{Member: 4}, 3, 2, 4)
		b.from(2, b.stamp(0, &pb.Message{}))
		if b.m.checkBarrier(); b.m.barrierOff {
			t.Fatal("past the barrier, though nothing is known of c")
		}
		b.from(3, b.stamp(0, &pb.Message{}))
		if b.m.checkBarrier(); !b.m.barrierOff {
			t.Fatal("all are known not to serve")
		}
	}
}
