package protocol

import (
	"fmt"
	"slices"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// What comes ahead of the view it was sent in is kept, up to a number and a size. What is over that is not left out of a session that stands,
// on which nobody would send it again: the session is given up.
func TestTooMuchAheadOfItsView(t *testing.T) {
	for _, c := range []struct{ n, size, more int }{{stashLimit, 1, 1}, {stashBytes >> 20, 1 << 20, 1}, {stashLimit, 1, 0}} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool { h := holdersAmong(t, 3, p); return h[0] == 2 && h[1] == 1 })
		b.enter(2, 3)
		b.confirm(2, 3)
		value := make([]byte, c.size)
		send := func(n int) {
			for i := range n {
				b.from(2, &pb.Message{Id: uint64(1000 + i), Chain: 9, View: 3, Body: &pb.Message_Copy{Copy: &pb.Copy{
					Entry: &pb.Entry{Key: keyOf(p), Value: value, Version: 3<<viewShift + uint64(i) + 1},
				}}})
			}
		}
		send(c.n + c.more)
		q := b.m.peers[2]
		if gone := slices.Equal(b.ended, []uint64{2}) && q.session == 0 && len(q.stash) == 0 && q.stashed == 0; gone != (c.more > 0) {
			t.Errorf("after %d messages of %d bytes: the sessions of %v were given up, %d messages are kept", c.n+c.more, c.size, b.ended, len(q.stash))
		}
		if c.more > 0 {
			b.m.Up(benchMembers[1], 2)
			send(10)
			c.n = 10
		}
		b.enter(3, 3, 3)
		if n := len(b.take(func(m *pb.Message) bool { return m.GetCopyReply() != nil })); n != c.n {
			t.Errorf("%d of %d copies are confirmed", n, c.n)
		}
		if q.stashed != 0 {
			t.Errorf("%d bytes are counted when nothing is kept", q.stashed)
		}
	}
}

// Copies that a node gets while it is long in going by a view, more than it keeps, are all confirmed once it does, and nobody is thrown out.
func TestWritesToANodeThatIsBehind(t *testing.T) {
	s := newSim(simConfig{seed: 1, nodes: 3, replicas: 2, memory: 1 << 30, calm: true, keys: 1, tags: 1})
	s.at(0, nil, s.gossip)
	if !s.until(60*sec, func() bool { return s.atRest(3) }) {
		t.Fatal("not at rest")
	}
	after, _ := s.ring([]string{"n0", "n1", "n2", "n3"})
	owner, late, part := s.procs[0], (*simProc)(nil), 0
	for p := range simRing.Partitions { // that n0 owns before and after
		if o := after.Owners(p); o[0] == 0 && o[1] != 3 && s.procs[0].m.lay.owner(p) == owner.id {
			late, part = s.procs[o[1]], p
		}
	}
	if late == nil {
		t.Fatal("no such partition in this ring")
	}
	key := ""
	for i := 0; key == "" || partOf(key) != part; i++ {
		key = fmt.Sprint("key", i)
	}
	late.busy = 1500 * ms
	s.procs = append(s.procs, nil)
	s.start(3)
	if !s.until(10*sec, func() bool { return len(owner.m.lay.ids) == 4 && owner.m.parts[part].acting }) || len(late.m.lay.ids) == 4 {
		t.Fatal("nobody is behind")
	}
	const n = 3 * stashBytes >> 20
	value, ended := make([]byte, 1<<20), map[pb.Status]int{}
	for range n {
		owner.m.Write(&pb.Write{Key: key, Value: value}, owner.Now()+10*sec, 0, func(r Result) { ended[r.Status]++ })
	}
	if s.until(500*ms, func() bool { return len(late.m.lay.ids) == 4 }) {
		t.Fatal("it is not behind for long enough")
	}
	s.until(12*sec, func() bool { return ended[pb.Status_OK] == n })
	if ended[pb.Status_OK] != n {
		t.Errorf("%d writes ended: %v", n, ended)
	}
	if !s.until(5*sec, func() bool { return s.atRest(4) }) || s.procs[late.slot] != late || !owner.m.lay.has(late.id) {
		t.Error("the one that was behind is out")
	}
}

// Who may be behind is told the view before the copies that are sent again on a new session: else it could give that up again before it knows.
func TestTheViewComesBeforeWhatIsSentAgain(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool {
		return holdersAmong(t, 4, p)[0] == 1 && holdersAmong(t, 3, p)[0] == 1 && holdersAmong(t, 4, p)[1] == 2
	})
	b.enter(2, 3)
	b.confirm(2, 3)
	b.enter(3, 4, 3)
	b.confirm(3, 4)
	b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v")}, b.now+5*sec, 0, func(Result) {})
	b.m.Down(2, 2)
	b.sent = nil
	b.m.Up(benchMembers[1], 2)
	sent := b.take(func(m *pb.Message) bool { return m.GetDecide() != nil || m.GetCopy() != nil })
	if len(sent) < 2 || sent[0].to != 2 || sent[0].msg.GetDecide() == nil {
		t.Errorf("sent: %v", sent)
	}
}
