package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// join lets the node into a cluster of the two next ones, from which it has to pull.
func (b *bench) join() {
	b.t.Helper()
	b.m.learn(&pb.View{Chain: 9, Number: 3, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[1:3]}}})
	b.built()
	b.confirm(2, 3)
}

// pullOf returns the request for a partition.
func (b *bench) pullOf(p int) letter {
	b.t.Helper()
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
		if slices.Contains(l.msg.GetPull().Partitions, uint32(p)) {
			return l
		}
	}
	b.t.Fatal("it is not asked for")
	return letter{}
}

// However seldom a node at rest ticks, notes of sessions that have ended do not stay in the way of others.
func TestNotesAreSweptAtRest(t *testing.T) {
	for _, pace := range []int64{20 * ms, sec / LeasesRenewed, sec / 2} {
		b := newBench(t, "")
		b.enter(6, 4)
		b.pass(3*sec, 2, 3, 4)
		b.m.parts = append(b.m.parts[:len(b.m.parts):len(b.m.parts)], make([]part, ring.DefaultPartitions-len(b.m.parts))...)
		for p := range b.m.parts {
			b.m.parts[p].holders = map[string][]holder{"k": {{peer: 3, session: 1}}}
			b.m.holders++
		}
		began := b.now
		for b.m.holders > 0 && b.now < began+100*sec {
			b.now += pace
			b.m.sweepHolders(b.now, pace)
		}
		if took := b.now - began; took > 30*sec {
			t.Errorf("ticks every %d ms: notes are kept for %d s", pace/ms, took/sec)
		}
	}
}

// A copy answers in the place of an owner that its asker cannot reach only with what is known here: not with what it pulls still, not with what it holds
// only as a source, and not a fill that it finds nothing, for only the owner orders those.
func TestWhatACopyAnswers(t *testing.T) {
	b := newBench(t, "")
	b.m.learn(&pb.View{Chain: 9, Number: 3, Members: benchMembers, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}})
	b.built()
	b.confirm(2, 3, 4)
	copied := func(p int) bool { return holdersAmong(t, 4, p)[1] == 1 }
	of := func(p int) bool { return slices.Contains(holdersAmong(t, 3, p), 1) }
	whole := partition(t, func(p int) bool { return copied(p) && of(p) })
	pulled := partition(t, func(p int) bool { return copied(p) && p != whole })
	source := partition(t, func(p int) bool { return of(p) && !slices.Contains(holdersAmong(t, 4, p), 1) })
	put := func(p int, e *store.Entry) { e.Key, e.Version = keyOf(p), 2<<viewShift+1; b.m.store.Put(p, e) }
	put(pulled, &store.Entry{Value: "v", Provisional: true})
	put(source, &store.Entry{Value: "v"})
	for _, c := range []struct {
		what string
		p    int
		e    *store.Entry
		fill bool
		want pb.Status
	}{
		{"a value", whole, &store.Entry{Value: "v"}, false, pb.Status_OK},
		{"a value that is being pulled", pulled, nil, false, pb.Status_UNSURE},
		{"a value of a partition that is held elsewhere now", source, nil, false, pb.Status_UNSURE},
		{"a deletion", whole, &store.Entry{Kind: store.Revoked}, false, pb.Status_ABSENT},
		{"a deletion, for a fill", whole, nil, true, pb.Status_UNSURE},
	} {
		if c.e != nil {
			put(c.p, c.e)
		}
		b.from(4, b.stamp(70, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(c.p), Fill: c.fill}}}))
		if got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }); len(got) != 1 || got[0].msg.GetGetReply().Status != c.want {
			t.Errorf("%s: answered %v", c.what, got)
		}
	}
}

// What was read from its owner ends when it ends there, however late the answer comes, and is not kept in another view than that of the answer.
func TestAnAnswerThatComesLate(t *testing.T) {
	for _, moved := range []bool{false, true} {
		b, _, key := crowdedBench(t)
		b.m.Get(&pb.Get{Key: key, Keep: true}, b.now+60*sec, func(Result) {})
		asked := b.now
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
			reply := b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
				Entry: &pb.Entry{Key: key, Value: []byte("v"), Version: 2<<viewShift + 1, Ttl: 10 * sec}, Keep: true,
			}}})
			b.pass(2*sec, 2, 3)
			if moved {
				b.enter(3, 3)
			}
			b.from(l.to, reply)
		}
		e := b.m.store.Get(partOf31(key), key)
		if moved && e != nil {
			t.Errorf("kept in view 3, though the owner has answered to view 2")
		}
		if !moved && (e == nil || e.Expires != asked+10*sec) {
			t.Errorf("kept %v, asked for at %d", e, asked)
		}
	}
}

