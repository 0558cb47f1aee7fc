package store

import (
	"math/bits"
	"sync/atomic"
)

// table maps keys to entries. Any number of readers go on without a lock beside one writer, whom the caller admits.
//
// It is an open-addressing table of groups, each one cache line: seven pointers, and a control word with a byte for each
// of them. A reader loads the control word, compares seven 7-bit fingerprints at once, and follows a pointer only where
// one agrees. An entry never moves within a table, so that a reader cannot miss it; growing builds a new table, and
// whoever still reads the old one sees the moment before.
//
// A table of one group has it beside its head. A reader then need not load the one to learn where the other is; with thousands
// of partitions most tables are that small, and each load is a cache miss.
type table struct {
	mask  uint64  // groups less one; they are a power of two
	more  []group // the groups, unless first is the only one
	full  int     // entries
	taken int     // entries and deleted slots
	_     [16]byte
	first group
}

const slotsPerGroup = 7

type group struct {
	ctrl  atomic.Uint64
	slots [slotsPerGroup]atomic.Pointer[Entry]
}

// Control bytes. Any other is 0x80 with a fingerprint. The eighth byte of a word is always deleted.
const (
	ctrlEmpty   = 0
	ctrlDeleted = 1
	ctrlFull    = 0x80

	lows     = 0x0101010101010101
	highs    = 0x8080808080808080
	ctrlInit = ctrlDeleted << 56
)

func newTable(groups int) *table {
	t := &table{mask: uint64(groups) - 1}
	if groups > 1 {
		t.more = make([]group, groups)
	}
	for i := range uint64(groups) {
		t.group(i).ctrl.Store(ctrlInit)
	}
	return t
}

func (t *table) group(i uint64) *group {
	if t.mask == 0 {
		return &t.first
	}
	return &t.more[i]
}

func (t *table) groups() int { return int(t.mask) + 1 }

// zeros has the high bit of the lowest zero byte of x set; bits above it may be wrong.
func zeros(x uint64) uint64 { return (x - lows) &^ x & highs }

func (t *table) capacity() int { return t.groups() * (slotsPerGroup - 1) }

// find returns the entry with the key, or nil. It may run beside a writer.
func (t *table) find(hash uint64, key string) *Entry {
	mask := t.mask
	fingerprint := (ctrlFull | hash&0x7f) * lows
	i := hash >> 7 & mask
	for range t.groups() {
		g := t.group(i)
		word := g.ctrl.Load()
		for m := zeros(word ^ fingerprint); m != 0; m &= m - 1 {
			slot := bits.TrailingZeros64(m) >> 3
			if slot >= slotsPerGroup {
				break
			}
			if e := g.slots[slot].Load(); e != nil && e.Key == key {
				return e
			}
		}
		if zeros(word) != 0 {
			return nil
		}
		i = (i + 1) & mask
	}
	return nil
}

// locate is find for the writer: where the entry with the key is.
func (t *table) locate(hash uint64, key string) (*group, int) {
	mask := t.mask
	fingerprint := (ctrlFull | hash&0x7f) * lows
	i := hash >> 7 & mask
	for range t.groups() {
		g := t.group(i)
		word := g.ctrl.Load()
		for m := zeros(word ^ fingerprint); m != 0; m &= m - 1 {
			slot := bits.TrailingZeros64(m) >> 3
			if slot >= slotsPerGroup {
				break
			}
			if e := g.slots[slot].Load(); e != nil && e.Key == key {
				return g, slot
			}
		}
		if zeros(word) != 0 {
			return nil, 0
		}
		i = (i + 1) & mask
	}
	return nil, 0
}

// insert adds an entry whose key is not there. The caller has seen to it that there is room.
func (t *table) insert(hash uint64, e *Entry) {
	for i := hash >> 7 & t.mask; ; i = (i + 1) & t.mask {
		g := t.group(i)
		word := g.ctrl.Load()
		for slot := range slotsPerGroup {
			b := byte(word >> (8 * slot))
			if b&ctrlFull != 0 {
				continue
			}
			g.slots[slot].Store(e)
			g.ctrl.Store(word&^(0xff<<(8*slot)) | (ctrlFull|hash&0x7f)<<(8*slot))
			t.full++
			if b == ctrlEmpty {
				t.taken++
			}
			return
		}
	}
}

// erase empties a slot. In a group with an empty slot no search goes further, and none is left behind.
func (t *table) erase(g *group, slot int) {
	word := g.ctrl.Load()
	mark := uint64(ctrlDeleted)
	if zeros(word) != 0 {
		mark = ctrlEmpty
		t.taken--
	}
	g.ctrl.Store(word&^(0xff<<(8*slot)) | mark<<(8*slot))
	g.slots[slot].Store(nil)
	t.full--
}

// each calls f for every entry until it returns false. The caller keeps writers away.
func (t *table) each(f func(*Entry) bool) {
	if t == nil {
		return
	}
	for i := range t.mask + 1 {
		g := t.group(i)
		for slot := range slotsPerGroup {
			if e := g.slots[slot].Load(); e != nil && !f(e) {
				return
			}
		}
	}
}

// index is a table behind a pointer, which grows and shrinks. Writers take turns; readers need nothing.
type index struct{ p atomic.Pointer[table] }

func (x *index) find(hash uint64, key string) *Entry {
	t := x.p.Load()
	if t == nil {
		return nil
	}
	return t.find(hash, key)
}

// set stores e in the place of the entry with its key, if there is one.
func (x *index) set(hash uint64, e *Entry, hashOf func(string) uint64) {
	t := x.p.Load()
	if t != nil {
		if g, slot := t.locate(hash, e.Key); g != nil {
			g.slots[slot].Store(e)
			return
		}
	}
	switch {
	case t == nil:
		t = newTable(1)
		t.insert(hash, e)
		x.p.Store(t)
		return
	case t.taken >= t.capacity():
		n := t.groups()
		if t.full >= t.capacity()*3/4 {
			n *= 2
		}
		t = t.rebuilt(n, hashOf)
		t.insert(hash, e)
		x.p.Store(t)
		return
	}
	t.insert(hash, e)
}

// remove takes out the entry with the key.
func (x *index) remove(hash uint64, key string, hashOf func(string) uint64) {
	t := x.p.Load()
	if t == nil {
		return
	}
	g, slot := t.locate(hash, key)
	if g == nil {
		return
	}
	t.erase(g, slot)
	switch {
	case t.full == 0:
		x.p.Store(nil)
	case t.groups() >= 4 && t.full < t.capacity()/8:
		x.p.Store(t.rebuilt(t.groups()/4, hashOf))
	}
}

func (t *table) rebuilt(groups int, hashOf func(string) uint64) *table {
	n := newTable(groups)
	t.each(func(e *Entry) bool {
		n.insert(hashOf(e.Key), e)
		return true
	})
	return n
}
