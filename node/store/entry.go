package store

import "sync/atomic"

// Kind says what an Entry stands for.
type Kind uint8

const (
	// Live is a value.
	Live Kind = iota
	// Tombstone records a delete, so that an older value that comes late is refused.
	Tombstone
	// Revoked is a tombstone that also beats newer writes until it expires.
	Revoked
)

// entryOverhead is what an entry costs beside its payload: the Entry itself (128 bytes) and its share of the table
// (11 to 21 bytes). TestOverhead measures it.
const entryOverhead = 152

// tagOverhead is what a tag costs beside its text.
const tagOverhead = 16

// Entry is one version of one key. The exported fields must not be changed once it has been given to a Store, and an
// Entry must be given to one Store only, once.
type Entry struct {
	Key   string
	Value []byte // shared with every reader: not to be modified
	// Version orders the writes of a key. It is never 0.
	Version uint64
	// Expires is the end, in nanoseconds on the store's clock. 0: no end. The entry is gone when the clock shows Expires.
	Expires int64
	Tags    []string
	Kind    Kind
	// Near marks a near copy: it was read from its owner and is kept under the owner's lease.
	Near bool
	// Provisional marks an entry that was pulled before its partition was complete: not to be served. Once stored, ask
	// IsProvisional, because Confirm does not change this field.
	Provisional bool

	state atomic.Uint32 // visited, confirmed

	// Guarded by the store's queue lock, except part, which is fixed once stored.
	older, newer *Entry // in its list
	wprev, wnext *Entry // in its slot of the wheel
	part         uint32
	slot         uint16 // of the wheel, plus one; 0: none
	class        class
	picked       bool // taken out of its list as a victim, not yet out of the table
}

// Bits of Entry.state.
const (
	visited   = 1 << iota // read since the hand last passed
	confirmed             // no longer provisional
)

// IsProvisional tells whether the entry was provisional when it was stored and has not been confirmed since.
func (e *Entry) IsProvisional() bool {
	return e.Provisional && e.state.Load()&confirmed == 0
}

// Size is what the entry is accounted with, in bytes: key, value, tags and a fixed overhead.
func (e *Entry) Size() int {
	n := len(e.Key) + len(e.Value) + entryOverhead
	for _, t := range e.Tags {
		n += len(t) + tagOverhead
	}
	return n
}

func (e *Entry) expired(now int64) bool { return e.Expires != 0 && now >= e.Expires }

// class is the list an entry belongs to, and the budget it is accounted in.
type class uint8

const (
	classLive class = iota
	classNear
	classTombstone
	classRevoked
	classes
)

func classOf(e *Entry) class {
	switch {
	case e.Kind == Tombstone:
		return classTombstone
	case e.Kind != Live:
		return classRevoked
	case e.Near:
		return classNear
	}
	return classLive
}

func (c class) grave() bool { return c >= classTombstone }
