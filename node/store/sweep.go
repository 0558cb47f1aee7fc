package store

// A sweep holds a lock for so many entries at a time.
const (
	sweepLot  = 64
	sweepScan = 256
)

// Sweep does a slice of the background work and returns how many entries it freed: those that have expired, tombstones at
// their end included, and those that cuts have voided. It looks at about budget entries; call it 10 to 100 times a second
// with a budget that keeps up with the writes. Expired entries are freed by the first call that is 17 ms or more after their end, as far
// as the budgets allow.
func (s *Store) Sweep(budget int) (freed int) {
	var buf [sweepLot]*Entry
	now := s.now()
	for budget > 0 {
		s.q.mu.Lock()
		out := s.q.wheel.due(now, &budget, buf[:0])
		s.q.mu.Unlock()
		if len(out) == 0 {
			break
		}
		freed += s.dropAll(out, ended)
	}
	for budget > 0 {
		s.q.mu.Lock()
		out, more := s.q.scan(&s.cuts, &budget, buf[:0])
		s.q.mu.Unlock()
		freed += s.dropAll(out, voided)
		if !more {
			break
		}
	}
	return freed
}

func (s *Store) dropAll(es []*Entry, why reason) (n int) {
	for _, e := range es {
		if s.drop(e, why) {
			n++
		}
	}
	return n
}

// startScan begins a pass over values and near copies, from old to new.
func (q *queue) startScan() {
	q.sweeping, q.sweepAgain = classLive, false
	q.lists[classLive].scan = q.lists[classLive].oldest
	q.lists[classNear].scan = q.lists[classNear].oldest
}

// scan goes on with the pass and appends what it finds void to out. more tells that the pass has not ended. It follows the
// lists and not the tables, whose order differs from run to run.
func (q *queue) scan(c *cuts, work *int, out []*Entry) (_ []*Entry, more bool) {
	for range sweepScan {
		if q.sweeping == classes {
			return out, false
		}
		if *work <= 0 || len(out) == cap(out) {
			break
		}
		l := &q.lists[q.sweeping]
		e := l.scan
		switch {
		case e != nil:
			*work--
			l.scan = e.newer
			if c.voids(e) {
				out = append(out, e)
			}
		case q.sweeping == classLive:
			q.sweeping = classNear
		case q.sweepAgain:
			q.startScan()
		default:
			q.sweeping = classes
		}
	}
	return out, true
}
