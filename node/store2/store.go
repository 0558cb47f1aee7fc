// Package store is the node's memory: versioned entries by partition, bounded in bytes, merged by version.
//
// Why not a general cache library: a node must list and drop whole partitions (hand-off), merge by version in one step,
// keep tombstones under a budget of their own, tell near copies from copies, and share immutable entries with readers
// that hold no lock. Eviction is SIEVE (Zhang et al., NSDI 2024, section 3): a queue in order of arrival, one bit an
// entry that a hit sets, and a hand that passes from the oldest to the newest and evicts the first entry without the bit.
// A hit writes nothing but that bit, so readers do not get into each other's way.
package store

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind tells a live entry from the two kinds of tombstones.
type Kind uint8

// Kinds of entries.
const (
	Live      Kind = iota
	Tombstone      // deleted
	Revoked        // deleted for good: beats newer writes too, until it ends
)

// Entry is immutable once it is stored.
type Entry struct {
	Key     string
	Value   []byte
	Version uint64
	Origin  uint64 // clock at the age of the value, where that is older than the version (a touch, a fill); 0: the version
	Expires int64  // ns on the store's clock; 0: no end. Tombstones always have one.
	Tags    []string
	Kind    Kind
	Near    bool // a near copy: read from the owner, kept under its lease
	// Provisional marks an entry pulled before its partition was complete: not to be served. Set it before Put only;
	// ask IsProvisional afterwards.
	Provisional bool

	confirmed  atomic.Bool
	visited    atomic.Bool
	size       int64
	prev, next *Entry // eviction queue, older and newer
}

// overhead is what an entry takes beside its key, value and tags: the struct, its map slot and its allocations.
const overhead = 224

// Size is what the entry is accounted with, in bytes.
func (e *Entry) Size() int {
	n := overhead + len(e.Key) + len(e.Value)
	for _, t := range e.Tags {
		n += 16 + len(t)
	}
	return n
}

// Age is the clock that a cut compares with: a touch or a fill does not make a value younger.
func (e *Entry) Age() uint64 {
	if e.Origin != 0 {
		return e.Origin
	}
	return e.Version
}

// IsProvisional tells whether the entry is still not to be served.
func (e *Entry) IsProvisional() bool { return e.Provisional && !e.confirmed.Load() }

// Config holds a store's parameters.
type Config struct {
	Partitions        int
	MaxBytes          int64        // of everything; default 256 MiB
	MaxTombstoneBytes int64        // of tombstones, within MaxBytes; default an eighth of it
	MaxCuts           int          // tag cuts remembered; default 65536
	Now               func() int64 // ns; callable from any goroutine
}

// Stats are gauges and counters of a store.
type Stats struct {
	Entries, Near, Tombstones int
	Bytes                     int64
	Evictions, Expirations    uint64
}

type partition struct {
	mu      sync.RWMutex
	entries map[string]*Entry
	queue   queue // live and near entries
	graves  queue // tombstones, oldest first
	floor   uint64
}

// Store is safe for concurrent use.
type Store struct {
	cfg    Config
	parts  []partition
	cuts   atomic.Pointer[cuts]
	cutsMu sync.Mutex

	bytes, graveBytes      atomic.Int64
	entries, near, graves  atomic.Int64
	evictions, expirations atomic.Uint64
	sweepMu                sync.Mutex
	sweepAt                int
	victimAt               atomic.Uint32
}

// New makes a store.
func New(cfg Config) *Store {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 256 << 20
	}
	if cfg.MaxTombstoneBytes == 0 {
		cfg.MaxTombstoneBytes = cfg.MaxBytes / 8
	}
	if cfg.MaxCuts == 0 {
		cfg.MaxCuts = 1 << 16
	}
	s := &Store{cfg: cfg, parts: make([]partition, cfg.Partitions)}
	s.cuts.Store(&cuts{})
	return s
}

// Get returns what is stored of a key, a tombstone too, or nil. It allocates nothing.
func (s *Store) Get(p int, key string) *Entry {
	pt := &s.parts[p]
	pt.mu.RLock()
	e := pt.entries[key]
	pt.mu.RUnlock()
	if e == nil || e.Expires != 0 && s.cfg.Now() >= e.Expires || s.cuts.Load().void(e) {
		return nil
	}
	if !e.visited.Load() {
		e.visited.Store(true)
	}
	return e
}

