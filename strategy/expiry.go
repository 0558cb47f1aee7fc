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

// deadTokens are the tokens that were deleted, until their retention ends. All have the same retention, so a queue in the
// order they came is in the order they end.
type deadTokens struct {
	until    map[string]time.Time
	queue    []deadToken
	bytes    int64
	maxBytes int64
}

type deadToken struct {
	token string
	until time.Time
}

// deadOverhead is what a dead token takes beside its text: its places in the queue and in the map.
const deadOverhead = 128

func newDeadTokens(maxBytes int64) deadTokens {
	return deadTokens{until: map[string]time.Time{}, maxBytes: maxBytes}
}

func (d *deadTokens) has(token string) bool {
	_, ok := d.until[token]
	return ok
}

func (d *deadTokens) add(token string, until time.Time) {
	d.queue = append(d.queue, deadToken{token, until})
	d.until[token] = until
	d.bytes += int64(len(token)) + deadOverhead
	for d.bytes > d.maxBytes && len(d.queue) > 1 {
		d.pop()
	}
}

func (d *deadTokens) sweep(now time.Time) {
	for len(d.queue) > 0 && !d.queue[0].until.After(now) {
		d.pop()
	}
}

func (d *deadTokens) pop() {
	first := d.queue[0]
	d.queue[0] = deadToken{}
	d.queue = d.queue[1:]
	d.bytes -= int64(len(first.token)) + deadOverhead
	if d.until[first.token].Equal(first.until) { // else it was deleted again later
		delete(d.until, first.token)
	}
}

func (d *deadTokens) next() (time.Time, bool) {
	if len(d.queue) == 0 {
		return time.Time{}, false
	}
	return d.queue[0].until, true
}
