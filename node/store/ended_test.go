package store

import (
	"fmt"
	"strings"
	"testing"
)

func liveEntry(key string, v uint64, tags ...string) *Entry {
	e := NewEntry(key)
	e.Version, e.Value, e.Tags = v, "v", tags
	return e
}

// Cuts stay within an eighth of the memory, also when they are few and their tags long (P7).
func TestCutsAreBoundedInBytes(t *testing.T) {
	s := New(Config{MaxBytes: 1 << 20})
	for i := range 4000 {
		s.Cut(fmt.Sprint(i)+strings.Repeat("x", 1000), false, uint64(i+1))
		if st := s.Stats(); st.Bytes > 1<<20/8 {
			t.Fatalf("%d bytes, %d cuts", st.Bytes, st.Cuts)
		}
	}
}

// What a cut has freed is remembered, so that a fill from before it is refused (rule 13).
func TestACutEndsEntries(t *testing.T) {
	s := New(Config{})
	s.Put(0, liveEntry("k", 7, "tag"))
	s.Cut("tag", false, 8)
	for s.Sweep(1000) > 0 {
	}
	if got := s.Ended(0); got != 7 {
		t.Errorf("Ended %d", got)
	}
}

// Near copies do not count.
func TestNearCopiesDoNotEnd(t *testing.T) {
	s := New(Config{})
	e := liveEntry("k", 7, "tag")
	e.Near = true
	s.Put(0, e)
	s.Cut("tag", false, 8)
	for s.Sweep(1000) > 0 {
	}
	if got := s.Ended(0); got != 0 {
		t.Errorf("Ended %d", got)
	}
}

// Nothing of a former chain or tenure judges what comes later.
func TestResetAndWipeForget(t *testing.T) {
	s := New(Config{MaxTombstoneBytes: 200})
	for i := range 4 {
		d := NewEntry(fmt.Sprint(i))
		d.Version, d.Kind = uint64(100+i), Tombstone
		s.Put(0, d)
	}
	if s.Floor(0) == 0 || s.Ended(0) == 0 {
		t.Fatalf("floor %d, ended %d", s.Floor(0), s.Ended(0))
	}
	s.Wipe(0)
	if _, ok := s.Put(0, liveEntry("again", 5)); !ok || s.Floor(0) != 0 {
		t.Errorf("after Wipe: stored %v, floor %d", ok, s.Floor(0))
	}
	s.Reset()
	if s.Ended(0) != 0 {
		t.Errorf("after Reset: ended %d", s.Ended(0))
	}
}
