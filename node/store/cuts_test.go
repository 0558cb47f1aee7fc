package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A list of cuts that is taken in parts, while cuts are made, repeated, folded and cleared, is as good as the one that could be taken at once at its end.
func TestCutsInParts(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same each time
		s, other := New(Config{MaxCuts: 5 + r.IntN(60)}), New(Config{})
		version := uint64(0)
		cut := func() {
			version++
			switch r.IntN(100) {
			case 0:
				s.Cut("", true, version)
			case 1:
				s.Cut("", false, version-uint64(r.IntN(int(min(version, 40)))))
			default:
				s.Cut(fmt.Sprint("tag", r.IntN(80)), false, version)
			}
		}
		for range r.IntN(100) {
			cut()
		}
		size, parts := 1+r.IntN(10*cutOverhead), 0
		for last, done := (CutRecord{}), false; !done; parts++ {
			var cs []CutRecord
			cs, done = s.Cuts(last, size)
			bytes := 0
			for _, c := range cs {
				other.Cut(c.Tag, c.All, c.Version)
				if c.Tag != "" {
					last = c
					bytes += c.Size()
				}
			}
			if bytes > size+cutOverhead+len("tag00") {
				t.Fatalf("seed %d: a part of %d bytes, %d were asked for", seed, bytes, size)
			}
			if parts > 1000 {
				t.Fatalf("seed %d: no end", seed)
			}
			if !done && parts < 40 {
				for range r.IntN(4) {
					cut()
				}
				if last.Tag != "" && r.IntN(10) == 0 { // the very one that the next part begins after
					version++
					s.Cut(last.Tag, false, version)
				}
			}
		}
		for v := range version + 2 {
			if s.CutSince(nil, v) && !other.CutSince(nil, v) {
				t.Fatalf("seed %d: what has no tag, of version %d, is void, and not where the cuts came in %d parts", seed, v, parts)
			}
			for i := range 81 {
				if tags := []string{fmt.Sprint("tag", i)}; s.CutSince(tags, v) && !other.CutSince(tags, v) {
					t.Fatalf("seed %d: %v of version %d is void, and not where the cuts came in %d parts", seed, tags, v, parts)
				}
			}
		}
	}
}

// A cut that is known costs nothing: no room, no pass over the entries, no memory.
func TestAKnownCutCostsNothing(t *testing.T) {
	s := New(Config{MaxBytes: 100_000})
	for i := range 1000 {
		s.Put(0, &Entry{Key: fmt.Sprint(i), Version: uint64(1000 + i)})
	}
	s.Cut("", true, 10)
	s.Cut("", false, 20)
	s.Cut("tag", false, 30)
	for s.q.sweeping != classes {
		s.Sweep(1000)
	}
	for i := range 1000 { // no room is left
		s.Put(0, &Entry{Key: fmt.Sprint("more", i), Version: uint64(3000 + i)})
	}
	before := s.Stats()
	for _, c := range []CutRecord{{All: true, Version: 10}, {Version: 20}, {Version: 9}, {Tag: "tag", Version: 30}, {Tag: "tag", Version: 29}, {Tag: "other", Version: 20}} {
		if n := testing.AllocsPerRun(10, func() { s.Cut(c.Tag, c.All, c.Version) }); n > 0 {
			t.Errorf("%+v: %v allocations", c, n)
		}
		if s.Stats() != before || s.q.sweeping != classes {
			t.Errorf("%+v: %+v, before %+v; a pass is under way: %v", c, s.Stats(), before, s.q.sweeping != classes)
		}
	}
}

func TestCutsFoldSafely(t *testing.T) {
	s := New(Config{MaxCuts: 10})
	tag := func(i int) string { return fmt.Sprint("tag", i) }
	for i := range 100 {
		s.Put(0, &Entry{Key: fmt.Sprint(i), Version: uint64(1000 + i), Tags: []string{tag(i)}})
		s.Put(0, &Entry{Key: fmt.Sprint("plain", i), Version: uint64(1000 + i)})
	}
	for i := range 50 {
		s.Cut(tag(i), false, uint64(1000+i))
		if s.Get(0, fmt.Sprint(i)) != nil || !s.CutSince([]string{tag(i)}, 1000) {
			t.Fatal("a cut had no effect")
		}
	}
	for i := range 100 {
		if (s.Get(0, fmt.Sprint(i)) != nil) != (i >= 50) { // the later versions outlive the fold
			t.Fatalf("entry %d", i)
		}
		if s.Get(0, fmt.Sprint("plain", i)) == nil {
			t.Fatal("an entry without tags was lost")
		}
	}
	other := New(Config{})
	for _, r := range allCuts(s) {
		other.Cut(r.Tag, r.All, r.Version)
	}
	for i := range 50 {
		if _, ok := other.Put(0, &Entry{Key: fmt.Sprint(i), Version: uint64(1000 + i), Tags: []string{tag(i)}}); ok {
			t.Fatal("a store that took over the cuts took an entry they cover")
		}
	}
	if st := s.Stats(); st.Cuts > 10 {
		t.Fatalf("%d cuts", st.Cuts)
	}
	for s.Sweep(10) > 0 {
	}
	if st := s.Stats(); st.Entries != 150 {
		t.Fatalf("%d entries after the sweep", st.Entries)
	}
	if s.Cut("", true, 5000); s.Stats().Cuts != 0 || len(allCuts(s)) != 2 || s.CutSince(nil, 5001) || !s.CutSince(nil, 5000) {
		t.Fatal("a clear takes the place of the older cuts")
	}
	checkAccount(t, s)
	s.Cut("again", false, 6000)
	if s.Reset(); s.Stats().Bytes != 0 || len(allCuts(s)) != 0 || s.CutSince([]string{"again"}, 1) {
		t.Fatal("Reset left something")
	}
}

// allCuts is all that is remembered, taken in one part.
func allCuts(s *Store) []CutRecord {
	cs, _ := s.Cuts(CutRecord{}, 1<<30)
	return cs
}

// What is one younger than the latest cut of its tag is there, and what is of that age is void: whichever cut that was.
func TestLatestCut(t *testing.T) {
	s := New(Config{MaxCuts: 2})
	if got := s.LatestCut("a"); got != 0 {
		t.Errorf("before any: %d", got)
	}
	for _, c := range []struct {
		tag     string
		all     bool
		version uint64
		want    map[string]uint64
	}{
		{"a", false, 10, map[string]uint64{"a": 10, "b": 0}},
		{"b", false, 20, map[string]uint64{"a": 10, "b": 20}},
		{"c", false, 30, map[string]uint64{"a": 10, "b": 20, "c": 30, "d": 10}}, // that of a is folded
		{"", true, 25, map[string]uint64{"a": 25, "b": 25, "c": 30, "d": 25}},
	} {
		s.Cut(c.tag, c.all, c.version)
		for tag, want := range c.want {
			if got := s.LatestCut(tag); got != want {
				t.Errorf("after the cut of %q at %d: that of %s is %d, want %d", c.tag, c.version, tag, got, want)
			}
			if tags := []string{tag}; want != 0 && !s.CutSince(tags, want) || s.CutSince(tags, want+1) {
				t.Errorf("after the cut of %q at %d: %s is not void up to %d", c.tag, c.version, tag, want)
			}
		}
	}
}
