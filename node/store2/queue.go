package store

// queue is an intrusive list in order of arrival, oldest first, with SIEVE's hand.
type queue struct {
	first, last, hand *Entry
}

func (q *queue) push(e *Entry) {
	e.prev, e.next = q.last, nil
	if q.last != nil {
		q.last.next = e
	} else {
		q.first = e
	}
	q.last = e
}

func (q *queue) remove(e *Entry) {
	if q.hand == e {
		q.hand = e.next
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	e.prev, e.next = nil, nil
}

// sieve picks the victim: the first entry from the hand on, towards the newest, that has not been read since the hand
// last passed. It stays in the queue.
func (q *queue) sieve() *Entry {
	e := q.hand
	if e == nil {
		e = q.first
	}
	for e != nil && e.visited.Load() {
		e.visited.Store(false)
		if e = e.next; e == nil {
			e = q.first
		}
	}
	q.hand = e
	return e
}
