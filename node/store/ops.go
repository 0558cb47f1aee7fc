package store

// Remove removes what is stored for the key, of whatever kind, if its version is at most upTo, and returns it; else nil.
func (s *Store) Remove(p int, key string, upTo uint64) *Entry {
	return s.removeIf(p, key, func(e *Entry) bool { return e.Version <= upTo })
}

// RemoveNear removes the near copy of the key if its version is at most upTo, and tells whether it did.
func (s *Store) RemoveNear(p int, key string, upTo uint64) bool {
	return s.removeIf(p, key, func(e *Entry) bool { return e.Near && e.Version <= upTo }) != nil
}

func (s *Store) removeIf(p int, key string, may func(*Entry) bool) *Entry {
	pt := s.part(p)
	if pt == nil {
		return nil
	}
	h := s.hash(key)
	pt.mu.Lock()
	defer pt.mu.Unlock()
	e := pt.index.find(h, key)
	if e == nil || !may(e) {
		return nil
	}
	s.take(pt, h, e, removed)
	return e
}

// Reset empties the store: all entries, the floors and the remembered cuts. For a process that starts over among others,
// whose versions say nothing about those it has seen. Nothing else may write meanwhile.
func (s *Store) Reset() {
	for p := range s.parts {
		s.Wipe(p)
		s.parts[p].ended.Store(0)
	}
	c := &s.cuts
	c.mu.Lock()
	defer c.mu.Unlock()
	freed := c.order.bytes
	c.tags.clear()
	c.order = list{}
	c.clear.Store(0)
	c.folded.Store(0)
	c.newest.Store(0)
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	s.q.used -= freed
}

// Wipe removes everything of a partition, and its Floor.
func (s *Store) Wipe(p int) {
	pt := s.part(p)
	if pt == nil {
		return
	}
	pt.mu.Lock()
	defer pt.mu.Unlock()
	pt.floor.Store(0)
	t := pt.index.clear()
	pt.provisional = 0
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	t.each(func(e *Entry) bool {
		s.q.unlink(e)
		return true
	})
}

// WipeNear removes the near copies of a partition.
func (s *Store) WipeNear(p int) {
	pt := s.part(p)
	if pt == nil {
		return
	}
	pt.mu.Lock()
	defer pt.mu.Unlock()
	var near []*Entry
	pt.index.load().each(func(e *Entry) bool {
		if e.Near {
			near = append(near, e)
		}
		return true
	})
	for _, e := range near {
		s.take(pt, s.hash(e.Key), e, removed)
	}
}

// Confirm makes all provisional entries of a partition ordinary ones.
func (s *Store) Confirm(p int) {
	pt := s.part(p)
	if pt == nil {
		return
	}
	pt.mu.Lock()
	defer pt.mu.Unlock()
	pt.index.load().each(func(e *Entry) bool {
		if pt.provisional == 0 {
			return false
		}
		if e.IsProvisional() {
			e.state.Or(confirmed)
			pt.provisional--
		}
		return true
	})
}

// Floor is the highest version of a tombstone of the partition that had to be dropped before its end, because tombstones
// had reached Config.MaxTombstoneBytes; 0 if none had. What was read at or below it may have been deleted since.
func (s *Store) Floor(p int) uint64 {
	pt := s.part(p)
	if pt == nil {
		return 0
	}
	return pt.floor.Load()
}

// Ended is the highest version of a value or tombstone of the partition that has gone by expiry, by eviction or by a cut, near copies
// aside; 0 if none has. What was written at or below it may be gone without a trace.
func (s *Store) Ended(p int) uint64 {
	pt := s.part(p)
	if pt == nil {
		return 0
	}
	return pt.ended.Load()
}

// Version is the version of what is stored for the key, of whatever kind, expired or void included; 0 if there is nothing.
func (s *Store) Version(p int, key string) uint64 {
	pt := s.part(p)
	if pt == nil {
		return 0
	}
	if e := pt.index.find(s.hash(key), key); e != nil {
		return e.Version
	}
	return 0
}

// Stats are gauges of now and counters since New.
type Stats struct {
	Entries    int   // values, without near copies; those that Sweep has yet to free included
	Ending     int   // of these, those with a TTL
	Near       int   // near copies
	Tombstones int   // of both kinds
	Cuts       int   // remembered cuts of tags
	Bytes      int64 // all of these, as accounted
	// TombstoneBytes is the part of Bytes that is tombstones.
	TombstoneBytes int64
	Evictions      uint64 // values and near copies that had to make room
	Expirations    uint64 // values and near copies freed because they had expired
}

// Stats returns the gauges and counters. It is cheap.
func (s *Store) Stats() Stats {
	s.cuts.mu.Lock()
	n := s.cuts.order.n
	s.cuts.mu.Unlock()
	q := &s.q
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{
		Entries: q.count[classLive], Ending: q.ending[classLive], Near: q.count[classNear], Tombstones: q.count[classTombstone] + q.count[classRevoked],
		Cuts: n, Bytes: q.used + q.graves, TombstoneBytes: q.graves, Evictions: q.evictions, Expirations: q.expirations,
	}
}
