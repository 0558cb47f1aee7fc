package store

import "sync"

// list is an intrusive list from the oldest entry to the newest, with two positions that survive changes: the hand of the
// eviction, and the scan for entries that cuts have voided.
type list struct {
	oldest, newest *Entry
	hand, scan     *Entry
	n              int
	bytes          int64
}

func (l *list) push(e *Entry) {
	e.older, e.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = e
	} else {
		l.oldest = e
	}
	l.newest = e
	l.n++
	l.bytes += int64(e.Size())
}

func (l *list) remove(e *Entry) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		l.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		l.newest = e.older
	}
	if l.hand == e {
		l.hand = e.newer
	}
	if l.scan == e {
		l.scan = e.newer
	}
	e.older, e.newer = nil, nil
	l.n--
	l.bytes -= int64(e.Size())
}

// replace puts e where old is.
func (l *list) replace(old, e *Entry) {
	e.older, e.newer = old.older, old.newer
	if e.older != nil {
		e.older.newer = e
	} else {
		l.oldest = e
	}
	if e.newer != nil {
		e.newer.older = e
	} else {
		l.newest = e
	}
	if l.hand == old {
		l.hand = e
	}
	if l.scan == old {
		l.scan = e
	}
	old.older, old.newer = nil, nil
	l.bytes += int64(e.Size()) - int64(old.Size())
}

// maxSkips bounds how many visited entries one eviction passes, so that the lock is not held for long.
const maxSkips = 1024

// sieve takes the next victim off the list: the hand goes from old to new, spares what was read since it last came by,
// and takes the first that was not.
func (l *list) sieve() *Entry {
	if l.oldest == nil {
		return nil
	}
	e := l.hand
	if e == nil {
		e = l.oldest
	}
	for range maxSkips {
		if e.state.Load()&visited == 0 {
			break
		}
		e.state.And(^uint32(visited))
		if e = e.newer; e == nil {
			e = l.oldest
		}
	}
	l.hand = e
	l.remove(e)
	return e
}

// queue holds what spans the partitions: the order of eviction, the wheel of expiry, the account of bytes.
// Its lock is taken after a partition's, never before.
type queue struct {
	mu     sync.Mutex
	lists  [classes]list
	count  [classes]int // entries in the tables, by class
	ending [classes]int // those of them with a TTL
	wheel  wheel

	used       int64 // bytes of entries, near copies and remembered cuts
	graves     int64 // bytes of tombstones
	maxUsed    int64
	maxGraves  int64
	maxNear    int64 // near copies are evicted first while they take more than this
	picked     int   // victims on their way out
	sweeping   class // the list that is scanned for voided entries; classes: none
	sweepAgain bool  // a cut came while the scan was under way

	evictions, expirations uint64
}

// link enters e into the account, the lists and the wheel, in the place of old, which may be nil.
func (q *queue) link(old, e *Entry) {
	class := classOf(e)
	if old != nil && !old.picked() && classOf(old) == class && !class.grave() {
		e.state.Or(visited) // a write is a use
		q.lists[class].replace(old, e)
		q.uncount(old)
	} else {
		if old != nil {
			q.unlink(old)
		}
		q.lists[class].push(e)
	}
	q.count[class]++
	if class.grave() {
		q.graves += int64(e.Size())
	} else {
		q.used += int64(e.Size())
	}
	if e.Expires != 0 {
		q.wheel.add(e)
		q.ending[class]++
	}
}

// unlink takes e out of everything.
func (q *queue) unlink(e *Entry) {
	if !e.picked() {
		q.lists[classOf(e)].remove(e)
	}
	q.uncount(e)
}

func (q *queue) uncount(e *Entry) {
	e.Memo.close()
	if e.picked() {
		e.state.And(^uint32(pickedBit))
		q.picked--
	}
	q.wheel.remove(e)
	class := classOf(e)
	q.count[class]--
	if e.Expires != 0 {
		q.ending[class]--
	}
	if class.grave() {
		q.graves -= int64(e.Size())
	} else {
		q.used -= int64(e.Size())
	}
}

// victims are taken out of their lists in small lots.
type victims struct {
	e [8]*Entry
	n int
}

func (q *queue) pick(v *victims, e *Entry) {
	e.state.Or(pickedBit)
	q.picked++
	v.e[v.n] = e
	v.n++
}

// pickEntries picks entries of need bytes together, or as many as a lot holds.
func (q *queue) pickEntries(v *victims, need int64) {
	for need > 0 && v.n < len(v.e) {
		live, near := &q.lists[classLive], &q.lists[classNear]
		l := live
		if near.n > 0 && (near.bytes > q.maxNear || live.n == 0) {
			l = near
		}
		e := l.sieve()
		if e == nil {
			return
		}
		need -= int64(e.Size())
		q.pick(v, e)
	}
}

// pickGraves picks the oldest tombstones of need bytes together, plain ones first, revocations only if they may go.
func (q *queue) pickGraves(v *victims, need int64, revoked bool) {
	for need > 0 && v.n < len(v.e) {
		l := &q.lists[classTombstone]
		if l.n == 0 && revoked {
			l = &q.lists[classRevoked]
		}
		e := l.oldest
		if e == nil {
			return
		}
		l.remove(e)
		need -= int64(e.Size())
		q.pick(v, e)
	}
}
