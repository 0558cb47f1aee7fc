package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/alexedwards/scs/v2"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

var (
	_ scs.CtxStore         = (*strategy.SCSStore)(nil)
	_ scs.IterableStore    = (*strategy.SCSStore)(nil)
	_ scs.IterableCtxStore = (*strategy.SCSStore)(nil)

	// Fiber's Storage, spelled out.
	_ interface {
		GetWithContext(ctx context.Context, key string) ([]byte, error)
		Get(key string) ([]byte, error)
		SetWithContext(ctx context.Context, key string, val []byte, exp time.Duration) error
		Set(key string, val []byte, exp time.Duration) error
		DeleteWithContext(ctx context.Context, key string) error
		Delete(key string) error
		ResetWithContext(ctx context.Context) error
		Reset() error
		Close() error
	} = (*strategy.FiberStorage)(nil)
)

func find(t *testing.T, s *strategy.SCSStore, token string) (string, bool) {
	t.Helper()
	data, found, err := s.Find(token)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	return string(data), found
}

func TestSCSStore(t *testing.T) {
	c := newFakeCluster()
	a, b := strategy.NewSCSStoreOn(c.node()), strategy.NewSCSStoreOn(c.node())
	in1h := time.Now().Add(time.Hour)
	for i := range 700 {
		if err := a.Commit(fmt.Sprintf("t%d", i), []byte{byte(i)}, in1h); err != nil {
			t.Fatal(err)
		}
	}
	if data, found := find(t, b, "t3"); !found || data != "\x03" {
		t.Fatalf("Find = %q, %v", data, found)
	}
	for _, token := range []string{"", "unknown", strings.Repeat("x", 5000)} {
		if _, found := find(t, b, token); found {
			t.Errorf("found a token of %d bytes", len(token))
		}
		if err := b.Delete(token); err != nil {
			t.Errorf("Delete of an absent token: %v", err)
		}
	}
	if err := b.Delete("t3"); err != nil {
		t.Fatal(err)
	}
	if _, found := find(t, a, "t3"); found {
		t.Error("found after Delete")
	}
	if err := a.Commit("t3", []byte("late"), in1h); !errors.Is(err, strategy.ErrRevoked) {
		t.Errorf("late Commit = %v, want ErrRevoked", err)
	}
	if err := a.Commit("t4", []byte("over"), time.Now().Add(-time.Second)); err != nil {
		t.Errorf("Commit of an expired session: %v", err)
	}
	if _, found := find(t, b, "t4"); found {
		t.Error("found after it expired")
	}
	if err := strategy.NewFiberStorageOn(c.node()).Set("other", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	all, err := b.All()
	if err != nil || len(all) != 698 {
		t.Errorf("All returned %d sessions (error %v), want 698", len(all), err)
	}
	empty, err := strategy.NewSCSStoreOn(newFakeCluster().node()).All()
	if err != nil || empty == nil || len(empty) != 0 {
		t.Errorf("All of none = %v, %v; want an empty map", empty, err)
	}
}

func TestSCSRevokeUser(t *testing.T) {
	c := newFakeCluster()
	userOf := strategy.WithUserOf(func(data []byte) string { user, _, _ := strings.Cut(string(data), ":"); return user })
	a, b := strategy.NewSCSStoreOn(c.node(), userOf), strategy.NewSCSStoreOn(c.node(), userOf)
	in1h := time.Now().Add(time.Hour)
	for token, data := range map[string]string{"t1": "alice:1", "t2": "alice:2", "t3": "bob:1"} {
		if err := a.Commit(token, []byte(data), in1h); err != nil {
			t.Fatal(err)
		}
	}
	if _, found := find(t, b, "t1"); !found { // a request on b begins
		t.Fatal("not found")
	}
	if err := a.RevokeUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"t1", "t2"} {
		if _, found := find(t, b, token); found {
			t.Errorf("%s is still there", token)
		}
	}
	if _, found := find(t, b, "t3"); !found {
		t.Error("bob was logged out too")
	}
	if err := b.Commit("t1", []byte("alice:1+"), in1h); !errors.Is(err, strategy.ErrRevoked) { // the request ends
		t.Errorf("Commit of the request that was under way = %v, want ErrRevoked", err)
	}
	if err := b.Commit("t4", []byte("alice:3"), in1h); err != nil {
		t.Errorf("log-in anew: %v", err)
	}
	if err := strategy.NewSCSStoreOn(c.node()).RevokeUser(t.Context(), "alice"); !errors.Is(err, strategy.ErrInvalid) {
		t.Errorf("RevokeUser without WithUserOf = %v, want ErrInvalid", err)
	}
}

