package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// again brings a machine that has started over, and has a new identity, into a cluster of b and c, from which it has to pull, with new sessions.
func (b *bench) again(chain uint64) {
	b.t.Helper()
	for _, p := range benchMembers[1:3] {
		b.m.Up(p, p.Id)
	}
	members := []*pb.Member{b.m.self, benchMembers[1], benchMembers[2]}
	b.learn(&pb.View{Chain: chain, Number: 3, Members: members, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[1:3]}}})
	if b.m.lay.number() != 3 {
		b.t.Fatal("not in the next cluster")
	}
}

// Who gives up a cluster brings nothing of it into the next: what it owned and held there, to whom it lent it, and what it was about to write are of that one
// alone. Nor does it take the time without a majority along, or it would give up the next one at once.
func TestNothingIsBroughtIntoTheNextCluster(t *testing.T) {
	b := newBench(t, "")
	b.m.cfg.ForgetAfter = 60 * sec
	p := partition(t, func(p int) bool { o := holdersAmong(t, 3, p); return o[0] == 1 && o[1] == 2 })
	key := keyOf(p)
	b.enter(50, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	b.m.store.Put(p, &store.Entry{Key: key, Value: "v", Version: 50<<viewShift + 5})
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	other := keyOf(partition(t, func(q int) bool { o := holdersAmong(t, 3, q); return q != p && o[0] == 1 && o[1] == 2 }))
	b.m.Write(&pb.Write{Key: other, Value: []byte("v")}, b.now+sec, 0, func(Result) {}) // which no copy confirms
	if _, how := b.m.Read(key); how != Hit || b.m.holders != 1 || len(b.m.writes) != 1 {
		t.Fatalf("read %v, %d notes, %d writes", how, b.m.holders, len(b.m.writes))
	}
	b.pass(61 * sec)
	if b.m.lay != nil {
		t.Fatal("the cluster is not given up")
	}
	if b.m.holders != 0 || len(b.m.writes)+len(b.m.byPeer)+b.m.unacked != 0 {
		t.Errorf("%d notes, %d writes of %d bytes are left", b.m.holders, len(b.m.writes), b.m.unacked)
	}
	b.again(8)
	b.m.Tick(20 * ms)
	if b.m.lay == nil || b.m.lost {
		t.Fatal("it gives up the next one before anybody could answer")
	}
	b.confirm(2, 3)
	b.pass(1500*ms, 2, 3)
	for p := range b.m.parts {
		if pt := &b.m.parts[p]; pt.holder && pt.complete.Load() {
			t.Fatalf("partition %d is complete before anything was pulled", p)
		}
	}
	if _, how := b.m.Read(key); how != Ask {
		t.Errorf("read %v", how)
	}
	if n := b.m.store.Stats().Entries; n != 0 {
		t.Errorf("%d entries of the cluster before are here", n)
	}
}

// The clocks of one cluster say nothing in another: neither of ages, or what is saved there would stand above each cut, nor of what was cut.
func TestNoClockOfAnotherCluster(t *testing.T) {
	b := newBench(t, "")
	b.enter(50, 1)
	b.pass(100 * ms)
	save := func() {
		b.written(&pb.Write{Key: "k", Value: []byte("v")})
		b.written(&pb.Write{Key: "k", Value: []byte("v"), IfPresent: true})
	}
	for range 3 {
		save()
		b.now += b.m.keepClock()
		b.pass(100 * ms)
	}
	b.m.Cut(nil, b.now+sec, 0, func(Result) {})
	b.m.dissolve("")
	b.learn(&pb.View{Chain: 8, Number: 1, Members: []*pb.Member{b.m.self}})
	b.pass(100 * ms)
	save()
	if _, how := b.m.Read("k"); how != Hit {
		t.Errorf("%v after a Clear of the cluster before", how)
	}
	b.m.Cut(nil, b.now+sec, 0, func(Result) {})
	if e, how := b.m.Read("k"); how != Absent {
		t.Errorf("%v after a Clear: %+v", how, e)
	}
}

// Who gives up a cluster, also while a view of it is about to be entered, founds another if nobody is there, and not the same: others may be in that one still.
func TestTheNextClusterIsAnother(t *testing.T) {
	b := newBench(t, "")
	for _, p := range benchMembers[1:] {
		b.m.Down(p.Id, p.Id)
	}
	b.m.cfg.Solo = true
	found := func() uint64 {
		t.Helper()
		for end := b.now + 10*sec; b.now < end; {
			b.pass(20 * ms)
			if b.built(); b.m.lay != nil {
				return b.m.lay.view.Chain
			}
		}
		t.Fatal("no cluster is founded")
		return 0
	}
	first := found()
	b.m.learn(&pb.View{Chain: first, Number: 2, Members: []*pb.Member{b.m.self, benchMembers[1]}}) // its ring is not there yet
	if b.m.chosen == nil {
		t.Fatal("it does not wait for the next view")
	}
	b.m.dissolve("")
	began := b.now
	if second := found(); second == first {
		t.Error("both are one")
	}
	if took := b.now - began; took < b.m.cfg.Settle+b.m.cfg.ExpelAfter {
		t.Errorf("others had %d ms to be heard of", took/ms)
	}
}

// What was under way goes on in the next cluster, over its sessions; with what was revoked before the reads that wait.
func TestWhatIsUnderWayGoesOnInTheNextCluster(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 2 && !slices.Contains(holdersAmong(t, 3, p), 1) })
	var keys []string
	for i := 0; len(keys) < 3; i++ {
		if key := fmt.Sprint("key", i); partOf31(key) == p {
			keys = append(keys, key)
		}
	}
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(sec, 2, 3)
	for i, key := range keys {
		e := &store.Entry{Key: key, Version: 2<<viewShift + 5, Kind: store.Revoked, Expires: b.now + int64(60-i)*sec}
		b.m.store.Put(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 }), e)
	}
	get := func(key string) { b.m.Get(&pb.Get{Key: key}, b.now+20*sec, func(Result) {}) }
	get(keys[0]) // sent, and not answered
	b.m.Down(3, 3)
	other := keyOf(partition(t, func(p int) bool { o := holdersAmong(t, 3, p); return o[0] == 3 && o[1] == 1 }))
	get(other) // not sent
	b.m.dissolve("")
	b.take(func(*pb.Message) bool { return true })
	b.again(8)
	var sent []string
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetGet() != nil || m.GetWrite() != nil }) {
		if w := l.msg.GetWrite(); w != nil {
			sent = append(sent, w.Kind.String()+" "+w.Key)
		} else {
			sent = append(sent, "read "+l.msg.GetGet().Key)
		}
	}
	if want := []string{"REVOKED " + keys[2], "REVOKED " + keys[1], "REVOKED " + keys[0], "read " + other, "read " + keys[0]}; !slices.Equal(sent, want) {
		t.Errorf("sent %q, want %q", sent, want)
	}
}

