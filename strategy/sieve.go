package strategy

import (
	"sync"
	"sync/atomic"
)

// sieve is a map bounded by count and weight. It evicts by SIEVE (Zhang et al., NSDI 2024): entries stand in the order
// they came in, a hand walks from the oldest to the newest, spares those that were read since it last passed, and takes
// the first that was not. A read only sets a flag, so reads run in parallel, and a flood of entries that are never read
// again, such as the anonymous sessions of bad tokens, does not push out those in use, as it would with LRU.
type sieve[V any] struct {
	maxCount  int
	maxWeight int64
	onEvict   func(key string, v V) // called under the lock; may be nil

	mu     sync.RWMutex
	items  map[string]*item[V]
	newest *item[V]
	oldest *item[V]
	hand   *item[V]
	weight int64
}

type item[V any] struct {
	key          string
	value        V
	weight       int64
	newer, older *item[V]
	visited      atomic.Bool
}

func newSieve[V any](maxCount int, maxWeight int64, onEvict func(string, V)) *sieve[V] {
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
	if !it.visited.Load() {
		it.visited.Store(true)
	}
	return v, true
}

// put stores v and evicts what no longer fits. An entry that weighs more than the whole bound is not kept.
func (s *sieve[V]) put(key string, v V, weight int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(key, v, weight)
}

func (s *sieve[V]) putLocked(key string, v V, weight int64) {
	if it, ok := s.items[key]; ok {
		s.weight += weight - it.weight
		it.value, it.weight = v, weight
		it.visited.Store(true)
	} else {
		it = &item[V]{key: key, value: v, weight: weight, older: s.newest}
		if s.newest != nil {
			s.newest.newer = it
		} else {
			s.oldest = it
		}
		s.newest = it
		s.items[key] = it
		s.weight += weight
	}
	s.shrinkLocked(key)
}

// shrinkLocked evicts until the bounds hold; keep goes last.
func (s *sieve[V]) shrinkLocked(keep string) {
	for len(s.items) > 0 && (len(s.items) > s.maxCount || s.weight > s.maxWeight) {
		s.evict(keep)
	}
}

// evict takes one entry out; keep is the one just put, which goes only if nothing else is left.
func (s *sieve[V]) evict(keep string) {
	if len(s.items) == 1 {
		s.drop(s.oldest)
		return
	}
	it := s.hand
	for {
		if it == nil {
			it = s.oldest
		}
		if it.key != keep {
			if !it.visited.Load() {
				break
			}
			it.visited.Store(false)
		}
		it = it.newer
	}
	s.hand = it.newer
	s.drop(it)
}

func (s *sieve[V]) drop(it *item[V]) {
	s.unlink(it)
	if s.onEvict != nil {
		s.onEvict(it.key, it.value)
	}
}

func (s *sieve[V]) unlink(it *item[V]) {
	if s.hand == it {
		s.hand = it.newer
	}
	if it.newer != nil {
		it.newer.older = it.older
	} else {
		s.newest = it.older
	}
	if it.older != nil {
		it.older.newer = it.newer
	} else {
		s.oldest = it.newer
	}
	delete(s.items, it.key)
	s.weight -= it.weight
}

// remove takes key out, without onEvict.
func (s *sieve[V]) remove(key string) {
	s.mu.Lock()
	s.removeLocked(key)
	s.mu.Unlock()
}

func (s *sieve[V]) removeLocked(key string) (V, bool) {
	it, ok := s.items[key]
	if !ok {
		var none V
		return none, false
	}
	s.unlink(it)
	return it.value, true
}

func (s *sieve[V]) clear() {
	s.mu.Lock()
	s.clearLocked()
	s.mu.Unlock()
}

func (s *sieve[V]) clearLocked() {
	s.items = map[string]*item[V]{}
	s.newest, s.oldest, s.hand, s.weight = nil, nil, nil, 0
}
