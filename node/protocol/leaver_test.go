package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// handingOver is a cluster at rest of which one node holds entries and hands them over slowly. It has just been put outside the view.
func handingOver(t *testing.T, nodes, entries int) (s *sim, leaver *simProc) {
	t.Helper()
	s = rested(t, nodes)
	for i := range entries {
		r := Result{Status: -1}
		s.procs[0].m.Write(&pb.Write{Key: fmt.Sprint("old", i), Value: make([]byte, 1000), Tags: []string{"old"}}, s.procs[0].Now()+5*sec, 0, func(x Result) { r = x })
		s.until(sec, func() bool { return r.Status == pb.Status_OK })
	}
	for _, p := range s.procs {
		p.m.cfg.RepairRate = 10_000
	}
	leaver = s.procs[0]
	leaver.parts = true // it is the test that says Part
	leaver.m.Leave()
	if !s.until(5*sec, func() bool { return leaver.m.lay.isLeaving(leaver.id) }) {
		t.Fatal("it is not let go")
	}
	return s, leaver
}

// A node that hands over is outside the view and has no lease. It goes on all the same: what it is asked for, the owners and the members do.
func TestALeaverGoesOn(t *testing.T) {
	for _, nodes := range []int{2, 3, 5} {
		s, p := handingOver(t, nodes, 60)
		began, ended, n, guest := 0, 0, 0, 0
		do := func(what string, good []pb.Status, op func(done func(Result))) {
			began++
			if p.m.HandedOver() {
				guest++
			}
			from, handed := s.now, p.m.HandedOver()
			op(func(r Result) {
				if ended++; !slices.Contains(good, r.Status) {
					t.Errorf("%d nodes: %s, begun at %.3f (handed over: %v), ended at %.3f: %+v", nodes, what, f(from), handed, f(s.now), r)
				}
			})
		}
		var more func()
		more = func() {
			if p.m.parting {
				return
			}
			n++
			key, at := fmt.Sprint("k", n%20), p.Now()+5*sec
			ok := []pb.Status{pb.Status_OK}
			there := []pb.Status{pb.Status_OK, pb.Status_ABSENT}
			do("a Set", ok, func(d func(Result)) {
				p.m.Write(&pb.Write{Key: key, Value: []byte("v"), Tags: []string{"t"}}, at, 0, d)
			})
			do("a Touch", there, func(d func(Result)) { p.m.Write(&pb.Write{Key: key, Touch: true, Ttl: sec}, at, 0, d) })
			do("a Set of an absent key", []pb.Status{pb.Status_OK, pb.Status_CONDITION}, func(d func(Result)) {
				p.m.Write(&pb.Write{Key: key, Value: []byte("v"), IfAbsent: true}, at, 0, d)
			})
			do("a Get", there, func(d func(Result)) { p.m.Get(&pb.Get{Key: key, Keep: true}, at, d) })
			do("a Delete", ok, func(d func(Result)) { p.m.Write(&pb.Write{Key: key, Kind: pb.Kind_TOMBSTONE}, at, at, d) })
			do("a Scan", ok, func(d func(Result)) { p.m.Scan(&pb.Scan{Partition: uint32(n % simRing.Partitions)}, at, d) })
			if n%10 == 0 {
				do("a cut", ok, func(d func(Result)) { p.m.Cut([]string{"t"}, at, at, d) })
			}
			s.at(20*ms, p, more)
		}
		more()
		if !s.until(60*sec, func() bool { return p.m.HandedOver() }) {
			t.Fatalf("%d nodes: nothing is handed over", nodes)
		}
		if s.until(sec, func() bool { return p.m.Left() }) {
			t.Errorf("%d nodes: it has left though nobody said Part", nodes)
		}
		p.m.Part()
		if !s.until(5*sec, p.m.Left) || ended != began || guest == 0 {
			t.Errorf("%d nodes: %d of %d operations have ended, left: %v; %d were begun after the hand-over", nodes, ended, began, p.m.Left(), guest)
		}
		for _, q := range s.procs {
			if q.m.lost || q.m.Counters.Unconfirmed.Load() > 0 {
				t.Errorf("%d nodes: %s has lost the majority: %v, not confirmed %d", nodes, q.name, q.m.lost, q.m.Counters.Unconfirmed.Load())
			}
		}
	}
}

// goes brings the machine of a bench, which leaves, into a view of b and c alone that settles what it has handed over.
func (b *bench) goes() {
	b.t.Helper()
	b.m.Leave()
	members := benchMembers[1:3]
	table, err := ring.Build(namesOf(members), 2, benchRing)
	if err != nil {
		b.t.Fatal(err)
	}
	b.m.Built(namesOf(members), table)
	b.m.learn(&pb.View{Chain: 9, Number: b.m.lay.number() + 1, Members: members})
	if !b.m.HandedOver() || b.m.Left() {
		b.t.Fatalf("handed over: %v, left: %v", b.m.HandedOver(), b.m.Left())
	}
}

