package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func TestBytesStayBounded(t *testing.T) {
	var c clock
	r := rand.New(rand.NewPCG(1, 2))
	const limit = 200_000
	s := New(Config{Partitions: 7, MaxBytes: limit, Now: c.now, MaxCuts: 50})
	for i := range 60_000 {
		key := fmt.Sprint(r.IntN(3000))
		e := &Entry{Key: key, Version: uint64(i + 1), Value: string(make([]byte, r.IntN(900))), Near: r.IntN(3) == 0}
		switch r.IntN(10) {
		case 0:
			e.Kind, e.Value = Tombstone, ""
		case 1:
			e.Kind, e.Value = Revoked, ""
		case 2:
			e.Tags = []string{fmt.Sprint(r.IntN(200))}
		}
		if e.Kind != Live || r.IntN(2) == 0 {
			e.Expires = c.now() + 1 + r.Int64N(20e9)
		}
		p := r.IntN(7)
		s.Put(p, e)
		if i%50 == 0 {
			s.Cut(fmt.Sprint(r.IntN(200)), false, uint64(i/2+1))
		}
		if st := s.Stats(); st.Bytes > limit || st.Cuts > 50 {
			t.Fatalf("step %d: %+v", i, st)
		}
		c.ns.Add(1e6)
		if i%10 == 0 {
			s.Sweep(8)
		}
		if i%500 == 0 {
			checkAccount(t, s)
		}
	}
	if st := s.Stats(); st.Evictions == 0 || st.Expirations == 0 || st.Bytes < limit/2 {
		t.Fatalf("nothing was put to the test: %+v", st)
	}
	if s.Floor(0) == 0 {
		t.Fatal("no tombstone was dropped")
	}
}

// Whatever the seeds of the hashes, the same calls have the same outcome.
func TestSameCallsSameOutcome(t *testing.T) {
	run := func() string {
		var c clock
		var b strings.Builder
		r := rand.New(rand.NewPCG(5, 6))
		s := New(Config{Partitions: 3, MaxBytes: 60_000, Now: c.now, MaxCuts: 20})
		for i := range 8000 {
			e := &Entry{Key: fmt.Sprint(r.IntN(500)), Version: uint64(i + 1), Value: string(make([]byte, r.IntN(500))), Expires: c.now() + 1 + r.Int64N(5e9)}
			switch r.IntN(6) {
			case 0:
				e.Kind = Tombstone
			case 1, 2:
				e.Tags = []string{fmt.Sprint(r.IntN(30))}
			}
			_, ok := s.Put(r.IntN(3), e)
			hit := s.Get(r.IntN(3), fmt.Sprint(r.IntN(500))) != nil
			c.ns.Add(2e6)
			freed := s.Sweep(3)
			if i%40 == 0 {
				s.Cut(fmt.Sprint(r.IntN(30)), false, uint64(i))
			}
			fmt.Fprintln(&b, ok, hit, freed, s.Stats())
		}
		fmt.Fprintln(&b, s.Keys(0), s.Keys(1), s.Keys(2), allCuts(s))
		return b.String()
	}
	first := run()
	if second := run(); first != second {
		t.Fatal("two runs differ")
	}
}

func TestTooLarge(t *testing.T) {
	s := New(Config{MaxBytes: 10_000})
	if _, ok := s.Put(0, &Entry{Key: "k", Version: 1, Value: string(make([]byte, 9_000))}); ok {
		t.Fatal("took what never fits")
	}
	if _, ok := s.Put(0, &Entry{Key: "k", Version: 1, Value: string(make([]byte, 7_000))}); !ok {
		t.Fatal("refused what fits")
	}
	if _, ok := s.Put(1, &Entry{Key: "k", Version: 1}); ok || s.Get(-1, "k") != nil || s.Count(9) != 0 {
		t.Fatal("a partition that does not exist holds something")
	}
}

