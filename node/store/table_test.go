package store

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// From one group to hundreds and back, all that is there is found, and nothing else.
func TestTablesOfAllSizes(t *testing.T) {
	const most = 6 * 7 << large
	x := index{at: new(place)}
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
