package store

import (
	"container/heap"
	"slices"
	"strings"
)

// List returns what a partition holds for a hand-over, in the order of the keys: values and tombstones that have not
// expired and are not void, provisional ones too, but no near copies. With started, only keys after the given one. It
// stops after the entry with which maxBytes (as accounted) is reached; done tells that nothing remains.
func (s *Store) List(p int, after string, started bool, maxBytes int) (es []*Entry, done bool) {
	h := s.collect(p, func(e *Entry) bool { return !e.Near && (!started || e.Key > after) })
	heap.Init(&h)
	for bytes := 0; len(h) > 0 && (len(es) == 0 || bytes < maxBytes); {
		e := h[0]
		h[0] = h[len(h)-1]
		h = h[:len(h)-1]
		if len(h) > 0 {
			heap.Fix(&h, 0)
		}
		es = append(es, e)
		bytes += e.Size()
	}
	return es, len(h) == 0
}

// Keys returns the keys of the partition's values, sorted: neither near copies nor what is expired or void, but
// provisional ones.
func (s *Store) Keys(p int) []string {
	h := s.collect(p, isValue)
	keys := make([]string, len(h))
	for i, e := range h {
		keys[i] = strings.Clone(e.Key)
	}
	slices.Sort(keys)
	return keys
}

// Revocations returns the partition's revocations, in no order.
func (s *Store) Revocations(p int) []*Entry {
	return s.collect(p, func(e *Entry) bool { return e.Kind == Revoked })
}

// Count is the number of Keys.
func (s *Store) Count(p int) int {
	n := 0
	s.walk(p, func(e *Entry) {
		if isValue(e) {
			n++
		}
	})
	return n
}

func isValue(e *Entry) bool { return e.Kind == Live && !e.Near }

func (s *Store) collect(p int, want func(*Entry) bool) byKey {
	var h byKey
	s.walk(p, func(e *Entry) {
		if want(e) {
			h = append(h, e)
		}
	})
	return h
}

// walk calls f for all entries of a partition that Get would return.
func (s *Store) walk(p int, f func(*Entry)) {
	pt := s.part(p)
	if pt == nil {
		return
	}
	now := s.now()
	pt.mu.Lock()
	defer pt.mu.Unlock()
	pt.index.load().each(func(e *Entry) bool {
		if !e.Expired(now) && !s.cuts.voids(e) {
			f(e)
		}
		return true
	})
}

// byKey is a heap, smallest key first.
type byKey []*Entry

func (h byKey) Len() int           { return len(h) }
func (h byKey) Less(i, j int) bool { return h[i].Key < h[j].Key }
func (h byKey) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push and Pop complete heap.Interface.
func (h *byKey) Push(x any) { *h = append(*h, x.(*Entry)) }

// Pop removes the last element.
func (h *byKey) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