func TestTombstonesHaveTheirOwnRoom(t *testing.T) {
	var c clock
	s := New(Config{Partitions: 2, MaxBytes: 80_000, MaxTombstoneBytes: 10_000, Now: c.now})
	v := uint64(0)
	put := func(p int, key string, kind Kind) bool {
		v++
		e := &Entry{Key: key, Version: v, Kind: kind}
		if kind != Live {
			e.Expires = 1e12
		}
		_, ok := s.Put(p, e)
		return ok
	}
	for i := range 100 {
		put(0, fmt.Sprint("live", i), Live)
	}
	late := v + 1
	for i := range 20 {
		put(1, fmt.Sprint("revoked", i), Revoked)
	}
	for i := range 1000 {
		put(1, fmt.Sprint("gone", i), Tombstone)
	}
	if n := s.Count(0); n != 100 {
		t.Fatalf("tombstones pushed out %d values", 100-n)
	}
	for i := range 20 {
		if s.Get(1, fmt.Sprint("revoked", i)) == nil {
			t.Fatal("a plain tombstone pushed out a revocation")
		}
	}
	if s.Floor(0) != 0 || s.Floor(1) < late || s.Floor(1) >= v {
		t.Fatalf("floors %d, %d; versions %d to %d", s.Floor(0), s.Floor(1), late, v)
	}
	if !put(1, "gone0", Live) {
		t.Fatal("a newer value was refused")
	}
	for i := range 1000 {
		if !put(1, fmt.Sprint("more", i), Revoked) {
			t.Fatal("a revocation was refused")
		}
	}
	if s.Get(1, "revoked0") != nil || s.Get(1, "more999") == nil {
		t.Fatal("not the oldest revocation went")
	}
	// Revocations fill the room: a plain tombstone takes effect through the floor.
	put(1, "x", Live)
	if !put(1, "x", Tombstone) || s.Get(1, "x") != nil || s.Floor(1) != v {
		t.Fatal("a tombstone without room had no effect")
	}
	checkAccount(t, s)
}

func TestNearCopiesGoFirst(t *testing.T) {
	s := New(Config{Partitions: 2, MaxBytes: 400_000})
	for i := range 800 {
		s.Put(0, &Entry{Key: fmt.Sprint(i), Version: 1, Value: string(make([]byte, 200))})
	}
	n := s.Count(0)
	for i := range 5000 {
		s.Put(1, &Entry{Key: fmt.Sprint(i), Version: 1, Value: string(make([]byte, 200)), Near: true})
	}
	if st := s.Stats(); st.Entries < n*3/4 || st.Near < 50 {
		t.Fatalf("of %d values %d remain beside %d near copies", n, st.Entries, st.Near)
	}
}

func TestExpiredAreFreedUnread(t *testing.T) {
	var c clock
	s := New(Config{Partitions: 13, Now: c.now})
	const n = 20_000
	r := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		s.Put(i%13, &Entry{Key: fmt.Sprint(i), Version: 1, Expires: 1 + r.Int64N(3600e9)})
	}
	for c.now() < 3601e9 {
		c.ns.Add(1e9)
		for s.Sweep(500) > 0 {
		}
		if c.now()%600e9 == 0 {
			dead := 0
			for p := range s.parts {
				s.parts[p].index.load().each(func(e *Entry) bool {
					if e.Expires < c.now()-1<<tickShift {
						dead++
					}
					return true
				})
			}
			if dead > 0 {
				t.Fatalf("%d expired entries left after %d s", dead, c.now()/1e9)
			}
		}
	}
	if st := s.Stats(); st.Entries != 0 || st.Bytes != 0 || st.Expirations != n {
		t.Fatalf("%+v", st)
	}
	for p := range s.parts {
		if s.parts[p].index.at.Load() != nil {
			t.Fatal("an empty partition keeps its table")
		}
	}
}

// From one group to hundreds and back, all that is there is found, and nothing else.
func TestTablesOfAllSizes(t *testing.T) {
	const most = 6 * 7 << large
	var x index
	hash := New(Config{}).hash
	entries := make([]*Entry, most)
	check := func(from, to int) {
		t.Helper()
		n := 0
		x.load().each(func(*Entry) bool { n++; return true })
		if n != to-from || int(x.full) != n {
			t.Fatalf("%d to %d: %d entries, counted %d", from, to, n, x.full)
		}
		for i, e := range entries {
			want := e
			if i < from || i >= to {
				want = nil
			}
			if got := x.find(hash(fmt.Sprint(i)), fmt.Sprint(i)); got != want {
				t.Fatalf("%d to %d: %d is %v", from, to, i, got)
			}
		}
	}
	sizes := map[int]bool{}
	for i := range entries {
		entries[i] = NewEntry(fmt.Sprint(i))
		x.set(hash(entries[i].Key), entries[i], hash)
		if n := x.load().groups(); !sizes[n] {
			sizes[n] = true
			check(0, i+1)
		}
	}
	if len(sizes) < large+2 {
		t.Fatalf("tables of %v groups only", sizes)
	}
	for i, e := range entries {
		before := x.load().groups()
		x.remove(hash(e.Key), e.Key, hash)
		if x.at.Load() == nil || x.load().groups() != before {
			runtime.GC() // a table that is held by nothing but the index stays
			check(i+1, most)
		}
	}
	if x.at.Load() != nil {
		t.Error("an empty index keeps its table")
	}
}