// Put merges an entry by version. It is stored if nothing is there or what is there is older; of the same version, a
// confirmed one replaces a provisional or near one. A revocation that has not ended beats everything but another one.
// A live entry is refused when a cut or the partition's floor covers it, or when it is larger than the store.
// old is what was there.
func (s *Store) Put(p int, e *Entry) (old *Entry, ok bool) {
	e.size = int64(e.Size())
	pt := &s.parts[p]
	if e.Kind == Live && (e.size > s.cfg.MaxBytes-s.cfg.MaxTombstoneBytes || s.cuts.Load().void(e)) {
		return s.Get(p, e.Key), false
	}
	now := s.cfg.Now()
	pt.mu.Lock()
	cur := pt.entries[e.Key]
	if cur != nil && (cur.Expires != 0 && now >= cur.Expires || s.cuts.Load().void(cur)) {
		s.unlink(pt, cur)
		cur = nil
	}
	if e.Kind == Live && e.Version <= pt.floor || cur != nil && !beats(e, cur) {
		same := cur != nil && cur.Version == e.Version
		pt.mu.Unlock()
		return cur, same
	}
	if cur != nil {
		s.unlink(pt, cur)
	}
	s.link(pt, e)
	pt.mu.Unlock()
	s.shrink(p, e)
	return cur, true
}

func beats(e, cur *Entry) bool {
	switch {
	case cur.Kind == Revoked && e.Kind != Revoked:
		return false
	case cur.Kind != Revoked && e.Kind == Revoked:
		return true
	case e.Version == cur.Version:
		return (cur.IsProvisional() || cur.Near) && !e.Provisional && !e.Near
	}
	return e.Version > cur.Version
}

func (s *Store) link(pt *partition, e *Entry) {
	if pt.entries == nil {
		pt.entries = map[string]*Entry{}
	}
	pt.entries[e.Key] = e
	s.bytes.Add(e.size)
	switch {
	case e.Kind != Live:
		pt.graves.push(e)
		s.graveBytes.Add(e.size)
		s.graves.Add(1)
		return
	case e.Near:
		s.near.Add(1)
	default:
		s.entries.Add(1)
	}
	pt.queue.push(e)
}

func (s *Store) unlink(pt *partition, e *Entry) {
	delete(pt.entries, e.Key)
	s.bytes.Add(-e.size)
	switch {
	case e.Kind != Live:
		pt.graves.remove(e)
		s.graveBytes.Add(-e.size)
		s.graves.Add(-1)
		return
	case e.Near:
		s.near.Add(-1)
	default:
		s.entries.Add(-1)
	}
	pt.queue.remove(e)
}

// shrink keeps the bounds: victims come from the partition just written to, then from the others in turn.
func (s *Store) shrink(p int, kept *Entry) {
	for n := 0; s.graveBytes.Load() > s.cfg.MaxTombstoneBytes && n <= len(s.parts); {
		pt := &s.parts[p]
		pt.mu.Lock()
		g := pt.graves.first
		if g != nil {
			// Forgetting a tombstone before its time must not let an older write back in.
			pt.floor = max(pt.floor, g.Version)
			s.unlink(pt, g)
			n = 0
		}
		pt.mu.Unlock()
		if g == nil {
			p = (p + 1) % len(s.parts)
			n++
		}
	}
	for n := 0; s.bytes.Load() > s.cfg.MaxBytes && n <= len(s.parts); {
		pt := &s.parts[p]
		pt.mu.Lock()
		v := pt.queue.sieve()
		if v == kept && pt.queue.first == pt.queue.last {
			v = nil
		}
		if v != nil {
			s.unlink(pt, v)
			s.evictions.Add(1)
			n = 0
		}
		pt.mu.Unlock()
		if v == nil {
			p = int(s.victimAt.Add(1)) % len(s.parts)
			n++
		}
	}
}

// Remove removes an entry if its version is at most upTo, and returns it.
func (s *Store) Remove(p int, key string, upTo uint64) *Entry {
	pt := &s.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	e := pt.entries[key]
	if e == nil || e.Version > upTo {
		return nil
	}
	s.unlink(pt, e)
	return e
}

