package store

import (
	"sync"
	"sync/atomic"
)

// CutRecord is a remembered cut: live entries with an Age at or below Version are void if they have the Tag, or, with All, whatever
// they have. An empty Tag without All stands for cuts that have been folded together: it voids what has any tag at all.
type CutRecord struct {
	Tag     string
	All     bool
	Version uint64
}

// cuts remembers the cuts. Readers take no lock. The latest cut of a tag is kept as an Entry with the tag as its key.
type cuts struct {
	clear  atomic.Uint64 // version of the latest cut of everything; 0: none
	folded atomic.Uint64 // everything with a tag is void up to here
	newest atomic.Uint64 // no cut of a tag is newer
	tags   index
	hash   func(string) uint64

	mu       sync.Mutex
	order    list // oldest first
	max      int
	maxBytes int64
}

// voids tells whether a cut covers e.
func (c *cuts) voids(e *Entry) bool {
	if e.Kind != Live {
		return false
	}
	age := e.Age()
	return age <= c.clear.Load() || age <= c.newest.Load() && c.cover(age, e.Tags)
}

// cover tells whether a cut covers a value of this age with these tags.
func (c *cuts) cover(age uint64, tags []string) bool {
	if age <= c.clear.Load() {
		return true
	}
	if len(tags) == 0 || age > c.newest.Load() {
		return false
	}
	if age <= c.folded.Load() {
		return true
	}
	for _, tag := range tags {
		if r := c.tags.find(c.hash(tag), tag); r != nil && age <= r.Version {
			return true
		}
	}
	// A cut that a wider one replaced while we looked is out of the table; by then the wider one is known.
	return age <= c.folded.Load() || age <= c.clear.Load()
}

func raise(a *atomic.Uint64, v uint64) {
	for {
		old := a.Load()
		if v <= old || a.CompareAndSwap(old, v) {
			return
		}
	}
}

func (c *cuts) drop(r *Entry) (bytes int64) {
	c.tags.remove(c.hash(r.Key), r.Key, c.hash)
	c.order.remove(r)
	return int64(r.Size())
}

// trim forgets cuts that a wider one has made superfluous, and folds the oldest when there are too many.
func (c *cuts) trim() (freed int64) {
	for r := c.order.oldest; r != nil; r = c.order.oldest {
		if r.Version > c.clear.Load() && r.Version > c.folded.Load() {
			if c.order.n <= c.max && c.order.bytes <= c.maxBytes {
				return freed
			}
			raise(&c.folded, r.Version)
		}
		freed += c.drop(r)
	}
	return freed
}

// Cut voids every live entry whose Age is at or below version and that has the tag, or, with all, every one. No Get that begins after it
// has returned finds one; Sweep frees the memory. The cut is remembered, so that Put refuses what it covers. Tombstones
// are not touched. A cut that is covered by what is known already costs next to nothing. When Config.MaxCuts is exceeded, the
// oldest cuts of tags become one that voids everything with a tag up to their version: more is lost, nothing void is found. An
// empty tag without all is such a folded cut.
func (s *Store) Cut(tag string, all bool, version uint64) {
	c := &s.cuts
	if c.known(tag, all, version) {
		return
	}
	r := &Entry{Key: tag, Version: version}
	size := int64(r.Size())
	kept := !all && tag != "" && size <= c.maxBytes
	if kept {
		s.reserve(size)
	}
	c.mu.Lock()
	var freed int64
	switch {
	case all:
		raise(&c.clear, version)
	case !kept:
		raise(&c.newest, version)
		raise(&c.folded, version)
	default:
		cur := c.tags.find(c.hash(tag), tag)
		if cur != nil && cur.Version >= version || version <= c.clear.Load() || version <= c.folded.Load() {
			freed = size
			break
		}
		if cur != nil {
			c.order.remove(cur)
			freed = int64(cur.Size())
		}
		c.order.push(r)
		c.tags.set(c.hash(tag), r, c.hash)
		raise(&c.newest, version)
	}
	freed += c.trim()
	c.mu.Unlock()

	q := &s.q
	q.mu.Lock()
	q.used -= freed
	if q.sweeping == classes {
		q.startScan()
	} else {
		q.sweepAgain = true
	}
	q.mu.Unlock()
}

// known tells whether all that a cut voids has been voided before.
func (c *cuts) known(tag string, all bool, version uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if version <= c.clear.Load() || !all && version <= c.folded.Load() {
		return true
	}
	if all || tag == "" {
		return false
	}
	r := c.tags.find(c.hash(tag), tag)
	return r != nil && version <= r.Version
}

// cutOverhead is what Cuts counts a record with beside the text of its tag: what it takes in a message, and to apply.
const cutOverhead = 64

// Size is what Cuts counts the record with, in bytes.
func (r CutRecord) Size() int { return len(r.Tag) + cutOverhead }

// Cuts lists what is remembered, so that another store that is given these cuts in this order refuses what this one does: first the
// latest cut of everything and the folded one, then those of tags, in the order in which they were made. Of the tags only those after the
// record given, if its Tag is not empty: from the first on again, if that record is there no more. It stops after the record of a tag with
// which maxBytes (by CutRecord.Size) is reached. done tells that nothing remains. A record made while a list is taken in several parts
// comes at its end; one that is forgotten meanwhile is covered by the records that precede the tags in the last part.
func (s *Store) Cuts(after CutRecord, maxBytes int) (out []CutRecord, done bool) {
	c := &s.cuts
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.clear.Load(); v != 0 {
		out = append(out, CutRecord{All: true, Version: v})
	}
	if v := c.folded.Load(); v != 0 {
		out = append(out, CutRecord{Version: v})
	}
	next := c.order.oldest
	if after.Tag != "" {
		if r := c.tags.find(c.hash(after.Tag), after.Tag); r != nil && r.Version == after.Version {
			next = r.newer
		}
	}
	for bytes := 0; next != nil && bytes < maxBytes; next = next.newer {
		r := CutRecord{Tag: next.Key, Version: next.Version}
		out = append(out, r)
		bytes += r.Size()
	}
	return out, next == nil
}

// LatestCut is the age up to which values with the tag are void, as far as is known here; 0: none is.
func (s *Store) LatestCut(tag string) uint64 {
	c := &s.cuts
	latest := uint64(0)
	if r := c.tags.find(c.hash(tag), tag); r != nil {
		latest = r.Version
	}
	// One that a wider one has replaced is out of the table; by then the wider one is known.
	return max(latest, c.folded.Load(), c.clear.Load())
}

// CutSince tells whether a value of that age with these tags would be void: one read at the clock version may be older
// than a cut.
func (s *Store) CutSince(tags []string, version uint64) bool {
	return s.cuts.cover(max(version, 1), tags)
}
