package protocol

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Values wait for their turn and deletions do not, and what is pulled comes from others: so a copy may get a value after a tombstone of a later
// version, of another key. That there was no room for the tombstone is no reason not to keep the value: the copy is about to confirm it.
func TestACopyKeepsWhatADeletionHasOvertaken(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { h := holdersAmong(t, 3, p); return h[0] == 2 && h[1] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	version := uint64(2 << viewShift)
	copied := func(kind pb.Kind, key string, version uint64) {
		b.from(2, b.stamp(version, &pb.Message{Body: &pb.Message_Copy{Copy: &pb.Copy{Entry: &pb.Entry{Key: key, Version: version, Kind: kind, Ttl: 3600 * sec}}}}))
		if answers := b.take(func(m *pb.Message) bool { return m.GetCopyReply() != nil }); len(answers) != 1 {
			t.Fatalf("%d answers to a copy", len(answers))
		}
	}
	for i := 0; b.m.store.Floor(p) == 0; i++ {
		if key := fmt.Sprint("token", i); ring.PartitionOf(key, benchRing.Partitions) == p {
			version += 2
			copied(pb.Kind_REVOKED, key, version)
		}
	}
	version += 2
	copied(pb.Kind_TOMBSTONE, keyOf(p), version)
	session := fmt.Sprint("session of ", p)
	for ring.PartitionOf(session, benchRing.Partitions) != p {
		session += "."
	}
	copied(pb.Kind_LIVE, session, version-1)
	if e := b.m.store.Get(p, session); e == nil || e.Kind != store.Live {
		t.Error("a value was confirmed and not kept")
	}
}