// RemoveNear is Remove for near copies only.
func (s *Store) RemoveNear(p int, key string, upTo uint64) bool {
	pt := &s.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	e := pt.entries[key]
	if e == nil || !e.Near || e.Version > upTo {
		return false
	}
	s.unlink(pt, e)
	return true
}

// Wipe removes all entries of a partition, and its floor.
func (s *Store) Wipe(p int) { s.wipe(p, false) }

// WipeNear removes the near copies of a partition.
func (s *Store) WipeNear(p int) { s.wipe(p, true) }

func (s *Store) wipe(p int, near bool) {
	pt := &s.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	for _, e := range pt.entries {
		if !near || e.Near {
			s.unlink(pt, e)
		}
	}
	if !near {
		pt.floor, pt.entries = 0, nil
	}
}

// Confirm makes the provisional entries of a partition servable.
func (s *Store) Confirm(p int) {
	pt := &s.parts[p]
	pt.mu.RLock()
	defer pt.mu.RUnlock()
	for _, e := range pt.entries {
		if e.Provisional {
			e.confirmed.Store(true)
		}
	}
}

// List returns entries of a partition in key order, tombstones too, near copies not; those after a key if started.
// It stops when maxBytes are reached, after one entry at least; done tells that there are no more.
func (s *Store) List(p int, after string, started bool, maxBytes int) (es []*Entry, done bool) {
	pt := &s.parts[p]
	now, cs := s.cfg.Now(), s.cuts.Load()
	pt.mu.RLock()
	for _, e := range pt.entries {
		if !e.Near && (!started || e.Key > after) && (e.Expires == 0 || now < e.Expires) && !cs.void(e) {
			es = append(es, e)
		}
	}
	pt.mu.RUnlock()
	slices.SortFunc(es, func(a, b *Entry) int { return strings.Compare(a.Key, b.Key) })
	n := 0
	for i, e := range es {
		if n += int(e.size); n > maxBytes && i > 0 {
			return es[:i], false
		}
	}
	return es, true
}

// Keys returns the keys of a partition's live entries, near copies left out, in no order.
func (s *Store) Keys(p int) []string {
	var keys []string
	s.each(p, func(e *Entry) { keys = append(keys, e.Key) })
	slices.Sort(keys)
	return keys
}

// Count is the number of Keys.
func (s *Store) Count(p int) (n int) {
	s.each(p, func(*Entry) { n++ })
	return n
}

func (s *Store) each(p int, f func(*Entry)) {
	pt := &s.parts[p]
	now, cs := s.cfg.Now(), s.cuts.Load()
	pt.mu.RLock()
	defer pt.mu.RUnlock()
	for _, e := range pt.entries {
		if e.Kind == Live && !e.Near && (e.Expires == 0 || now < e.Expires) && !cs.void(e) {
			f(e)
		}
	}
}

// Sweep frees what has expired or been cut, without its being read: it looks at whole partitions in turn, until it has
// looked at budget entries or at every partition once. It returns how many entries it freed.
func (s *Store) Sweep(budget int) (freed int) {
	s.sweepMu.Lock()
	defer s.sweepMu.Unlock()
	now, cs := s.cfg.Now(), s.cuts.Load()
	for n := 0; budget > 0 && n < len(s.parts); n++ {
		s.sweepAt = (s.sweepAt + 1) % len(s.parts)
		pt := &s.parts[s.sweepAt]
		pt.mu.Lock()
		budget -= len(pt.entries) + 1
		for _, e := range pt.entries {
			switch {
			case e.Expires != 0 && now >= e.Expires:
				s.unlink(pt, e)
				s.expirations.Add(1)
				freed++
			case cs.void(e):
				s.unlink(pt, e)
				freed++
			}
		}
		pt.mu.Unlock()
	}
	return freed
}

// Floor is the highest version of a tombstone of the partition that was given up before its end for lack of room.
func (s *Store) Floor(p int) uint64 {
	pt := &s.parts[p]
	pt.mu.RLock()
	defer pt.mu.RUnlock()
	return pt.floor
}

// Stats returns the present gauges and counters.
func (s *Store) Stats() Stats {
	return Stats{
		Entries: int(s.entries.Load()), Near: int(s.near.Load()), Tombstones: int(s.graves.Load()), Bytes: s.bytes.Load(),
		Evictions: s.evictions.Load(), Expirations: s.expirations.Load(),
	}
}
