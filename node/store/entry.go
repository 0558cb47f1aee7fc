package store

import (
	"sync/atomic"
	"unsafe"
)

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
	// The first part is for writers only, the second is all that Get and the eviction touch. The text of the key follows, if
	// NewEntry made the entry.

	older, newer *Entry  // in its list; under the queue lock
	wnext        *Entry  // in its slot of the wheel; under the queue lock
	wprev        **Entry // what points to it there; nil when it is not on the wheel
	Tags         []string

	// Memo is for readers.
	Memo Memo
	// Value never changes. Bytes and Text convert it without a copy.
	Value string
	// Version orders the writes of a key. It is never 0.
	Version uint64
	// Origin is the age of the value on the clock of the versions, where it is older than Version: a touch, a fill or a save
	// does not make a value younger. 0: as old as Version.
	Origin uint64
	// Expires is the end, in nanoseconds on the store's clock. 0: no end. The entry is gone when the clock shows Expires.
	Expires int64
	Kind    Kind
	// Near marks a near copy: it was read from its owner and is kept under the owner's lease.
	Near bool
	// Provisional marks an entry that was pulled before its partition was complete: not to be served. Once stored, ask
	// IsProvisional, because Confirm does not change this field.
	Provisional bool

	state atomic.Uint32
	// Key is the key. Who keeps it keeps the whole entry in memory: strings.Clone.
	Key string
}

// withText is an Entry and the room for the text of its key.
type withText[A any] struct {
	Entry
	text A
}

// NewEntry returns an Entry with the key and nothing else. The text of the key is copied to where the entry lies, so that
// comparing it is no load from another place in memory: with many entries each such load takes longer than all else that Get does.
func NewEntry(key string) *Entry {
	var e *Entry
	var text []byte
	switch n := len(key); { // sizes that the allocator has
	case n == 0 || n > 128:
		return &Entry{Key: key}
	case n <= 16:
		b := new(withText[[16]byte])
		e, text = &b.Entry, b.text[:]
	case n <= 32:
		b := new(withText[[32]byte])
		e, text = &b.Entry, b.text[:]
	case n <= 48:
		b := new(withText[[48]byte])
		e, text = &b.Entry, b.text[:]
	case n <= 64:
		b := new(withText[[64]byte])
		e, text = &b.Entry, b.text[:]
	case n <= 96:
		b := new(withText[[96]byte])
		e, text = &b.Entry, b.text[:]
	default:
		b := new(withText[[128]byte])
		e, text = &b.Entry, b.text[:]
	}
	e.Key = unsafe.String(&text[0], copy(text, key))
	return e
}

// Again returns an entry that says the same, for a Store to be given. It is no near copy.
func (e *Entry) Again(provisional bool) *Entry {
	n := NewEntry(e.Key)
	n.Value, n.Version, n.Origin, n.Expires, n.Tags, n.Kind = e.Value, e.Version, e.Origin, e.Expires, e.Tags, e.Kind
	n.Provisional = provisional
	return n
}

// Bytes is the Value, shared with every reader: not to be modified.
func (e *Entry) Bytes() []byte { return unsafe.Slice(unsafe.StringData(e.Value), len(e.Value)) }

// Text is b as a Value. It shares the memory of b, which must not be modified any more.
func Text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Memo is a place beside a value where a reader keeps what it has made of it, such as what it decodes to, for the next to find. Whatever is
// there was made of just this version of the entry. Once the entry has left its store, the memo is empty for ever. How much memory all of it
// takes is for the readers to bound. A nil Memo is one where nothing can be kept. The methods are safe for concurrent use.
type Memo struct{ p atomic.Pointer[Note] }

// Note is what a Memo holds. Embed it in the value that Of points to: then a reader needs one memory access, not two.
type Note struct {
	Of any
	// Left, if not nil, gets the note when the entry leaves its store with it. It does not keep the entry in memory then.
	Left *Notes
	next *Note
	in   atomic.Pointer[Memo] // where it is; nil once the entry has left
}

// Remove takes the note out of the memo that it is in, if it is in one.
func (n *Note) Remove() {
	if m := n.in.Load(); m != nil {
		m.p.CompareAndSwap(n, nil)
	}
}

// Notes are notes whose entries have left their store. They are safe for concurrent use, and nobody waits.
type Notes struct{ newest atomic.Pointer[Note] }

// Take returns one of them, which it takes out, or nil. No two may take at the same time.
func (ns *Notes) Take() *Note {
	for {
		n := ns.newest.Load()
		if n == nil || ns.newest.CompareAndSwap(n, n.next) {
			return n
		}
	}
}

func (ns *Notes) add(n *Note) {
	for {
		n.next = ns.newest.Load()
		if ns.newest.CompareAndSwap(n.next, n) {
			return
		}
	}
}

var closed Note // what is in a memo where nothing can be kept any more

func (m *Memo) close() {
	n := m.p.Swap(&closed)
	if n == nil || n == &closed {
		return
	}
	n.in.Store(nil)
	if n.Left != nil {
		n.Left.add(n)
	}
}

// Load returns what is there, or nil.
func (m *Memo) Load() *Note {
	if m == nil {
		return nil
	}
	if n := m.p.Load(); n != &closed {
		return n
	}
	return nil
}

// Put puts a note that has been in no memo in the place of old, which may be nil, and tells whether old was there.
func (m *Memo) Put(old, note *Note) bool {
	if m == nil {
		return false
	}
	note.in.Store(m)
	return m.p.CompareAndSwap(old, note)
}

// Bits of Entry.state; above them is the number of the partition. An Entry is 128 bytes, a size that the allocator has:
// one word more would cost two.
const (
	visited   = 1 << iota // read since the hand last passed
	confirmed             // no longer provisional
	pickedBit             // taken out of its list as a victim, not yet out of the table; changes under the queue lock
	partShift = iota
)

func (e *Entry) part() int    { return int(e.state.Load() >> partShift) }
func (e *Entry) picked() bool { return e.state.Load()&pickedBit != 0 }

// Age is what a cut compares its version with: Origin, or else Version.
func (e *Entry) Age() uint64 {
	if e.Origin != 0 {
		return e.Origin
	}
	return e.Version
}

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

// Expired tells whether the entry has ended at the time now of the store's clock.
func (e *Entry) Expired(now int64) bool { return e.Expires != 0 && now >= e.Expires }

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