// Who parts takes nothing more, and has left when what was under way has ended: the deletions and cuts too whose callers have been told that
// they go on. What has not ended when the node is closed is said to be unfinished, and whether it may take effect.
func TestPartWaitsForWhatIsUnderWay(t *testing.T) {
	for _, answered := range []bool{true, false} {
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(sec, 2, 3)
		b.goes()
		key := keyOf(partition(t, func(p int) bool { return b.m.lay.owner(p) == 2 }))
		var revoked, parked, cut, late Result
		ends := 0
		end := func(to *Result) func(Result) { return func(r Result) { *to = r; ends++ } }
		b.m.Down(3, 3)
		other := keyOf(partition(t, func(p int) bool { return b.m.lay.owner(p) == 3 }))
		b.m.Write(&pb.Write{Key: key, Kind: pb.Kind_REVOKED}, b.now+30*ms, b.now+60*sec, end(&revoked))
		b.m.Cut(nil, b.now+10*sec, b.now+60*sec, end(&cut))
		b.m.Write(&pb.Write{Key: other, Value: []byte("v")}, b.now+10*sec, 0, end(&parked))
		b.m.Part()
		b.m.Write(&pb.Write{Key: key, Value: []byte("v")}, b.now+sec, 0, end(&late))
		b.m.Cut(nil, b.now+sec, 0, end(&late))
		if ends != 2 || !late.Closed || late.Tried {
			t.Fatalf("what comes after Part: %d ended, %+v", ends, late)
		}
		b.pass(100 * ms) // the revocation's caller is told that it goes on
		if ends != 3 || b.m.Left() {
			t.Fatalf("%d ended, left: %v", ends, b.m.Left())
		}
		if !answered {
			b.m.Abandon()
			if ends != 5 || !parked.Closed || parked.Tried || !cut.Closed || !cut.Tried {
				t.Errorf("%d ended; a Set that was never sent: %+v; a cut: %+v", ends, parked, cut)
			}
			continue
		}
		w := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })[0]
		b.from(2, b.stamp(w.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{}}}))
		b.m.Up(benchMembers[2], 3)
		for range 2 { // two rounds, of both members
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCutClock() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}}))
			}
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCut() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutReply{CutReply: &pb.CutReply{}}}))
			}
		}
		b.pass(20 * ms)
		if cut.Status != pb.Status_OK || cut.Closed || b.m.Left() {
			t.Errorf("the cut: %+v; left: %v", cut, b.m.Left())
		}
		w = b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })[0]
		b.from(3, b.stamp(w.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{}}}))
		b.pass(20 * ms)
		if parked.Status != pb.Status_OK || parked.Closed || !b.m.Left() {
			t.Errorf("the Set: %+v; left: %v", parked, b.m.Left())
		}
	}
}

// A node that leaves has its majority as long as it hears one; then it is said that it has lost it, and a Set is not sent.
func TestALeaverThatHearsNobody(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.goes()
	hear := func(d int64, peers ...uint64) {
		for end := b.now + d; b.now < end; {
			b.pass(100 * ms)
			for _, id := range peers {
				b.from(id, b.stamp(0, &pb.Message{}))
			}
		}
	}
	hear(10*sec, 2, 3)
	if b.m.NoMajority() || b.m.lost {
		t.Errorf("it hears both: no majority: %v, said so: %v", b.m.NoMajority(), b.m.lost)
	}
	b.pass(10 * sec)
	if !b.m.NoMajority() || !b.m.lost {
		t.Errorf("it hears nobody: no majority: %v, said so: %v", b.m.NoMajority(), b.m.lost)
	}
	hear(10*sec, 2)
	if !b.m.NoMajority() || !b.m.lost {
		t.Errorf("it hears one of two: no majority: %v, said so: %v", b.m.NoMajority(), b.m.lost)
	}
	hear(sec, 2, 3)
	if b.m.NoMajority() || b.m.lost {
		t.Errorf("it hears them again: no majority: %v, said so: %v", b.m.NoMajority(), b.m.lost)
	}
}

// Who hands over gets the writes like those who held the partition before: what others pull from it is no older than what has been confirmed.
func TestALeaverGetsTheWrites(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 && slices.Contains(holdersAmong(t, 3, p), 3) })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.learn(&pb.View{
		Chain: 9, Number: 3, Members: benchMembers[:2], Leaving: benchMembers[2:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}},
	})
	if got := b.m.copiesOf(p); !slices.Contains(got, 3) {
		t.Errorf("copies %v, without c, which leaves", got)
	}
}

