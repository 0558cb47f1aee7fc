package strategy

import (
	"fmt"
	"sync"
	"testing"

	"github.com/huddle-cache/huddle/node"
)

func entryOf(t testing.TB, s CachedSession) node.Entry {
	t.Helper()
	raw, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return node.Entry{Value: raw, Version: 1, Memo: &node.Memo{}}
}

// check counts what the line has, and that each item is in its memo and nowhere else.
func (d *decoded) check(t *testing.T, entries []node.Entry, prefix int) (kept int) {
	t.Helper()
	var bytes int64
	count := 0
	for it := d.line.oldest; it != nil; it = it.newer {
		count++
		bytes += it.weight
		if it.value.memo.Load() != &it.value.Note {
			t.Error("an item counts that is not in its memo")
		}
	}
	for _, e := range entries {
		if decodedIn(e.Memo, prefix) != nil {
			kept++
		}
	}
	if count != d.count || bytes != d.bytes || kept != count || count > d.maxCount || bytes > d.maxBytes {
		t.Errorf("%d items of %d bytes, counted %d of %d; %d memos", count, bytes, d.count, d.bytes, kept)
	}
	return kept
}

func TestDecodedAreBoundedAndForgotten(t *testing.T) {
	p := newPeerToPeer(nil, WithDecodedBound(10, 1<<20))
	var entries []node.Entry
	for i := range 100 {
		s := CachedSession{Token: fmt.Sprint("t", i)}
		entries = append(entries, entryOf(t, s))
		if _, err := p.decode(s.Token, entries[i]); err != nil {
			t.Fatal(err)
		}
		if it := decodedIn(entries[0].Memo, len(p.prefix)); it != nil {
			it.visit() // the one that is read all the time stays
		} else {
			t.Fatalf("after %d others the one in use is gone", i)
		}
		p.decoded.check(t, entries, len(p.prefix))
	}
	if n := p.decoded.check(t, entries, len(p.prefix)); n != 10 {
		t.Errorf("%d kept, 10 asked for", n)
	}
	p.decoded.forget(entries[0].Memo, len(p.prefix))
	p.decoded.forget(entries[0].Memo, len(p.prefix)) // again: nothing
	p.decoded.forget(nil, len(p.prefix))
	if n := p.decoded.check(t, entries, len(p.prefix)); n != 9 || entries[0].Memo.Load() != nil {
		t.Errorf("%d kept after one was given up", n)
	}
	p.decoded.forgetAll()
	if n := p.decoded.check(t, entries, len(p.prefix)); n != 0 {
		t.Errorf("%d kept after all were given up", n)
	}
	for _, none := range []*PeerToPeer{newPeerToPeer(nil, WithDecodedBound(0, 1<<20)), newPeerToPeer(nil, WithDecodedBound(10, 0))} {
		if _, err := none.decode("t0", entries[0]); err != nil || entries[0].Memo.Load() != nil {
			t.Error("something is kept where nothing should be", err)
		}
	}
}

// One key is that of different tokens under different prefixes: what one cache has decoded is not the other's.
func TestDecodedOfAnotherPrefix(t *testing.T) {
	s := CachedSession{Token: "b:x"}
	e := entryOf(t, s)
	long, short := newPeerToPeer(nil, WithKeyPrefix("a:b:")), newPeerToPeer(nil, WithKeyPrefix("a:"))
	if _, err := short.decode("b:x", e); err != nil {
		t.Fatal(err)
	}
	if decodedIn(e.Memo, len(long.prefix)) != nil {
		t.Error("found by a cache under whose prefix the key is of another token")
	}
	if _, err := long.decode("x", e); err == nil {
		t.Error("a session with another token than asked for")
	}
	long.decoded.forget(e.Memo, len(long.prefix))
	// Two caches with one prefix share what is decoded; it is for the one that decoded it to give it up.
	other := newPeerToPeer(nil, WithKeyPrefix("a:"))
	other.decoded.forget(e.Memo, len(other.prefix))
	if decodedIn(e.Memo, len(other.prefix)) == nil {
		t.Error("another cache's is given up")
	}
	short.decoded.check(t, []node.Entry{e}, len(short.prefix))
}

func TestDecodedByManyAtOnce(t *testing.T) {
	p := newPeerToPeer(nil, WithDecodedBound(20, 1<<20))
	var entries []node.Entry
	for i := range 50 {
		entries = append(entries, entryOf(t, CachedSession{Token: fmt.Sprint("t", i), User: &CachedSessionUser{ID: StringID("u")}}))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 5000 {
				n := (i*7 + g*13) % len(entries)
				e := entries[n]
				it := decodedIn(e.Memo, len(p.prefix))
				if it == nil {
					if _, err := p.decode(fmt.Sprint("t", n), e); err != nil {
						t.Error(err)
					}
					continue
				}
				it.visit()
				if got := it.value.session.Clone(); got.Token != fmt.Sprint("t", n) || got.UserID() != "u" {
					t.Errorf("%q of %q", got.Token, got.UserID())
				}
				switch i % 100 {
				case 0:
					p.decoded.forget(e.Memo, len(p.prefix))
				case 50:
					p.decoded.forgetAll()
				}
			}
		})
	}
	wg.Wait()
	p.decoded.check(t, entries, len(p.prefix))
}
