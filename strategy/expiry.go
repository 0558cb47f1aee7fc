package strategy

import (
	"container/heap"
	"time"
)

// ends is a heap of the sessions kept, the one that expires next on top.
type ends []*held

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].expires.Before(e[j].expires) }
func (e ends) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].index, e[j].index = i, j
}

// Push is for package heap.
func (e *ends) Push(x any) {
	h := x.(*held)
	h.index = len(*e)
	*e = append(*e, h)
}

// Pop is for package heap.
func (e *ends) Pop() any {
	last := len(*e) - 1
	h := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return h
}

func (e *ends) add(h *held)    { heap.Push(e, h) }
func (e *ends) remove(h *held) { heap.Remove(e, h.index) }

// deadTokens are the tokens that were deleted, until their retention ends. All have the same retention, so the order in which
// they were deleted last is the one in which they end. A token that is deleted again and again takes one place.
type deadTokens struct {
	latest[time.Time] // when the retention ends, by token
	maxBytes          int64
}

func newDeadTokens(maxBytes int64) deadTokens {
	return deadTokens{latest: newLatest[time.Time](), maxBytes: maxBytes}
}

func (d *deadTokens) add(token string, until time.Time) {
	d.put(token, until)
	for d.bytes > d.maxBytes && d.count() > 1 {
		d.pop()
	}
}

func (d *deadTokens) sweep(now time.Time) {
	for first := d.oldest(); first != nil && !first.value.After(now); first = d.oldest() {
		d.pop()
	}
}

func (d *deadTokens) next() (time.Time, bool) {
	first := d.oldest()
	if first == nil {
		return time.Time{}, false
	}
	return first.value, true
}
