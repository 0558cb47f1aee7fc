package protocol

import (
	"math"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// entryTo and entryFrom carry an entry over the wire: a TTL travels as the time that remains (rule 9).
func (m *Machine) entryTo(e *store.Entry) *pb.Entry {
	out := &pb.Entry{Key: e.Key, Value: e.Bytes(), Version: e.Version, Tags: e.Tags, Kind: pb.Kind(e.Kind), Origin: e.Origin}
	if e.Expires != 0 {
		out.Ttl = max(1, e.Expires-m.now())
	}
	return out
}

// after is t + d, or the end of time if that is earlier.
func after(t, d int64) int64 {
	if d > math.MaxInt64-t {
		return math.MaxInt64
	}
	return t + d
}

func entryFrom(b *pb.Entry, since int64) *store.Entry {
	e := store.NewEntry(b.Key)
	e.Value, e.Version, e.Tags, e.Kind, e.Origin = store.Text(b.Value), b.Version, b.Tags, store.Kind(b.Kind), b.Origin
	if b.Ttl > 0 {
		e.Expires = after(since, b.Ttl)
	}
	return e
}
