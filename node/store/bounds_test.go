package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
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