func TestNewEntryKeepsTheKey(t *testing.T) {
	for n := range 140 {
		key := strings.Repeat("k", n)
		e := NewEntry(key)
		again := e.Again(true)
		if e.Key != key || again.Key != key || !again.Provisional {
			t.Errorf("%d bytes: %q, again %q", n, e.Key, again.Key)
		}
		if n > 0 && n <= 128 && unsafe.StringData(again.Key) == unsafe.StringData(e.Key) {
			t.Errorf("%d bytes: the new entry keeps the old one in memory", n)
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

// SIEVE should not do worse than LRU on skewed reads.
func TestHitRate(t *testing.T) {
	const keys, room, reads = 20_000, 2000, 200_000
	s := New(Config{Partitions: 101, MaxBytes: room * (entryOverhead + 10) * 8 / 7})
	lru := newLRU(room)
	z := rand.NewZipf(rand.New(rand.NewPCG(7, 8)), 1.01, 1, keys-1)
	sieve, least := 0, 0
	for range reads {
		k := z.Uint64()
		key := fmt.Sprintf("%010d", k)
		if s.Get(int(k%101), key) != nil {
			sieve++
		} else {
			s.Put(int(k%101), &Entry{Key: key, Version: 1})
		}
		if lru.use(key) {
			least++
		}
	}
	t.Logf("hit rate: SIEVE %.3f, LRU %.3f, with room for %d of %d keys", float64(sieve)/reads, float64(least)/reads, room, keys)
	if sieve < least {
		t.Fatalf("SIEVE %d hits, LRU %d", sieve, least)
	}
}

type lru struct {
	room int
	at   map[string]*Entry
	l    list
}

func newLRU(room int) *lru { return &lru{room: room, at: map[string]*Entry{}} }

func (l *lru) use(key string) bool {
	e := l.at[key]
	if e != nil {
		l.l.remove(e)
		l.l.push(e)
		return true
	}
	e = &Entry{Key: key}
	l.at[key] = e
	l.l.push(e)
	if l.l.n > l.room {
		delete(l.at, l.l.oldest.Key)
		l.l.remove(l.l.oldest)
	}
	return false
}

func TestConcurrent(t *testing.T) {
	var c clock
	s := New(Config{Partitions: 5, MaxBytes: 100_000, Now: c.now, MaxCuts: 8})
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 6000 {
				p, key := r.IntN(5), fmt.Sprint(r.IntN(200))
				v := uint64(i + 1)
				switch n := r.IntN(100); {
				case n < 50:
					if e := s.Get(p, key); e != nil && (e.Key != key || e.Kind == Live && len(e.Value) != 100) {
						t.Error("Get returned something else")
					}
				case n < 85:
					e := &Entry{Key: key, Version: v, Value: string(make([]byte, 100)), Near: n < 60, Provisional: n > 80, Tags: []string{fmt.Sprint(r.IntN(20))}}
					if n%2 == 0 {
						e.Expires = c.now() + r.Int64N(1e9) + 1
					}
					s.Put(p, e)
				case n < 92:
					s.Put(p, &Entry{Key: key, Version: v, Kind: Kind(1 + n%2), Expires: c.now() + 1e9})
				case n < 94:
					s.Remove(p, key, v)
					s.RemoveNear(p, key, v)
				case n < 95:
					s.Wipe(p)
					s.WipeNear(p)
				case n < 97:
					s.List(p, key, true, 1000)
					s.Count(p)
					s.Stats()
				case n < 98:
					s.Confirm(p)
				case n < 99:
					tag := fmt.Sprint(r.IntN(20))
					s.Cut(tag, false, v/2)
					s.CutSince([]string{tag}, v)
				default:
					c.ns.Add(20e6)
					s.Sweep(100)
				}
			}
		})
	}
	wg.Wait()
	checkAccount(t, s)
}

