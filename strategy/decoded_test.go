package strategy

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

func entryOf(t testing.TB, s CachedSession) node.Entry {
	t.Helper()
	raw, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return node.Entry{Value: raw, Version: 1, Memo: &node.Memo{}}
}

// verify counts what the line has, and that each item is in its memo and nowhere else.
func (d *decoded) verify(t *testing.T, entries []node.Entry, prefix int) (kept int) {
	t.Helper()
	var bytes int64
	count := 0
	for it := d.line.oldest; it != nil; it = it.newer {
		count++
		bytes += it.weight
		if !slices.ContainsFunc(entries, func(e node.Entry) bool { return e.Memo.Load() == &it.value.Note }) {
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
		p.decoded.verify(t, entries, len(p.prefix))
	}
	if n := p.decoded.verify(t, entries, len(p.prefix)); n != 10 {
		t.Errorf("%d kept, 10 asked for", n)
	}
	p.decoded.forget(entries[0].Memo, len(p.prefix))
	p.decoded.forget(entries[0].Memo, len(p.prefix)) // again: nothing
	p.decoded.forget(nil, len(p.prefix))
	if n := p.decoded.verify(t, entries, len(p.prefix)); n != 9 || entries[0].Memo.Load() != nil {
		t.Errorf("%d kept after one was given up", n)
	}
	p.decoded.forgetAll()
	if n := p.decoded.verify(t, entries, len(p.prefix)); n != 0 {
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
	short.decoded.verify(t, []node.Entry{e}, len(short.prefix))
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
				var got CachedSession
				if copyOf(it, text(e.Value), &got, false); got.Token != fmt.Sprint("t", n) || got.UserID() != "u" {
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
	p.decoded.verify(t, entries, len(p.prefix))
}

// An entry that is replaced or removed takes what was decoded of it along: neither do its versions fill the bound, nor do they push others out.
func TestDecodedGoWithTheirEntries(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	ctx := t.Context()
	p, other := NewPeerToPeer(n, WithDecodedBound(100, 1<<20)), NewPeerToPeer(n)
	set := func(s CachedSession) {
		t.Helper()
		if err := other.Set(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	get := func(token string) {
		t.Helper()
		if _, found, err := p.Get(ctx, token); !found || err != nil {
			t.Fatal(token, found, err)
		}
	}
	for i := range 90 {
		set(CachedSession{Token: fmt.Sprint("warm", i)})
		get(fmt.Sprint("warm", i))
	}
	again := 0
	for i := range 5000 {
		set(CachedSession{Token: "hot", CacheExpiry: float64(i)})
		get("hot")
		get("hot")
		var s CachedSession
		warm := fmt.Sprint("warm", i*7%90)
		if found, _ := p.peek(warm, &s); !found {
			again++
		}
		get(warm)
	}
	if again > 500 {
		t.Errorf("%d of 5000 reads of what is in use found nothing decoded", again)
	}
	p = NewPeerToPeer(n, WithKeyPrefix("one:"))
	other = NewPeerToPeer(n, WithKeyPrefix("one:"))
	for i := range 1000 {
		set(CachedSession{Token: "hot", CacheExpiry: float64(i)})
		get("hot")
	}
	if p.decoded.count > 3 {
		t.Errorf("%d versions of one session are kept", p.decoded.count)
	}
	if err := other.Clear(ctx); err != nil {
		t.Fatal(err)
	}
}

// Two caches on one node, the one of which evicts what the other wants to give up.
func TestDecodedOfTwoCaches(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	a, b := NewPeerToPeer(n, WithDecodedBound(1, 1<<20)), NewPeerToPeer(n, WithDecodedBound(1, 1<<20))
	ctx := t.Context()
	const tokens = 2000
	token := func(i int) string { return fmt.Sprint("t", i) }
	for i := range tokens {
		if err := a.Set(ctx, CachedSession{Token: token(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var at atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for at.Load() < tokens-8 {
			for i := range 8 {
				_, _, _ = a.Get(ctx, token(int(at.Load())+i))
			}
		}
	})
	wg.Go(func() {
		for i := range tokens - 8 {
			if err := b.Delete(ctx, token(i)); err != nil {
				t.Error(err)
			}
			at.Store(int64(i + 1))
		}
	})
	wg.Wait()
}

// A cache has no end to be called. When nobody has it any more, what it has decoded goes.
func TestDecodedOfACacheThatIsGone(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	ctx := t.Context()
	set := NewPeerToPeer(n)
	const tokens = 5000
	for i := range tokens {
		if err := set.Set(ctx, CachedSession{Token: fmt.Sprint("t", i)}); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() (count int) {
		for i := range tokens {
			if e, found, _ := n.Peek(set.prefix + fmt.Sprint("t", i)); found && e.Memo.Load() != nil {
				count++
			}
		}
		return count
	}
	for i := range tokens {
		p := NewPeerToPeer(n, WithDecodedBound(10, 1<<16))
		if _, found, err := p.Get(ctx, fmt.Sprint("t", i)); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); kept() > 0; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are kept for caches that are gone", kept())
		}
	}
}

func TestLoadKeepsWhatItDecodes(t *testing.T) {
	p := NewPeerToPeer(nodetest.Start(t, 1).Node(0))
	s := CachedSession{Token: "t", User: &CachedSessionUser{ID: StringID("u")}}
	for range 3 {
		if got, err := p.Load(t.Context(), "t", func(context.Context) (CachedSession, error) { return s, nil }); err != nil || got.UserID() != "u" {
			t.Fatal(got, err)
		}
	}
	var got CachedSession
	if found, known := p.peek("t", &got); !found || !known {
		t.Error("nothing is decoded after two loads of what was there")
	}
}

// Two caches of one prefix share what is decoded. Whether a reader may share the user is for his own cache to say.
func TestDecodedByASharingCacheAndAnother(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	own, sharing := NewPeerToPeer(n), NewPeerToPeer(n, WithSharedUsers())
	for _, first := range []*PeerToPeer{own, sharing} {
		s := CachedSession{Token: "t", User: &CachedSessionUser{ID: StringID("u"), ChannelPermissions: []ChannelPermissions{{Permissions: []string{"Read"}}}}}
		if err := own.Set(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for _, p := range []*PeerToPeer{first, own, sharing, own} {
				got, found, err := p.Get(t.Context(), "t")
				if !found || err != nil || got.UserID() != "u" || got.User.ChannelPermissions[0].Permissions[0] != "Read" {
					t.Fatal(got, found, err)
				}
				if p == own {
					got.User.ID = StringID("changed")
					got.User.ChannelPermissions[0].Permissions[0] = "SuperAdmin"
				}
			}
		}
		if first == sharing {
			if allocs := testing.AllocsPerRun(100, func() { _, _, _ = sharing.Get(t.Context(), "t") }); allocs != 0 {
				t.Errorf("a read with a shared user makes %v allocations", allocs)
			}
		}
	}
}

// What WithDecodedBound and WithSharedUsers say that a session takes.
func TestDecodedTakeWhatIsSaid(t *testing.T) {
	for permissions, want := range map[int]int64{5: 192, 13: 224, 37: 320, 85: 512, 211: 1016} {
		s := CachedSession{Token: "token", User: &CachedSessionUser{ID: IntID(1), ChannelPermissions: []ChannelPermissions{{Permissions: make([]string, permissions)}}}}
		text, err := s.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		value := string(text)
		s, within, err := decodeSession(value)
		if err != nil {
			t.Fatal(err)
		}
		if got := newDecoded(&s, value, within, false).weight; got > want || got < want-16 {
			t.Errorf("%d permissions: %d bytes, want %d", permissions, got, want)
		}
		if got, want := newDecoded(&s, value, within, true).weight, int64(336+112+96+16*permissions+len(value)); got != want {
			t.Errorf("%d permissions, shared: %d bytes, want %d", permissions, got, want)
		}
	}
}