// A key that is asked for at the sources is not known if one of them is out of reach, or its session ends before it has answered, nor to an owner
// whose lease has ended meanwhile.
func TestAKeyThatASourceMayKnow(t *testing.T) {
	for _, why := range []string{"nothing", "out of reach", "ends", "the lease"} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool {
			return slices.Equal(holdersAmong(t, 4, p), []uint64{1, 2}) && slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2})
		})
		other := []*pb.Member{benchMembers[1], benchMembers[2]}
		b.m.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: []*pb.MemberSet{{Number: 2, Members: other}, {Number: 3, Members: other}}})
		b.built()
		b.confirm(2, 3)
		b.pass(1500*ms, 2, 3)
		if n := len(b.m.parts[p].sources); n != 2 {
			t.Fatalf("%d sources", n)
		}
		if why == "out of reach" {
			b.m.Down(3, 3)
		}
		local, written := pb.Status(-1), pb.Status(-1)
		b.m.Get(&pb.Get{Key: keyOf(p)}, b.now+60*sec, func(r Result) { local = r.Status })
		b.m.Write(&pb.Write{Key: keyOf(p), Touch: true}, b.now+60*sec, 0, func(r Result) { written = r.Status })
		b.from(2, b.stamp(71, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
		if why == "the lease" {
			b.now += 2 * sec
		}
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
			if l.to == 3 && why == "ends" {
				b.m.Down(3, 3)
				continue
			}
			r := &pb.PullKeyReply{Key: keyOf(p), Status: pb.Status_ABSENT}
			if l.to == 2 {
				r = &pb.PullKeyReply{Key: keyOf(p), Entry: &pb.Entry{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 1}}
			}
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: r}}))
		}
		asked := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil })
		remote := pb.Status(-1)
		for _, l := range asked {
			remote = l.msg.GetGetReply().Status
		}
		copies := len(b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }))
		_, how := b.m.Read(keyOf(p))
		if known := why == "nothing"; known != (local == pb.Status_OK) || known != (remote == pb.Status_OK) || known != (copies > 0) || known != (how == Hit) {
			t.Errorf("%s in the way: read %v, for another %v; written %v, %d copies; then %v", why, local, remote, written, copies, how)
		}
	}
}

// keepNear reads a key of a partition in view 2 from its owner, and keeps a near copy.
func (b *bench) keepNear(t *testing.T, p int) {
	t.Helper()
	b.m.Get(&pb.Get{Key: keyOf(p), Keep: true}, b.now+sec, func(Result) {})
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil }) {
		b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: &pb.GetReply{
			Entry: &pb.Entry{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 1}, Keep: true,
		}}}))
	}
	if _, how := b.m.Read(keyOf(p)); how != Hit {
		t.Fatal("not kept")
	}
}