// Who hands over does so on when a member dies meanwhile: the view without that one still names it, or what it holds would be lost.
func TestALeaverIsNotForgottenWhenAMemberDies(t *testing.T) {
	b := newBench(t, "")
	b.learn(&pb.View{Chain: 9, Number: 2, Members: benchMembers})
	b.confirm(2, 3, 4)
	b.learn(&pb.View{
		Chain: 9, Number: 3, Members: []*pb.Member{benchMembers[0], benchMembers[1], benchMembers[3]}, Leaving: benchMembers[2:3],
		History: []*pb.MemberSet{{Number: 2, Members: benchMembers}},
	})
	for end := b.now + 5*sec; b.now < end; { // d is silent
		b.pass(20*ms, 2)
		b.from(3, b.stamp(0, &pb.Message{}))
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPrepare() != nil }) {
			p := l.msg.GetPrepare()
			b.from(l.to, b.stamp(0, &pb.Message{Body: &pb.Message_Promise{Promise: &pb.Promise{Ballot: p.Ballot, Number: p.Number, Ok: true}}}))
		}
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetAccept().GetBallot() != nil }) {
			if v := l.msg.GetAccept().Value; len(v.Members) != 2 || len(v.Leaving) != 1 || v.Leaving[0].Id != 3 {
				t.Errorf("members %v, leaving %v", v.Members, v.Leaving)
			}
			return
		}
	}
	t.Error("no view without d is proposed")
}

// Who is let go says so at once: the new owners of what it owned wait to hear that it serves nothing any more.
func TestALeaverTellsThatItKnows(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.Leave()
	b.take(func(*pb.Message) bool { return true })
	b.learn(&pb.View{
		Chain: 9, Number: 3, Members: benchMembers[1:3], Leaving: benchMembers[:1], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}},
	})
	told := map[uint64]bool{}
	for _, l := range b.take(func(m *pb.Message) bool { return m.View == 3 }) {
		told[l.to] = true
	}
	if !told[2] || !told[3] {
		t.Errorf("told %v", told)
	}
}

// Who hands over serves nothing, near copies neither: their owner has heard that it leaves, and does not wait for it.
func TestALeaverServesNoNearCopies(t *testing.T) {
	b := newBench(t, "")
	without := benchMembers[1:4]
	p := partition(t, func(p int) bool {
		o := holdersAmong(t, 4, p)
		return slices.Contains(holdersAmong(t, 3, p), 1) && !slices.Contains(o, 1) && holdersIn(t, without, p)[0] == o[0]
	})
	key, owner := keyOf(p), holdersAmong(t, 4, p)[0]
	b.enter(2, 3)
	b.confirm(2, 3)
	b.enter(3, 4, 3)
	b.confirm(2, 3, 4)
	b.m.Get(&pb.Get{Key: key, Keep: true}, b.now+sec, func(Result) {})
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
			Entry: &pb.Entry{Key: key, Value: []byte("v"), Version: 3<<viewShift + 1}, Keep: true,
		}}}))
	}
	if e, how := b.m.Read(key); how != Hit || !e.Near {
		t.Fatalf("no near copy: %v", how)
	}
	b.m.Leave()
	b.learn(&pb.View{Chain: 9, Number: 4, Members: without, Leaving: benchMembers[:1], History: []*pb.MemberSet{
		{Number: 2, Members: benchMembers[:3]}, {Number: 3, Members: benchMembers[:4]},
	}})
	if _, how := b.m.Read(key); b.m.lay.owner(p) != owner || how == Hit {
		t.Errorf("view %d: %v", b.m.lay.number(), how)
	}
}

// Who parts has not left before a cut that is under way has ended.
func TestPartWaitsForACut(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.goes()
	ended := pb.Status(-1)
	b.m.Cut(nil, b.now+10*sec, b.now+60*sec, func(r Result) { ended = r.Status })
	b.m.Part()
	if b.pass(20 * ms); b.m.Left() || ended != -1 {
		t.Fatalf("left: %v; the cut: %v", b.m.Left(), ended)
	}
	b.clocked(b.take(func(m *pb.Message) bool { return m.GetCutClock() != nil }))
	b.voided(b.take(func(m *pb.Message) bool { return m.GetCut() != nil }))
	if b.pass(20 * ms); !b.m.Left() || ended != pb.Status_OK {
		t.Errorf("left: %v; the cut: %v", b.m.Left(), ended)
	}
}

// The last of a cluster hands over to the one that comes: that one reads it from outside the view, and does not leave before it has.
func TestFromWhoLeavesToWhoLeaves(t *testing.T) {
	b := newBench(t, "")
	b.m.learn(&pb.View{
		Chain: 9, Number: 3, Members: benchMembers[:1], Leaving: benchMembers[2:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[2:3]}},
	})
	b.built()
	b.m.Leave()
	for range 3 {
		if b.pass(20 * ms); b.m.HandedOver() {
			t.Fatal("it has left, and with it what c holds")
		}
	}
	pull := b.pullOf(0)
	r := &pb.PullReply{Entries: []*pb.Entry{{Key: keyOf(0), Value: []byte("v"), Version: 2<<viewShift + 1}}, Done: uint32(len(pull.msg.GetPull().Partitions))}
	if b.from(3, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}})); pull.to != 3 || b.m.store.Get(0, keyOf(0)) == nil {
		t.Errorf("%d is asked; what c held is not here", pull.to)
	}
}