// Revocations that the next cluster has no room for are tried again, and go along once more if that one is given up too.
func TestRevocationsGoAlongTwice(t *testing.T) {
	b := newBench(t, "")
	const many = carriedAtOnce + 100
	b.m.store = store.New(store.Config{Partitions: benchRing.Partitions, MaxBytes: 8 << 20, Now: b.Now})
	b.enter(2, 1)
	b.pass(100 * ms)
	for i := range many {
		b.written(&pb.Write{Key: fmt.Sprint("key", i), Kind: pb.Kind_REVOKED})
	}
	b.m.dissolve("")
	if n := len(b.m.carried.left); n != many-carriedAtOnce || b.m.carried.underWay != carriedAtOnce {
		t.Fatalf("%d wait, %d are under way", n, b.m.carried.underWay)
	}
	b.again(8)
	b.confirm(2, 3)
	answer := func(s pb.Status) (n int) {
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetWrite() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: s}}}))
			n++
		}
		return n
	}
	full := answer(pb.Status_FULL)
	if n := len(b.m.carried.left); full == 0 || n != many-carriedAtOnce+full {
		t.Errorf("%d were refused, %d wait", full, n)
	}
	left := len(b.m.carried.left) + b.m.carried.underWay
	b.m.dissolve("")
	if n := len(b.m.carried.left) + b.m.carried.underWay; n != left {
		t.Errorf("%d of %d are left", n, left)
	}
}
