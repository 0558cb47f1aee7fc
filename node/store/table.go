package store

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// table maps keys to entries. Any number of readers go on without a lock beside one writer, whom the caller admits.
//
// It is an open-addressing table of groups, each one cache line: seven pointers, and a control word with a byte for each
// of them. A reader loads the control word, compares seven 7-bit fingerprints at once, and follows a pointer only where
// one agrees. An entry never moves within a table, so that a reader cannot miss it; growing builds a new table, and
// whoever still reads the old one sees the moment before.
type table struct {
	first *group // of an array
	mask  uint64 // groups less one; they are a power of two
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

func newTable(groups int) table {
	all := make([]group, groups)
	for i := range all {
		all[i].ctrl.Store(ctrlInit)
	}
	return table{&all[0], uint64(groups) - 1}
}

func (t table) group(i uint64) *group {
	return (*group)(unsafe.Add(unsafe.Pointer(t.first), uintptr(i)*unsafe.Sizeof(group{})))
}

func (t table) groups() int { return int(t.mask) + 1 }

func (t table) capacity() int { return t.groups() * (slotsPerGroup - 1) }

// zeros has the high bit of the lowest zero byte of x set; bits above it may be wrong.
func zeros(x uint64) uint64 { return (x - lows) &^ x & highs }

// find returns the entry with the key, or nil. It may run beside a writer.
func (t table) find(hash uint64, key string) *Entry {
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

// locate is find for the writer: where the entry with the key is. Readers, for whom each load counts, need no more than the entry.
func (t table) locate(hash uint64, key string) (*group, int) {
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

// insert adds an entry whose key is not there, and tells whether it took a slot that was empty. The caller has seen to it that there is room.
func (t table) insert(hash uint64, e *Entry) (wasEmpty bool) {
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
			return b == ctrlEmpty
		}
	}
}

// erase takes the entry out of a slot, and tells whether the slot is empty now. In a group with an empty slot no search goes further,
// and none is left behind.
func (g *group) erase(slot int) (empty bool) {
	word := g.ctrl.Load()
	mark := uint64(ctrlDeleted)
	if empty = zeros(word) != 0; empty {
		mark = ctrlEmpty
	}
	g.ctrl.Store(word&^(0xff<<(8*slot)) | mark<<(8*slot))
	g.slots[slot].Store(nil)
	return empty
}

// each calls f for every entry until it returns false. The caller keeps writers away.
func (t table) each(f func(*Entry) bool) {
	if t.first == nil {
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

// index is a table that grows and shrinks. Writers take turns; readers need nothing, and begin at the place.
type index struct {
	at    *place
	full  int32 // entries
	taken int32 // entries and deleted slots
}

// place is where a table is, and how large, in one word, for a reader that had to load the size first would wait twice, and with
// thousands of partitions each load is a cache miss. Their places lie side by side, for the same reason. It points to a byte of the first
// group: the number of that byte is the binary logarithm of the number of groups. At the seventh it points into a table that says both.
type place struct{ atomic.Pointer[byte] }

// large is the logarithm from which on a place cannot say how many groups there are, and the byte it points to then.
const large = 7

func (x *index) load() table { return x.at.table() }

// table is nothing before the first entry.
func (l *place) table() table {
	at := l.Load()
	if at == nil {
		return table{}
	}
	bits := uintptr(unsafe.Pointer(at)) & 7 // what it points into is aligned to words
	whole := unsafe.Add(unsafe.Pointer(at), -int(bits))
	if bits == large {
		return *(*table)(whole)
	}
	return table{(*group)(whole), 1<<bits - 1}
}

// store makes t the table that readers find.
func (x *index) store(t table) {
	whole, bits := unsafe.Pointer(t.first), bits.TrailingZeros64(t.mask+1)
	if bits >= large {
		whole, bits = unsafe.Pointer(&t), large
	}
	x.at.Store((*byte)(unsafe.Add(whole, bits)))
}

// clear makes it empty and returns what was there.
func (x *index) clear() table {
	t := x.load()
	x.at.Store(nil)
	x.full, x.taken = 0, 0
	return t
}

func (x *index) find(hash uint64, key string) *Entry { return x.at.find(hash, key) }

func (l *place) find(hash uint64, key string) *Entry {
	t := l.table()
	if t.first == nil {
		return nil
	}
	return t.find(hash, key)
}

// set stores e in the place of the entry with its key, if there is one.
func (x *index) set(hash uint64, e *Entry, hashOf func(string) uint64) {
	t := x.load()
	if t.first == nil {
		t = newTable(1)
		t.insert(hash, e)
		x.full, x.taken = 1, 1
		x.store(t)
		return
	}
	if g, slot := t.locate(hash, e.Key); g != nil {
		g.slots[slot].Store(e)
		return
	}
	x.full++
	if int(x.taken) < t.capacity() {
		if t.insert(hash, e) {
			x.taken++
		}
		return
	}
	n := t.groups()
	if int(x.full) > t.capacity()*3/4 {
		n *= 2
	}
	t = t.rebuilt(n, hashOf)
	t.insert(hash, e)
	x.taken = x.full
	x.store(t)
}

// remove takes out the entry with the key.
func (x *index) remove(hash uint64, key string, hashOf func(string) uint64) {
	t := x.load()
	if t.first == nil {
		return
	}
	g, slot := t.locate(hash, key)
	if g == nil {
		return
	}
	x.full--
	if g.erase(slot) {
		x.taken--
	}
	switch {
	case x.full == 0:
		x.clear()
	case t.groups() >= 4 && int(x.full) < t.capacity()/8:
		x.taken = x.full
		x.store(t.rebuilt(t.groups()/4, hashOf))
	}
}

func (t table) rebuilt(groups int, hashOf func(string) uint64) table {
	n := newTable(groups)
	t.each(func(e *Entry) bool {
		n.insert(hashOf(e.Key), e)
		return true
	})
	return n
}
