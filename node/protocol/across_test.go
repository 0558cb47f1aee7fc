package protocol

import (
	"fmt"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// rested is a cluster of n nodes at rest, on a network without faults.
func rested(t *testing.T, n int) *sim {
	t.Helper()
	return restedBy(t, 1, n)
}

func restedBy(t *testing.T, seed int64, n int) *sim {
	t.Helper()
	s := newSim(simConfig{seed: seed, nodes: n, replicas: 2, memory: 16 << 20, calm: true})
	s.at(0, nil, s.gossip)
	if !s.until(60*sec, func() bool { return s.atRest(n) }) {
		t.Fatal("not at rest")
	}
	return s
}

// until plays until ok, which is asked every millisecond, for d at most.
func (s *sim) until(d int64, ok func() bool) bool {
	next, met := s.now, false
	s.play(s.now+d, func() bool {
		if s.now >= next {
			next, met = s.now+ms, ok()
		}
		return met
	})
	return met
}

// A ticket that an owner gives while others are in the next view already must not look like one of that view: who takes over there would
// take it for one that it can judge, and knows nothing of a value that was written and has ended in between (P6).
func TestTicketOfAnOwnerBehind(t *testing.T) {
	s := rested(t, 4)
	table, _ := s.ring([]string{"n0", "n1", "n2", "n3", "n4"})
	key := ""
	for i := 0; key == ""; i++ {
		if k := fmt.Sprint("key", i); table.Owner(partOf(k)) == 4 {
			key = k
		}
	}
	at := func(key string, k int) *simProc { // who holds it now
		lay := s.procs[0].m.lay
		return s.byID(lay.ids[lay.table.Owners(partOf(key))[k]])
	}
	owner, reader := at(key, 0), at(key, 1)
	get := func(p *simProc, key string) (r Result) {
		r.Status = -1
		p.m.Get(&pb.Get{Key: key, Fill: true}, p.Now()+5*sec, func(x Result) { r = x })
		s.until(10*sec, func() bool { return r.Status != -1 })
		return r
	}
	write := func(p *simProc, b *pb.Write) (r Result) {
		r.Status = -1
		b.Key = key
		p.m.Write(b, p.Now()+5*sec, 0, func(x Result) { r = x })
		s.until(10*sec, func() bool { return r.Status != -1 })
		return r
	}

	number := owner.m.lay.number()
	owner.busy, reader.busy = 600*ms, 600*ms // their rings come later than those of the others
	s.procs = append(s.procs, nil)
	joiner := s.start(4)
	var ahead *simProc
	if !s.until(20*sec, func() bool {
		for _, p := range s.procs[:4] {
			if p.m.lay.number() > number {
				ahead = p
			}
		}
		return ahead != nil
	}) {
		t.Fatal("nobody is in the next view")
	}
	own := ""
	for i := 0; own == ""; i++ {
		if k := fmt.Sprint("own", i); ahead.m.parts[partOf(k)].acting {
			own = k
		}
	}
	get(ahead, own)                                                                // a ticket of the next view
	s.until(400*ms, func() bool { return owner.m.clock >= (number+1)<<viewShift }) // should a message bring that one's clock here
	miss := get(reader, key)
	if miss.Status != pb.Status_ABSENT || miss.Ticket == 0 {
		t.Fatalf("the miss: %+v", miss)
	}
	if r := write(owner, &pb.Write{Value: []byte("new"), Ttl: 20 * ms}); r.Status != pb.Status_OK || owner.m.lay.number() != number {
		t.Fatalf("the write: %+v, in view %d", r, owner.m.lay.number())
	}
	s.until(50*ms, func() bool { return false })
	if !s.until(20*sec, func() bool { return joiner.m.parts[partOf(key)].acting }) {
		t.Fatal("no take-over")
	}
	if r := write(reader, &pb.Write{Value: []byte("old"), Ticket: miss.Ticket, TicketChain: miss.Chain}); r.Status != pb.Status_STALE_FILL {
		t.Errorf("a fill that was read before a confirmed Set: %v; ticket of view %d, taken over in view %d",
			r.Status, miss.Ticket>>viewShift, joiner.m.parts[partOf(key)].since)
	}
}

// A node that starts over and comes into another chain may still have a load under way, under a ticket of its former chain. That orders
// nothing here, be its view a later one, or one of the same number, with more written in it (P6).
func TestTicketOfAnotherChain(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	write := func(w *pb.Write) pb.Status {
		w.Key = keyOf(p)
		b.from(2, b.stamp(900, &pb.Message{Body: &pb.Message_Write{Write: w}}))
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
		}
		replies := b.take(func(m *pb.Message) bool { return m.GetWriteReply() != nil })
		if len(replies) != 1 {
			t.Fatalf("%d answers", len(replies))
		}
		return replies[0].msg.GetWriteReply().Status
	}
	if s := write(&pb.Write{Kind: pb.Kind_TOMBSTONE}); s != pb.Status_OK {
		t.Fatalf("the delete: %v", s)
	}
	for _, ticket := range []uint64{60<<viewShift + 5, b.m.clock + 5} {
		if s := write(&pb.Write{Value: []byte("old"), Ticket: ticket, TicketChain: 8}); s != pb.Status_STALE_FILL {
			t.Errorf("a fill under a ticket of another chain: %v", s)
		}
	}
	b.m.cfg.Mutant = "any-chain"
	if s := write(&pb.Write{Value: []byte("old"), Ticket: b.m.clock + 5, TicketChain: 8}); s != pb.Status_OK {
		t.Errorf("the rule that is switched off makes no difference: %v", s)
	}
	b.m.cfg.Mutant = ""
	if s := write(&pb.Write{Value: []byte("new"), Ticket: b.m.clock, TicketChain: b.m.lay.view.Chain}); s != pb.Status_OK {
		t.Errorf("a fill under a ticket of this chain: %v", s)
	}
}

