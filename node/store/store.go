package store

import (
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes a Store. The zero Config works.
type Config struct {
	// Partitions is the number of partitions. Default 1.
	Partitions int
	// MaxBytes bounds what the store accounts for (Entry.Size), tombstones and remembered cuts included. Default 256 MiB.
	MaxBytes int64
	// MaxTombstoneBytes is the part of MaxBytes set aside for tombstones. Default MaxBytes/8.
	MaxTombstoneBytes int64
	// MaxCuts bounds the number of remembered cuts of tags. Default 65536. They also never take more than an eighth of
	// MaxBytes-MaxTombstoneBytes.
	MaxCuts int
	// Now is the clock, in nanoseconds since any moment. It must be safe for concurrent use. Default: a monotonic clock.
	Now func() int64
}

// Store is a bounded store of versioned entries in memory. Its methods are safe for concurrent use. Partition numbers
// outside [0, Config.Partitions) name partitions that are always empty.
type Store struct {
	parts    []partition
	places   []place // of their tables: all that a reader needs of a partition
	seed     maphash.Seed
	now      func() int64
	maxEntry int
	cuts     cuts
	q        queue
}

type partition struct {
	mu          sync.Mutex // for writers
	index       index
	floor       atomic.Uint64
	ended       atomic.Uint64 // highest version that ended, was evicted, or was void by a cut
	provisional int           // entries not yet confirmed
}

// New returns an empty store.
func New(cfg Config) *Store {
	if cfg.Partitions <= 0 {
		cfg.Partitions = 1
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 256 << 20
	}
	if cfg.MaxTombstoneBytes <= 0 || cfg.MaxTombstoneBytes > cfg.MaxBytes {
		cfg.MaxTombstoneBytes = cfg.MaxBytes / 8
	}
	if cfg.MaxCuts <= 0 {
		cfg.MaxCuts = 65536
	}
	if cfg.Now == nil {
		start := time.Now()
		cfg.Now = func() int64 { return int64(time.Since(start)) }
	}
	s := &Store{parts: make([]partition, cfg.Partitions), places: make([]place, cfg.Partitions), seed: maphash.MakeSeed(), now: cfg.Now}
	for p := range s.parts {
		s.parts[p].index.at = &s.places[p]
	}
	s.q.maxGraves = cfg.MaxTombstoneBytes
	s.q.maxUsed = cfg.MaxBytes - cfg.MaxTombstoneBytes
	s.q.maxNear = s.q.maxUsed / 8
	s.q.sweeping = classes
	s.q.wheel.tick = cfg.Now() >> tickShift
	s.cuts.tags.at = new(place)
	s.cuts.hash = s.hash
	s.cuts.max = cfg.MaxCuts
	s.cuts.maxBytes = s.q.maxUsed / 8
	s.maxEntry = int(s.q.maxUsed - s.cuts.maxBytes)
	return s
}

func (s *Store) hash(key string) uint64 { return maphash.String(s.seed, key) }

func (s *Store) part(p int) *partition {
	if uint(p) >= uint(len(s.parts)) {
		return nil
	}
	return &s.parts[p]
}

// Look is Get for a caller who reads the clock once for all it has to judge: it does not look whether the entry has
// expired. Only what Entry.Expired is false of, at a time read after Look, may be taken for present.
func (s *Store) Look(p int, key string) *Entry {
	if uint(p) >= uint(len(s.places)) {
		return nil
	}
	e := s.places[p].find(maphash.String(s.seed, key), key)
	if e == nil || s.cuts.voids(e) {
		return nil
	}
	if e.state.Load()&visited == 0 {
		e.state.Or(visited)
	}
	return e
}

// Get returns what is stored for the key: a value, a tombstone, a provisional entry; nil if there is nothing, or if it has
// expired or is void by a cut. It takes no lock and allocates nothing.
func (s *Store) Get(p int, key string) *Entry {
	if uint(p) >= uint(len(s.places)) {
		return nil
	}
	e := s.places[p].find(maphash.String(s.seed, key), key)
	if e = s.visible(e); e == nil {
		return nil
	}
	if e.state.Load()&visited == 0 {
		e.state.Or(visited)
	}
	return e
}

// verdict is what a merge comes to.
type verdict uint8

const (
	refuse verdict = iota
	keep           // the same version is there already
	accept
)

// judge decides between what is there, which may be nil, and e.
func (s *Store) judge(cur, e *Entry) verdict {
	same := cur != nil && e.Version == cur.Version
	switch {
	case s.cuts.voids(e):
		return refuse
	case cur == nil:
		return accept
	case cur.Kind == Revoked && e.Kind != Revoked && !cur.Expired(s.now()):
		return refuse
	case e.Kind == Revoked && cur.Kind != Revoked:
		return accept
	case same && (cur.IsProvisional() || cur.Near) && !e.Provisional && !e.Near:
		return accept
	case same:
		return keep
	case e.Version > cur.Version:
		return accept
	}
	return refuse
}

// Put merges e by version. It is stored if nothing is there or what is there is older; at equal versions only to take the
// place of a provisional entry or a near copy by one that is neither. A revocation takes the place of anything but a newer
// revocation, and until it expires gives way to a newer revocation only. A value is refused when a cut covers it, or when it is too large for the store. By what was
// deleted and is forgotten none is judged, for that is not known of a key: see Floor.
//
// old is what Get would have returned before. ok tells that the store now holds this version, or, of a tombstone that
// found no room, that it took effect by raising the Floor.
func (s *Store) Put(p int, e *Entry) (old *Entry, ok bool) {
	pt := s.part(p)
	if pt == nil {
		return nil, false
	}
	h := s.hash(e.Key)
	for {
		pt.mu.Lock()
		cur := pt.index.find(h, e.Key)
		if cur != nil {
			old = s.visible(cur) // once evicted to make room for e, it stays what was there
		}
		v := s.judge(cur, e)
		if v == accept && e.Kind == Live && e.Size() > s.maxEntry {
			v = refuse
		}
		if v != accept {
			pt.mu.Unlock()
			return old, v == keep
		}
		var out victims
		switch s.admit(pt, cur, e, uint32(p), &out) {
		case admitted:
			pt.index.set(h, e, s.hash)
			pt.mu.Unlock()
			return old, true
		case buried: // no room even for this tombstone: the floor stands for it
			raise(&pt.floor, e.Version)
			if cur != nil {
				s.take(pt, h, cur, removed)
			}
			pt.mu.Unlock()
			return old, true
		}
		pt.mu.Unlock()
		s.evict(&out)
	}
}

// visible returns e if Get would.
func (s *Store) visible(e *Entry) *Entry {
	if e == nil || e.Expires != 0 && s.now() >= e.Expires || s.cuts.voids(e) {
		return nil
	}
	return e
}

// admission is what becomes of an entry that was accepted.
type admission uint8

const (
	again    admission = iota // room has to be made first, or something has changed
	admitted                  // it is in the lists and accounted for
	buried                    // a tombstone for which there is no room
)

// admit enters e into the lists and the account, in the place of cur, if there is room; otherwise it picks victims.
// The partition is locked.
func (s *Store) admit(pt *partition, cur, e *Entry, p uint32, out *victims) admission {
	q := &s.q
	q.mu.Lock()
	defer q.mu.Unlock()
	size, grave := int64(e.Size()), e.Kind != Live
	var back int64 // what cur gives back to the same budget
	if cur != nil && classOf(cur).grave() == grave {
		back = int64(cur.Size())
	}
	switch {
	case grave:
		need := q.graves - back + size - q.maxGraves
		if need <= 0 {
			break
		}
		if size <= q.maxGraves {
			q.pickGraves(out, need, e.Kind == Revoked)
			if out.n > 0 || q.picked > 0 {
				return again
			}
		}
		return buried
	case s.cuts.voids(e): // a cut since it was judged: its scan may have begun already
		return again
	default:
		if need := q.used - back + size - q.maxUsed; need > 0 {
			q.pickEntries(out, need)
			return again
		}
	}
	if cur != nil && cur.IsProvisional() {
		pt.provisional--
	}
	if e.Provisional {
		pt.provisional++
	}
	e.state.Store(p << partShift)
	q.link(cur, e)
	return admitted
}

// reserve accounts for bytes beside the entries, and makes room for them.
func (s *Store) reserve(bytes int64) {
	for {
		var out victims
		s.q.mu.Lock()
		need := s.q.used + bytes - s.q.maxUsed
		if need <= 0 {
			s.q.used += bytes
			s.q.mu.Unlock()
			return
		}
		s.q.pickEntries(&out, need)
		s.q.mu.Unlock()
		s.evict(&out)
	}
}

// evict removes what was picked. With nothing to pick others are about to make room.
func (s *Store) evict(out *victims) {
	if out.n == 0 {
		runtime.Gosched()
	}
	for _, e := range out.e[:out.n] {
		s.drop(e, evicted)
	}
}

// reason is why an entry goes.
type reason uint8

const (
	removed reason = iota
	evicted
	ended
	voided // by a cut
)

// drop removes just this entry, if it is still there.
func (s *Store) drop(e *Entry, why reason) bool {
	pt := &s.parts[e.part()]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	h := s.hash(e.Key)
	if pt.index.find(h, e.Key) != e {
		return false
	}
	s.take(pt, h, e, why)
	return true
}

// take removes an entry of a partition that is locked.
func (s *Store) take(pt *partition, h uint64, e *Entry, why reason) {
	if why == evicted && e.Kind != Live {
		raise(&pt.floor, e.Version)
	}
	if why != removed && !e.Near {
		raise(&pt.ended, e.Version)
	}
	if e.IsProvisional() {
		pt.provisional--
	}
	pt.index.remove(h, e.Key, s.hash)
	s.q.mu.Lock()
	s.q.unlink(e)
	if e.Kind == Live && why == evicted {
		s.q.evictions++
	} else if e.Kind == Live && why == ended {
		s.q.expirations++
	}
	s.q.mu.Unlock()
}
