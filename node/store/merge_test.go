package store

import (
	"fmt"
	"strings"
	"testing"
)

// What the owner has sent takes the place of a near copy of the same version, which it is not.
func TestANearCopyGivesWayToTheSameVersion(t *testing.T) {
	s := New(Config{})
	near := liveEntry("k", 5)
	near.Near = true
	s.Put(0, near)
	e := liveEntry("k", 5)
	if _, ok := s.Put(0, e); !ok || s.Get(0, "k") != e || s.Stats().Near != 0 {
		t.Errorf("stored %v; %+v", ok, s.Stats())
	}
	again := liveEntry("k", 5)
	again.Near = true
	if _, ok := s.Put(0, again); !ok || s.Get(0, "k") != e {
		t.Error("a near copy took the place of the entry")
	}
}

// An entry that ends, or is to make room, goes by itself: not what was written to its key meanwhile.
func TestWhatHasReplacedAVictimStays(t *testing.T) {
	s := New(Config{})
	old, e := liveEntry("k", 5), liveEntry("k", 6)
	s.Put(0, old)
	s.Put(0, e)
	for _, why := range []reason{evicted, ended, voided} {
		if s.drop(old, why) || s.Get(0, "k") != e {
			t.Errorf("reason %d: the newer entry has gone", why)
		}
	}
	if s.Ended(0) != 0 {
		t.Errorf("ended %d", s.Ended(0))
	}
}

// A tombstone that is larger than all of their room pushes out no other.
func TestATombstoneTooLargeForItsRoom(t *testing.T) {
	s := New(Config{MaxTombstoneBytes: 1000})
	small, large := NewEntry("small"), NewEntry(strings.Repeat("k", 1000))
	small.Version, small.Kind = 1, Tombstone
	large.Version, large.Kind = 2, Tombstone
	s.Put(0, small)
	if _, ok := s.Put(0, large); !ok || s.Floor(0) != 2 {
		t.Errorf("taken %v, floor %d", ok, s.Floor(0))
	}
	if s.Get(0, "small") != small {
		t.Error("the other one has gone")
	}
}

// A tombstone of a key that is deleted again is the newest: another makes room, or the floor would rise to what was deleted last.
func TestADeletionAgainIsTheNewest(t *testing.T) {
	s := New(Config{MaxTombstoneBytes: 500})
	for i, key := range []string{"a", "b", "c", "a", "d"} {
		d := NewEntry(key)
		d.Version, d.Kind = uint64(i+1), Tombstone
		s.Put(0, d)
	}
	if s.Floor(0) != 2 || s.Get(0, "a") == nil || s.Get(0, "b") != nil {
		t.Errorf("floor %d", s.Floor(0))
	}
}

// What a cut has voided is freed to the end, though the entry that the pass over them has come to goes, or is replaced, in between.
func TestAPassGoesOnPastWhatChanges(t *testing.T) {
	for name, change := range map[string]func(s *Store, key string){
		"removed":  func(s *Store, key string) { s.Remove(0, key, 1000) },
		"replaced": func(s *Store, key string) { s.Put(0, liveEntry(key, 1000)) },
	} {
		s := New(Config{})
		for i := range 20 {
			s.Put(0, liveEntry(fmt.Sprint(i), uint64(i+1), "tag"))
		}
		s.Cut("tag", false, 500)
		s.Sweep(5)
		scan := s.q.lists[classLive].scan
		if scan == nil || scan == s.q.lists[classLive].newest {
			t.Fatal("the pass is not under way")
		}
		change(s, scan.Key)
		for range 20 {
			s.Sweep(5)
		}
		left := 0
		if name == "replaced" {
			left = 1
		}
		if n := s.Stats().Entries; n != left {
			t.Errorf("%s: %d entries are left, want %d", name, n, left)
		}
	}
}

// One eviction passes so many entries in use and no more: others wait for the lock.
func TestAnEvictionPassesSoMany(t *testing.T) {
	var l list
	for i := range 2 * maxSkips {
		e := liveEntry(fmt.Sprint(i), uint64(i+1))
		e.state.Or(visited)
		l.push(e)
	}
	if e := l.sieve(); e.Version != maxSkips+1 {
		t.Errorf("entry %d of %d went", e.Version, 2*maxSkips)
	}
}

// The hand stays where it is when the entry there is written: what lies behind it is not looked at again before the others.
func TestTheHandStaysAtWhatIsReplaced(t *testing.T) {
	s := New(Config{})
	for i := range 4 {
		s.Put(0, liveEntry(fmt.Sprint(i), uint64(i+1)))
	}
	l := &s.q.lists[classLive]
	l.hand = s.Get(0, "2")
	e := liveEntry("2", 10)
	s.Put(0, e)
	if l.hand != e {
		t.Errorf("the hand is at %+v", l.hand)
	}
}

// Cuts that have been folded together, as a source tells of them, and one of a tag for which there is no room, void what has a tag, also
// where no other cut is known.
func TestAFoldedCutAlone(t *testing.T) {
	for _, tag := range []string{"", strings.Repeat("t", 1<<20)} {
		s := New(Config{MaxBytes: 1 << 20})
		s.Put(0, liveEntry("tagged", 5, "a"))
		s.Put(0, liveEntry("plain", 5))
		s.Cut(tag, false, 9)
		if s.Get(0, "tagged") != nil || s.Get(0, "plain") == nil {
			t.Errorf("a tag of %d bytes: tagged %v, plain %v", len(tag), s.Get(0, "tagged"), s.Get(0, "plain"))
		}
	}
}

// Near copies make room also while they take little, if there is nothing else.
func TestNearCopiesMakeRoomForTheFirstValue(t *testing.T) {
	s := New(Config{MaxBytes: 80_000})
	for i := range 10 {
		e := liveEntry(fmt.Sprint(i), uint64(i+1))
		e.Near = true
		s.Put(0, e)
	}
	var out victims
	s.q.mu.Lock()
	s.q.pickEntries(&out, 1)
	s.q.mu.Unlock()
	if out.n != 1 || !out.e[0].Near {
		t.Fatalf("%d picked: a value that needs the room would wait for ever", out.n)
	}
	s.evict(&out)
	checkAccount(t, s)
}