// Versions are of the view their owner is in, whatever the clocks of others say: what a new owner writes must beat what an earlier
// one has left at some copies, also when it has not heard of that (rule 9).
func TestVersionOfAnOwnerBehind(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	b.from(3, &pb.Message{Chain: 9, View: 3, Clock: 3<<viewShift + 9, Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}})
	b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v")}, b.now+sec, 0, func(Result) {})
	copies := b.take(func(m *pb.Message) bool { return m.GetCopy() != nil })
	if len(copies) != 1 {
		t.Fatalf("%d copies were sent", len(copies))
	}
	if v := copies[0].msg.GetCopy().Entry.Version; v>>viewShift != 2 {
		t.Errorf("in view 2 a write has a version of view %d", v>>viewShift)
	}
	b.enter(3, 3, 3)
	if b.m.clock < 3<<viewShift+9 {
		t.Error("the clock of the view is not taken once it is adopted")
	}
}

// A request for a ring may be lost (the queue of those that make them is bounded). Whoever has learned of a view asks again, though
// nobody tells it of that view any more.
func TestRingsAreAskedForAgain(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	next := &pb.View{Chain: 9, Number: 3, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}
	b.m.learn(next)
	b.want = nil
	for end := b.now + 20*sec; b.now < end && len(b.want) == 0; {
		b.now += 20 * ms
		b.m.Tick(20 * ms)
		for _, l := range b.take(func(*pb.Message) bool { return true }) {
			switch {
			case l.to != 2:
			case l.msg.GetViewPlease() != nil:
				b.from(2, &pb.Message{Chain: 9, View: 3, Body: &pb.Message_Decide{Decide: &pb.Decide{View: next}}})
			case l.msg.GetLeaseAsk() != nil:
				b.from(2, &pb.Message{Chain: 9, View: 3}) // a hint
			}
		}
	}
	if len(b.want) == 0 {
		t.Error("the ring is never asked for again")
	}
}

// Once a view is chosen there is nothing to propose until it is gone by, however long its rings take.
func TestNothingIsProposedTwice(t *testing.T) {
	s := rested(t, 10)
	s.sentSince()
	for _, p := range s.procs {
		p.busy = 2 * sec
	}
	s.kill(s.procs[5], false)
	if !s.until(60*sec, func() bool { return s.atRest(9) }) {
		t.Fatal("not at rest")
	}
	if msgs, bytes, busiest := s.sentSince(); busiest > 1000 {
		t.Errorf("%d messages of the busiest, %d messages and %d bytes in all", busiest, msgs, bytes)
	}
}
