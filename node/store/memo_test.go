package store

import (
	"fmt"
	"sync"
	"testing"
)

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