// Who reads while others write finds an entry that is there throughout, and never one that has been cut.
func TestReadersMissNothing(t *testing.T) {
	s := New(Config{Partitions: 1, MaxBytes: 64 << 20})
	stay := func(i int) string { return fmt.Sprint("stay", i) }
	for i := range 100 {
		s.Put(0, &Entry{Key: stay(i), Version: 1})
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := g; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if s.Get(0, stay(i%100)) == nil {
					t.Error("missed an entry that is there")
					return
				}
			}
		})
	}
	for round := range uint64(30) {
		for i := range 500 { // the table grows and shrinks
			s.Put(0, &Entry{Key: fmt.Sprint("go", i), Version: 2 + round})
		}
		for i := range 500 {
			s.Remove(0, fmt.Sprint("go", i), 2+round)
		}
		for i := range 100 {
			s.Put(0, &Entry{Key: stay(i), Version: 2 + round})
		}
	}
	close(stop)
	wg.Wait()
}

func TestLookLeavesTheClockToTheCaller(t *testing.T) {
	now := int64(100)
	s := New(Config{Now: func() int64 { return now }})
	s.Put(0, &Entry{Key: "k", Version: 1, Expires: 200})
	now = 200
	if s.Get(0, "k") != nil {
		t.Error("Get returns what has expired")
	}
	if e := s.Look(0, "k"); e == nil || !e.Expired(now) || e.Expired(199) {
		t.Errorf("Look returns %+v", e)
	}
	if s.Look(0, "other") != nil || s.Look(1, "k") != nil {
		t.Error("Look finds what is not there")
	}
}

// A memo ends with its entry, however that goes.
func TestMemoEndsWithItsEntry(t *testing.T) {
	for name, end := range map[string]func(s *Store){
		"replaced": func(s *Store) { s.Put(0, &Entry{Key: "k", Version: 2}) },
		"deleted":  func(s *Store) { s.Put(0, &Entry{Key: "k", Version: 2, Kind: Tombstone, Expires: 1 << 60}) },
		"removed":  func(s *Store) { s.Remove(0, "k", 9) },
		"wiped":    func(s *Store) { s.Wipe(0) },
		"cut":      func(s *Store) { s.Cut("", true, 9); s.Sweep(100) },
		"reset":    func(s *Store) { s.Reset() },
		"evicted": func(s *Store) {
			for i := range 1000 {
				s.Put(0, &Entry{Key: fmt.Sprint("other", i), Version: uint64(10 + i), Value: string(make([]byte, 1000))})
			}
		},
	} {
		s := New(Config{MaxBytes: 100_000})
		e := &Entry{Key: "k", Version: 1}
		s.Put(0, e)
		note := &Note{Of: 1}
		if !e.Memo.Put(nil, note) || e.Memo.Load() != note {
			t.Fatalf("%s: nothing can be kept", name)
		}
		if note.Remove(); e.Memo.Load() != nil {
			t.Fatalf("%s: what has been removed is still there", name)
		}
		if note = (&Note{Of: 2}); !e.Memo.Put(nil, note) {
			t.Fatalf("%s: nothing can be kept after another", name)
		}
		end(s)
		if e.Memo.Load() != nil || e.Memo.Put(e.Memo.Load(), &Note{Of: 3}) {
			t.Errorf("%s: something is kept, or can be", name)
		}
		if note.in.Load() != nil {
			t.Errorf("%s: the note keeps the entry in memory", name)
		}
		note.Remove()
	}
}

// Notes of entries that leave beside each other come to whoever takes them, each once.
func TestNotesOfEntriesThatLeft(t *testing.T) {
	const writers, each = 4, 2000
	s := New(Config{Partitions: writers})
	var left Notes
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e := &Entry{Key: "k", Version: uint64(i + 1)}
				s.Put(w, e)
				if !e.Memo.Put(nil, &Note{Of: [2]int{w, i}, Left: &left}) {
					t.Error("nothing can be kept")
				}
			}
			s.Wipe(w)
		})
	}
	seen := map[any]bool{}
	take := func() {
		for n := left.Take(); n != nil; n = left.Take() {
			if seen[n.Of] {
				t.Errorf("%v twice", n.Of)
			}
			seen[n.Of] = true
		}
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		default:
		}
		take()
	}
	if len(seen) != writers*each {
		t.Errorf("%d of %d notes", len(seen), writers*each)
	}
}
