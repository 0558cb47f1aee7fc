package store

import "slices"

// CutRecord voids the live entries with a tag, or all of them, up to a version.
type CutRecord struct {
	Tag     string
	All     bool
	Version uint64
}

// cuts are all cuts remembered, in an immutable snapshot.
type cuts struct {
	all    uint64            // every entry up to this version
	tagged uint64            // every entry with a tag up to this version: what has been folded together
	tags   map[string]uint64 // the entries with the tag up to this version
}

// void tells whether a cut covers the entry.
func (c *cuts) void(e *Entry) bool {
	if e.Kind != Live {
		return false
	}
	if e.Age() <= c.all {
		return true
	}
	if len(e.Tags) == 0 {
		return false
	}
	if e.Age() <= c.tagged {
		return true
	}
	if len(c.tags) > 0 {
		for _, t := range e.Tags {
			if e.Age() <= c.tags[t] {
				return true
			}
		}
	}
	return false
}

// Cut voids every live entry with the tag, or all of them, whose version is at most version: at once for every Get that
// begins later. Their memory is freed by Sweep. The cut is remembered, so that a later merge of older data is refused.
func (s *Store) Cut(tag string, all bool, version uint64) {
	s.cutsMu.Lock()
	defer s.cutsMu.Unlock()
	old := s.cuts.Load()
	c := &cuts{all: old.all, tagged: old.tagged, tags: old.tags}
	if all {
		c.all = max(c.all, version)
	} else {
		if old.tags[tag] >= version {
			return
		}
		c.tags = make(map[string]uint64, len(old.tags)+1)
		for t, v := range old.tags {
			if v > c.all {
				c.tags[t] = v
			}
		}
		c.tags[tag] = version
		if len(c.tags) > s.cfg.MaxCuts {
			c.fold()
		}
	}
	s.cuts.Store(c)
}

// fold gives up the older half of the tag cuts by cutting all tagged entries up to the highest version among them: a few
// live sessions are lost, no dead one comes back.
func (c *cuts) fold() {
	versions := make([]uint64, 0, len(c.tags))
	for _, v := range c.tags {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	c.tagged = max(c.tagged, versions[len(versions)/2])
	for t, v := range c.tags {
		if v <= c.tagged {
			delete(c.tags, t)
		}
	}
}

// Cuts returns all cuts remembered, in order.
func (s *Store) Cuts() []CutRecord {
	c := s.cuts.Load()
	var out []CutRecord
	if c.all != 0 {
		out = append(out, CutRecord{All: true, Version: c.all})
	}
	for t, v := range c.tags {
		out = append(out, CutRecord{Tag: t, Version: v})
	}
	slices.SortFunc(out, func(a, b CutRecord) int {
		if a.Version < b.Version {
			return -1
		}
		return 1
	})
	return out
}

// CutSince tells whether an entry with these tags would have been voided by a cut newer than version.
func (s *Store) CutSince(tags []string, version uint64) bool {
	return s.cuts.Load().void(&Entry{Version: version, Tags: tags})
}