// What will not change is not waited for.
func TestStoresOfANodeThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		begun := time.Now()
		n.on(failing("lookup", node.ErrClosed))
		if _, found, err := strategy.NewSCSStoreOn(n).Find("t"); found || !errors.Is(err, node.ErrClosed) || time.Since(begun) != 0 {
			t.Errorf("Find = %v, %v after %v", found, err, time.Since(begun))
		}
	})
}

// What a store could not write or end it says: a log-out that nobody has confirmed is none.
func TestStoresSayWhatFails(t *testing.T) {
	c := newFakeCluster()
	n := c.node()
	userOf := strategy.WithUserOf(func([]byte) string { return "u" })
	s, f := strategy.NewSCSStoreOn(n, userOf), strategy.NewFiberStorageOn(n, userOf)
	n.on(func(context.Context, string, string) error { return node.ErrUnconfirmed })
	in1h := time.Now().Add(time.Hour)
	for name, err := range map[string]error{
		"scs Commit":               s.Commit("t", []byte("x"), in1h),
		"scs Commit of an old one": s.Commit("t", []byte("x"), in1h.Add(-2*time.Hour)),
		"scs Delete":               s.Delete("t"),
		"scs RevokeUser":           s.RevokeUser(t.Context(), "u"),
		"fiber Set":                f.Set("t", []byte("x"), time.Hour),
		"fiber Set of an old one":  f.Set("t", []byte("x"), -time.Second),
		"fiber Delete":             f.Delete("t"),
		"fiber Reset":              f.Reset(),
		"fiber RevokeUser":         f.RevokeUser(t.Context(), "u"),
	} {
		if !errors.Is(err, strategy.ErrUnconfirmed) {
			t.Errorf("%s = %v, want ErrUnconfirmed", name, err)
		}
	}
}

// A store of record waits for certainty, and never says "absent" for "not sure".
func TestStoresWaitForCertainty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster()
		n := c.node()
		s, f := strategy.NewSCSStoreOn(n), strategy.NewFiberStorageOn(n)
		if err := s.Commit("t", []byte("x"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := f.Set("t", []byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		for _, cause := range []error{node.ErrUnsure, node.ErrUnavailable, node.ErrOverload} {
			sure := time.Now().Add(3 * time.Second)
			n.on(func(_ context.Context, op, _ string) error {
				if op == "lookup" && time.Now().Before(sure) {
					return cause
				}
				return nil
			})
			if _, found, err := s.Find("t"); !found || err != nil {
				t.Errorf("%v for 3 s: Find = %v, %v", cause, found, err)
			}
			n.on(failing("lookup", cause))
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, found, err := s.FindCtx(ctx, "t"); found || !errors.Is(err, strategy.ErrUnsure) {
				t.Errorf("%v for long: FindCtx = %v, %v; want ErrUnsure", cause, found, err)
			}
			cancel()
			if took := time.Since(begin); took != time.Second {
				t.Errorf("waited %v, want the caller's second", took)
			}
			begin = time.Now()
			if v, err := f.Get("t"); v != nil || !errors.Is(err, strategy.ErrUnsure) {
				t.Errorf("%v for long: Get = %v; want ErrUnsure", cause, err)
			}
			if took := time.Since(begin); took != 5*time.Second {
				t.Errorf("waited %v, want 5s", took)
			}
			n.on(failing("scan", cause))
			if all, err := s.All(); all != nil || !errors.Is(err, strategy.ErrUnsure) {
				t.Errorf("%v for long: All = %v; want ErrUnsure", cause, err)
			}
		}
	})
}

