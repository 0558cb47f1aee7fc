package protocol

import (
	"math"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// entryTo and entryFrom carry an entry over the wire: a TTL travels as the time that remains (rule 9).
func (m *Machine) entryTo(e *store.Entry) *pb.Entry {
	to := new(pb.Entry)
	m.fill(to, e)
	return to
}

// fill is entryTo, of an empty one.
func (m *Machine) fill(to *pb.Entry, e *store.Entry) {
	to.Key, to.Value, to.Version, to.Tags, to.Kind, to.Origin = e.Key, e.Bytes(), e.Version, e.Tags, pb.Kind(e.Kind), e.Origin
	if e.Expires != 0 {
		to.Ttl = max(1, e.Expires-m.now())
	}
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