// What was asked over a session that another takes the place of is asked anew: its answer would be of the session before.
func TestASessionInThePlaceOfAnother(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Get(&pb.Get{Key: key}, b.now+sec, func(Result) {})
	b.m.Up(benchMembers[1], 22)
	if n := len(b.take(func(m *pb.Message) bool { return m.GetGet() != nil })); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// A copy that could not answer for an owner out of reach is asked again: it may have a lease by then.
func TestACopyIsAskedAgain(t *testing.T) {
	b := newBench(t, "")
	key := keyOf(partition(t, func(p int) bool { o := holdersAmong(t, 3, p); return o[0] == 2 && o[1] == 3 }))
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	b.m.Down(2, 2)
	var got Result
	b.m.Get(&pb.Get{Key: key}, b.now+sec, func(r Result) { got = r })
	for _, r := range []*pb.GetReply{{Status: pb.Status_UNSURE}, {Entry: &pb.Entry{Key: key, Value: []byte("v"), Version: 2<<viewShift + 1}}} {
		asked := b.take(func(m *pb.Message) bool { return m.GetGet() != nil })
		if len(asked) != 1 || asked[0].to != 3 {
			t.Fatalf("asked: %v", asked)
		}
		b.from(3, b.stamp(asked[0].msg.Id, &pb.Message{Body: &pb.Message_GetReply{GetReply: r}}))
		b.pass(20*ms, 3)
	}
	if got.Entry == nil {
		t.Errorf("%+v", got)
	}
}

// That a key was deleted is provisional as well, until all sources have been read: it may have been written since.
func TestAProvisionalDeletionIsNoAnswer(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.join()
	b.pass(1500*ms, 2, 3)
	pull := b.pullOf(p)
	for _, done := range []bool{false, true} {
		r := &pb.PullReply{Entries: []*pb.Entry{{Key: keyOf(p), Kind: pb.Kind_TOMBSTONE, Version: 2<<viewShift + 1, Ttl: 60 * sec}}}
		want := Ask
		if done {
			want = Absent
			pull = b.pullOf(p)
			r.Done = uint32(len(pull.msg.GetPull().Partitions))
		}
		b.from(pull.to, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}}))
		if _, how := b.m.Read(keyOf(p)); how != want {
			t.Errorf("all has been read %v: %v", done, how)
		}
	}
}

// A copy answers in the place of an owner only while the lease that it has from that one runs, however long its own.
func TestACopyAnswersUnderItsLease(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return slices.Equal(holdersAmong(t, 3, p), []uint64{2, 1}) })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 1})
	b.pass(500*ms, 2, 3)
	for _, ended := range []bool{false, true} {
		want := pb.Status_OK
		if ended {
			b.pass(1100*ms, 3)
			want = pb.Status_UNSURE
		}
		if !b.m.leased() {
			t.Fatal("no view lease")
		}
		b.from(3, b.stamp(71, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
		if got := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil }); len(got) != 1 || got[0].msg.GetGetReply().Status != want {
			t.Errorf("lease ended %v: answered %v", ended, got)
		}
	}
}

// A key is not known when the view changes before all sources have answered. They are asked for it anew then, and when one is back whose session had ended.
func TestAKeyIsAskedForAnew(t *testing.T) {
	for _, why := range []string{"another view", "another session"} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool {
			return slices.Equal(holdersAmong(t, 4, p), []uint64{1, 2}) && slices.Equal(holdersAmong(t, 3, p), []uint64{1, 2})
		})
		other := benchMembers[1:3]
		history := []*pb.MemberSet{{Number: 2, Members: other}, {Number: 3, Members: other}}
		b.m.learn(&pb.View{Chain: 9, Number: 4, Members: benchMembers[:3], History: history})
		b.built()
		b.confirm(2, 3)
		b.pass(1500*ms, 2, 3)
		var got Result
		got.Status = -1
		b.m.Get(&pb.Get{Key: keyOf(p)}, b.now+60*sec, func(r Result) { got = r })
		answer := func(from ...uint64) (n int) {
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil }) {
				if slices.Contains(from, l.to) {
					b.m.Receive(l.to, b.m.peers[l.to].session, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{
						Key: keyOf(p), Entry: &pb.Entry{Key: keyOf(p), Value: fmt.Append(nil, l.to), Version: 2<<viewShift + l.to},
					}}}))
					n++
				}
			}
			return n
		}
		if answer(2) != 1 || got.Status != -1 {
			t.Fatalf("b alone has answered: %v", got)
		}
		if why == "another view" {
			b.learn(&pb.View{Chain: 9, Number: 5, Members: benchMembers[:3], History: append(history, &pb.MemberSet{Number: 4, Members: benchMembers[:3]})})
			b.confirm(2, 3)
		} else {
			b.m.Down(3, 3)
			b.m.Up(benchMembers[2], 33)
		}
		b.m.unpark()
		if got.Status != -1 || answer(2, 3) != 2 || got.Status != pb.Status_OK || got.Entry.Value != "3" {
			t.Errorf("%s: %v, %v", why, got.Status, got.Entry)
		}
	}
}