func TestFiberStorage(t *testing.T) {
	c := newFakeCluster()
	a, b := strategy.NewFiberStorageOn(c.node()), strategy.NewFiberStorageOn(c.node())
	limiter := strategy.NewFiberStorageOn(c.node(), strategy.WithReusableKeys(), strategy.WithStorePrefix("limiter:"))
	key, value := []byte("k"), []byte("v")
	if err := a.Set(string(key), value, time.Hour); err != nil {
		t.Fatal(err)
	}
	value[0] = '?' // Fiber reuses its buffers
	if v, err := b.Get("k"); err != nil || string(v) != "v" {
		t.Fatalf("Get = %q, %v", v, err)
	}
	if v, err := b.Get("unknown"); v != nil || err != nil {
		t.Errorf("Get of an absent key = %q, %v; want nil, nil", v, err)
	}
	for _, err := range []error{a.Set("", []byte("v"), 0), a.Set("e", nil, 0)} {
		if err != nil {
			t.Errorf("an empty key or value is not ignored: %v", err)
		}
	}
	if v, err := b.Get("e"); v != nil || err != nil {
		t.Errorf("Get of a key whose value was empty = %q, %v; want nil, nil", v, err)
	}
	if err := errors.Join(a.Set("over", []byte("v"), 0), a.Set("over", []byte("v"), -time.Second)); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get("over"); v != nil || err != nil {
		t.Errorf("Get of what is over = %q, %v; want nil, nil", v, err)
	}
	for _, s := range []*strategy.FiberStorage{a, limiter} {
		if err := s.Set("d", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete("d"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Set("d", []byte("2"), 0); !errors.Is(err, strategy.ErrRevoked) {
		t.Errorf("Set after Delete = %v, want ErrRevoked", err)
	}
	if err := limiter.Set("d", []byte("2"), 0); err != nil {
		t.Errorf("Set after Delete with WithReusableKeys: %v", err)
	}
	if err := b.Reset(); err != nil {
		t.Fatal(err)
	}
	if v, err := a.Get("k"); v != nil || err != nil {
		t.Errorf("Get after Reset = %q, %v", v, err)
	}
	if v, err := limiter.Get("d"); string(v) != "2" || err != nil {
		t.Errorf("Reset of one storage emptied another: %q, %v", v, err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestFiberRevokeUser(t *testing.T) {
	c := newFakeCluster()
	userOf := strategy.WithUserOf(func(data []byte) string { user, _, _ := strings.Cut(string(data), ":"); return user })
	a, b := strategy.NewFiberStorageOn(c.node(), userOf), strategy.NewFiberStorageOn(c.node(), userOf)
	counters := strategy.NewFiberStorageOn(c.node(), userOf, strategy.WithReusableKeys(), strategy.WithStorePrefix("counters:"))
	for _, s := range []*strategy.FiberStorage{a, counters} {
		if err := s.Set("k1", []byte("alice:1"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := b.Get("k1"); string(v) != "alice:1" || err != nil { // a request on b begins
		t.Fatalf("Get = %q, %v", v, err)
	}
	for _, s := range []*strategy.FiberStorage{a, counters} {
		if err := s.RevokeUser(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Set("k1", []byte("alice:1+"), time.Hour); !errors.Is(err, strategy.ErrRevoked) { // the request ends
		t.Errorf("Set of the request that was under way = %v, want ErrRevoked", err)
	}
	if err := counters.Set("k1", []byte("alice:2"), time.Hour); err != nil {
		t.Errorf("Set after RevokeUser with WithReusableKeys: %v", err)
	}
	if err := b.Set("k2", []byte("alice:3"), time.Hour); err != nil {
		t.Errorf("log-in anew: %v", err)
	}
	if err := strategy.NewFiberStorageOn(c.node()).RevokeUser(t.Context(), "alice"); !errors.Is(err, strategy.ErrInvalid) {
		t.Errorf("RevokeUser without WithUserOf = %v, want ErrInvalid", err)
	}
}

// What a web server hands over is its own, and has other content by the next request.
func TestStoresKeepNoMemoryOfTheCaller(t *testing.T) {
	f := strategy.NewFiberStorageOn(newFakeCluster().node(), strategy.WithStorePrefix(""))
	buf := []byte("key-1")
	key := unsafe.String(&buf[0], len(buf))
	if err := f.Set(key, []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if v, err := f.Get(key); string(v) != "v" || err != nil {
		t.Fatalf("Get = %q, %v", v, err)
	}
	copy(buf, "key-2")
	if v, err := f.Get("key-1"); string(v) != "v" || err != nil {
		t.Errorf("Get of the first key = %q, %v", v, err)
	}
	if v, err := f.Get("key-2"); v != nil || err != nil {
		t.Errorf("Get of the second key = %q, %v", v, err)
	}
	if err := f.Set("key-2", []byte("w"), time.Hour); err != nil {
		t.Errorf("Set of the second key: %v", err)
	}
}

type cart struct{ Items []string }

func TestTyped(t *testing.T) {
	c := newFakeCluster()
	a := strategy.NewTypedOn[cart](c.node(), nil, strategy.WithKeyPrefix("cart:"))
	b := strategy.NewTypedOn[cart](c.node(), nil, strategy.WithKeyPrefix("cart:"))
	other := strategy.NewTypedOn[int](c.node(), nil)
	item := strategy.Item[cart]{Value: cart{[]string{"book"}}, Expires: time.Now().Add(time.Hour), UserID: "alice"}
	if err := a.Set(t.Context(), "t1", item); err != nil {
		t.Fatal(err)
	}
	got, found, err := b.Get(t.Context(), "t1")
	if err != nil || !found || got.Items[0] != "book" {
		t.Fatalf("Get = %v, %v, %v", got, found, err)
	}
	if err := other.Set(t.Context(), "t1", strategy.Item[int]{Value: 7}); err != nil {
		t.Fatal(err)
	}
	if err := b.RevokeUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := a.Get(t.Context(), "t1"); found {
		t.Error("found after RevokeUser")
	}
	for range 2 {
		if got, err := a.Load(t.Context(), "t1", func(context.Context) (strategy.Item[cart], error) { return item, nil }); err != nil || got.Items[0] != "book" {
			t.Fatalf("Load = %v, %v", got, err)
		}
	}
	if err := a.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := b.Get(t.Context(), "t1"); found {
		t.Error("found after Clear")
	}
	if n, found, _ := other.Get(t.Context(), "t1"); !found || n != 7 {
		t.Error("Clear of one emptied another")
	}
	if err := a.Delete(t.Context(), "t1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Set(t.Context(), "t1", item); !errors.Is(err, strategy.ErrRevoked) {
		t.Errorf("late Set = %v, want ErrRevoked", err)
	}
}

// What a store is to keep without an end has none, whatever the node gives to others.
func TestEndlessEntriesOfAStore(t *testing.T) {
	n := &endsNode{fakeNode: newFakeCluster().node()}
	if err := strategy.NewFiberStorageOn(n).Set("k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	if err := strategy.NewFiberStorageOn(n).Set("k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if want := []string{"endless", "1m0s"}; !slices.Equal(n.ends, want) {
		t.Errorf("ends: %q, want %q", n.ends, want)
	}
}

// endsNode notes when what is set is to end.
type endsNode struct {
	*fakeNode
	ends []string
}

func (n *endsNode) Set(ctx context.Context, key string, value []byte, how strategy.SetParams) error {
	end := how.TTL.String()
	if how.Endless {
		end = "endless"
	}
	n.ends = append(n.ends, end)
	return n.fakeNode.Set(ctx, key, value, how)
}

// A store whose prefix begins with that of another keeps its sessions to itself: its token, with what its prefix has more, is none of the other, whose
// application would take one's user for the other's.
func TestStoresWithPrefixesThatBeginAlike(t *testing.T) {
	cluster := newFakeCluster()
	shop := strategy.NewSCSStoreOn(cluster.node())
	admin := strategy.NewSCSStoreOn(cluster.node(), strategy.WithStorePrefix("scs:admin:"))
	until := time.Now().Add(time.Hour)
	for store, token := range map[*strategy.SCSStore]string{shop: "S", admin: "A"} {
		if err := store.Commit(token, []byte("user 1"), until); err != nil {
			t.Fatal(err)
		}
	}
	if data, found, err := shop.Find("admin:A"); found || err != nil {
		t.Errorf("a token of the other store: %q, %v, %v", data, found, err)
	}
	for store, token := range map[*strategy.SCSStore]string{shop: "S", admin: "A"} {
		if all, err := store.All(); err != nil || len(all) != 1 || string(all[token]) != "user 1" {
			t.Errorf("all of the store with the token %s: %q, %v", token, all, err)
		}
		if data, found, err := store.Find(token); string(data) != "user 1" || !found || err != nil {
			t.Errorf("%s: %q, %v, %v", token, data, found, err)
		}
	}
}
