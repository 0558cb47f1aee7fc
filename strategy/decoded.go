package strategy

import (
	"sync"
	"unsafe"

	"github.com/huddle-cache/huddle/node"
)

// decoded bounds the sessions that a PeerToPeer keeps decoded, so that a hit needs no parsing. Each is kept in the memo of the entry that it
// was decoded from, where whoever has found that entry finds it without searching again; it is of just that version, so it is no older than the
// node's answer. Which of them go when there are too many is decided by SIEVE, as in a sieve.
type decoded struct {
	maxCount int
	maxBytes int64
	shared   bool // readers share the users of sessions

	mu    sync.Mutex
	line  line[decodedSession]
	count int
	bytes int64

	left node.Notes // those in the line whose entries have been replaced or have gone
}

// decodedSession is what a memo holds. Its Note.Of is the item whose value it is, and its Note.Left is that of the decoded that bounds it.
type decodedSession struct {
	node.Note
	packed
	places  uint16         // how many lie behind the item, for the channels
	prefix  uint16         // the length of the key's part that is not the token
	gone    bool           // from the line; under the lock
	ends    bool           // the session does, perhaps before its entry
	general *CachedSession // the session, if it is not packed
}

// decodedItem is one of them with its place in the line.
type decodedItem = item[decodedSession]

// withPlaces is an item and the places behind it, in one allocation: a reader waits for memory once, and not for each.
type withPlaces[P any] struct {
	item decodedItem
	_    P
}

// mostPlaces is how many places there can be behind an item.
const mostPlaces = 216

// newDecodedItem returns an item with so many places behind it, mostPlaces at most, and its size.
func newDecodedItem(places int) (it *decodedItem, size int64) {
	switch { // sizes that the allocator has
	case places == 0:
		return new(decodedItem), int64(unsafe.Sizeof(*it))
	case places <= 6:
		return newWithPlaces[[6]place]()
	case places <= 10:
		return newWithPlaces[[10]place]()
	case places <= 18:
		return newWithPlaces[[18]place]()
	case places <= 42:
		return newWithPlaces[[42]place]()
	case places <= 90:
		return newWithPlaces[[90]place]()
	}
	return newWithPlaces[[mostPlaces]place]()
}

func newWithPlaces[P any]() (*decodedItem, int64) {
	r := new(withPlaces[P])
	return &r.item, int64(unsafe.Sizeof(*r))
}

// behind returns the places behind an item.
func behind(it *decodedItem) []place {
	if it.value.places == 0 {
		return nil
	}
	return unsafe.Slice((*place)(unsafe.Add(unsafe.Pointer(it), unsafe.Sizeof(*it))), it.value.places)
}

// withSession is an item and its session, in one allocation.
type withSession struct {
	item    decodedItem
	session CachedSession
}

// newDecoded returns an item with a session that was read from value. within: all of its texts lie there. shared: what its readers get
// shares the user with it, which is kept as it is then, rather than packed.
func newDecoded(s *CachedSession, value string, within, shared bool) *decodedItem {
	if places := s.places(); within && !shared && places <= mostPlaces {
		it, size := newDecodedItem(places)
		it.value.places = uint16(places)
		if it.weight = size; it.value.pack(s, value, behind(it)) {
			return it
		}
	}
	r := &withSession{session: s.Clone()}
	it := &r.item
	it.value.general = &r.session
	if it.weight = int64(s.structs()); !within {
		it.weight = int64(s.weight())
	}
	it.weight += int64(len(value)) // which texts that lie there keep in memory
	return it
}

// copyOf makes to a copy of the session of an item that was read from value. It shares nothing with the item that can be changed, but for
// the user of one that is not packed if it may be shared.
func copyOf(it *decodedItem, value string, to *CachedSession, shared bool) {
	if it.value.general != nil {
		if *to = *it.value.general; !shared {
			to.User = to.User.clone()
		}
		return
	}
	it.value.unpack(to, value, behind(it))
}

// decodedIn returns the session that a memo holds for caches whose keys have a prefix of that length, or nil.
func decodedIn(memo *node.Memo, prefix int) *decodedItem {
	if note := memo.Load(); note != nil {
		if it, ok := note.Of.(*decodedItem); ok && int(it.value.prefix) == prefix {
			return it
		}
	}
	return nil
}

// keep puts a session that was decoded from the value of an entry into the memo of the entry. within: all of its texts lie in the value. ends: the
// session does, perhaps before the entry.
func (d *decoded) keep(memo *node.Memo, prefix int, s *CachedSession, value string, within, ends bool) {
	if memo == nil || d.maxCount == 0 || d.maxBytes == 0 {
		return
	}
	it := newDecoded(s, value, within, d.shared)
	if it.weight > d.maxBytes {
		return
	}
	it.value.prefix, it.value.ends = uint16(prefix), ends // of a key
	it.value.Of, it.value.Left = it, &d.left
	d.mu.Lock()
	defer d.mu.Unlock()
	if decodedIn(memo, prefix) != nil || !memo.Put(memo.Load(), &it.value.Note) {
		return // somebody else has just decoded it
	}
	d.line.push(it)
	d.count++
	d.bytes += it.weight
	for note := d.left.Take(); note != nil; note = d.left.Take() {
		d.drop(note.Of.(*decodedItem))
	}
	for d.count > d.maxCount || d.bytes > d.maxBytes {
		d.drop(d.line.victim(it))
	}
}

// forget gives up what the memo holds.
func (d *decoded) forget(memo *node.Memo, prefix int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if it := decodedIn(memo, prefix); it != nil && it.value.Left == &d.left {
		d.drop(it)
	}
}

// forgetAll gives up everything.
func (d *decoded) forgetAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.line.oldest != nil {
		d.drop(d.line.oldest)
	}
}

func (d *decoded) drop(it *decodedItem) {
	if it.value.gone {
		return
	}
	it.value.gone = true
	it.value.Remove()
	d.line.remove(it)
	d.count--
	d.bytes -= it.weight
}
