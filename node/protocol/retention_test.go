package protocol

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A copy counts the retention of a revocation from when that arrived, on a clock of its own. Once it has ended for the owner, what the
// owner writes is taken, so that what is confirmed is there. What is older is not.
func TestACopyGoesByTheOwnersRetention(t *testing.T) {
	for _, kind := range []pb.Kind{pb.Kind_LIVE, pb.Kind_TOMBSTONE} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool { h := holdersAmong(t, 3, p); return h[0] == 2 && h[1] == 1 })
		b.enter(2, 3)
		b.confirm(2, 3)
		send := func(version uint64, kind pb.Kind, ttl int64) *store.Entry {
			t.Helper()
			b.from(2, b.stamp(700+version, &pb.Message{Body: &pb.Message_Copy{Copy: &pb.Copy{Entry: &pb.Entry{
				Key: keyOf(p), Value: []byte(kind.String()), Version: 2<<viewShift + version, Kind: kind, Ttl: ttl,
			}}}}))
			if n := len(b.take(func(m *pb.Message) bool { return m.GetCopyReply() != nil })); n != 1 {
				t.Fatalf("%d answers", n)
			}
			return b.m.store.Get(p, keyOf(p))
		}
		if e := send(5, pb.Kind_REVOKED, 60*sec); e == nil || e.Kind != store.Revoked {
			t.Fatalf("a revocation: %+v", e)
		}
		if e := send(4, kind, 0); e == nil || e.Kind != store.Revoked {
			t.Errorf("what is older than the revocation took its place: %+v", e)
		}
		if e := send(6, kind, 0); e == nil || e.Kind != store.Kind(kind) {
			t.Errorf("%v was confirmed, and is not there: %+v", kind, e)
		}
	}
}

// A client that tries until a revoked name is free again loses nothing that is confirmed, whichever clock runs ahead (P2).
func TestTheEndOfARetention(t *testing.T) {
	for seed := int64(1); seed <= 8; seed++ {
		s := newSim(simConfig{seed: seed, nodes: 3, replicas: 2, memory: 1 << 20, calm: true, keys: 1, tags: 1})
		s.at(0, nil, s.gossip)
		if !s.until(60*sec, func() bool { return s.atRest(3) }) {
			t.Fatal("not at rest")
		}
		for _, p := range s.procs {
			p.m.cfg.Retention = 20 * sec
		}
		key := fmt.Sprint("key", seed)
		holders := s.procs[0].m.lay.table.Owners(partOf(key))
		owner := s.byID(s.procs[0].m.lay.ids[holders[0]])
		var asker *simProc
		for _, p := range s.procs {
			if hold, _ := p.m.lay.holds(p.id, partOf(key)); !hold {
				asker = p
			}
		}
		do := func(begin func(done func(Result))) (r Result) {
			ended := false
			begin(func(x Result) { r, ended = x, true })
			if !s.until(10*sec, func() bool { return ended }) {
				t.Fatal("no answer")
			}
			return r
		}
		write := func(b *pb.Write) Result {
			return do(func(done func(Result)) { asker.m.Write(b, asker.Now()+5*sec, 0, done) })
		}
		if r := write(&pb.Write{Key: key, Kind: pb.Kind_REVOKED}); r.Status != pb.Status_OK {
			t.Fatalf("revoked: %v", r.Status)
		}
		s.until(19*sec, func() bool { return false })
		for {
			r := write(&pb.Write{Key: key, Value: []byte("new")})
			if r.Status == pb.Status_OK {
				break
			}
			if r.Status != pb.Status_GONE {
				t.Fatalf("set: %v", r.Status)
			}
		}
		s.until(3*sec, func() bool { return false })
		s.kill(owner, false)
		if !s.until(10*sec, func() bool { return s.atRest(2) }) {
			t.Fatal("not at rest without the owner")
		}
		if r := do(func(done func(Result)) { asker.m.Get(&pb.Get{Key: key}, asker.Now()+5*sec, done) }); r.Status != pb.Status_OK {
			t.Errorf("seed %d: a confirmed Set is lost with one of its two holders: %v", seed, r.Status)
		}
	}
}
