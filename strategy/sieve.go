package strategy

import (
	"sync"
	"sync/atomic"
)

// sieve is a map bounded by count and weight. It evicts by SIEVE (Zhang et al., NSDI 2024): entries stand in the order
// they came in, a hand walks from the oldest to the newest, spares those that were read since it last passed, and takes
// the first that was not. A read only sets a flag, so reads run in parallel, and a flood of entries that are never read
// again, such as the anonymous sessions of bad tokens, does not push out those in use, as it would with LRU.
type sieve[V keyed] struct {
	maxCount  int
	maxWeight int64
	onEvict   func(v V) // called under the lock

	mu     sync.RWMutex
	items  map[string]*item[V]
	line   line[V]
	weight int64
}

// keyed is what knows the key that it is found by.
type keyed interface{ key() string }

type item[V any] struct {
	value        V // first: whoever has it at hand looks at it before all else
	visited      atomic.Bool
	weight       int64
	newer, older *item[V]
}

// line is the order of a sieve, and its hand.
type line[V any] struct{ newest, oldest, hand *item[V] }

// push puts an item at the end of the newest.
func (l *line[V]) push(it *item[V]) {
	it.older = l.newest
	if l.newest != nil {
		l.newest.newer = it
	} else {
		l.oldest = it
	}
	l.newest = it
}

// remove takes an item out.
func (l *line[V]) remove(it *item[V]) {
	if l.hand == it {
		l.hand = it.newer
	}
	if it.newer != nil {
		it.newer.older = it.older
	} else {
		l.newest = it.older
	}
	if it.older != nil {
		it.older.newer = it.newer
	} else {
		l.oldest = it.newer
	}
	it.newer, it.older = nil, nil
}

// maxSkips bounds how many items in use one eviction passes, so that nobody waits long.
const maxSkips = 256

// victim moves the hand to the item that is to go, which it returns: keep only if there is no other. There must be one.
func (l *line[V]) victim(keep *item[V]) *item[V] {
	if l.oldest == l.newest {
		return l.oldest
	}
	it := l.hand
	for skipped := 0; ; it = it.newer {
		if it == nil {
			it = l.oldest
		}
		if it == keep {
			continue
		}
		if !it.used() || skipped == maxSkips {
			break
		}
		skipped++
	}
	l.hand = it
	return it
}

// used tells whether an item was read since it was last asked.
func (it *item[V]) used() bool { return it.visited.Load() && it.visited.Swap(false) }

// visit marks an item as in use.
func (it *item[V]) visit() {
	if !it.visited.Load() {
		it.visited.Store(true)
	}
}

func newSieve[V keyed](maxCount int, maxWeight int64, onEvict func(V)) *sieve[V] {
	return &sieve[V]{maxCount: maxCount, maxWeight: maxWeight, onEvict: onEvict, items: map[string]*item[V]{}}
}

// get returns the value of key and marks it as in use.
func (s *sieve[V]) get(key string) (V, bool) {
	s.mu.RLock()
	it, ok := s.items[key]
	if !ok {
		s.mu.RUnlock()
		var none V
		return none, false
	}
	v := it.value
	s.mu.RUnlock()
	it.visit()
	return v, true
}

// putLocked stores v and evicts what no longer fits. An entry that weighs more than the whole bound is not kept.
func (s *sieve[V]) putLocked(v V, weight int64) {
	it, ok := s.items[v.key()]
	if ok {
		s.weight += weight - it.weight
		it.value, it.weight = v, weight
		it.visited.Store(true)
	} else {
		it = &item[V]{value: v, weight: weight}
		s.line.push(it)
		s.items[v.key()] = it
		s.weight += weight
	}
	s.shrinkLocked(it)
}

// shrinkLocked evicts until the bounds hold; keep, which may be nil, goes last.
func (s *sieve[V]) shrinkLocked(keep *item[V]) {
	for len(s.items) > 0 && (len(s.items) > s.maxCount || s.weight > s.maxWeight) {
		s.drop(s.line.victim(keep))
	}
}

func (s *sieve[V]) drop(it *item[V]) {
	s.unlink(it)
	s.onEvict(it.value)
}

func (s *sieve[V]) unlink(it *item[V]) {
	s.line.remove(it)
	delete(s.items, it.value.key())
	s.weight -= it.weight
}

// removeLocked takes key out, without onEvict.
func (s *sieve[V]) removeLocked(key string) (V, bool) {
	it, ok := s.items[key]
	if !ok {
		var none V
		return none, false
	}
	s.unlink(it)
	return it.value, true
}

func (s *sieve[V]) clearLocked() {
	s.items = map[string]*item[V]{}
	s.line, s.weight = line[V]{}, 0
}
