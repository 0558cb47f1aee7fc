package strategy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
)

// The tag of a user ends the sessions of that user in caches and stores of all kinds. RevokeUser of a store ends those in the store.
func TestUserTagEndsSessionsInAllStores(t *testing.T) {
	nodes := nodetest.Start(t, 2).Nodes()
	userOf := strategy.WithUserOf(func(data []byte) string { return string(data) })
	scs, fiber := strategy.NewSCSStore(nodes[0], userOf), strategy.NewFiberStorage(nodes[0], userOf)
	typed, cache := strategy.NewTyped[string](nodes[0], nil), strategy.NewPeerToPeer(nodes[0])
	in1h := time.Now().Add(time.Hour)
	login := func(user string) {
		t.Helper()
		if err := errors.Join(
			scs.Commit(user, []byte(user), in1h),
			fiber.Set(user, []byte(user), time.Hour),
			typed.Set(t.Context(), user, strategy.Item[string]{Value: user, UserID: user}),
			cache.Set(t.Context(), strategy.CachedSession{Token: user, User: &strategy.CachedSessionUser{ID: strategy.StringID(user)}}),
		); err != nil {
			t.Fatal(err)
		}
	}
	want := func(user string, inSCS, inFiber, inOthers bool) {
		t.Helper()
		_, s, errS := scs.Find(user)
		f, errF := fiber.Get(user)
		_, y, errY := typed.Get(t.Context(), user)
		_, c, errC := cache.Get(t.Context(), user)
		if err := errors.Join(errS, errF, errY, errC); err != nil || s != inSCS || f != nil != inFiber || y != inOthers || c != inOthers {
			t.Errorf("%s: scs %v, Fiber %v, Typed %v, PeerToPeer %v, error %v", user, s, f != nil, y, c, err)
		}
	}
	login("ada")
	login("bob")
	if err := nodes[1].InvalidateTags(t.Context(), strategy.UserTag("ada")); err != nil {
		t.Fatal(err)
	}
	want("ada", false, false, false)
	want("bob", true, true, true)
	if err := scs.Commit("ada", []byte("ada"), in1h); !errors.Is(err, strategy.ErrRevoked) {
		t.Errorf("Commit of the request that was under way = %v, want ErrRevoked", err)
	}

	if err := scs.RevokeUser(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	want("bob", false, true, true)
	if err := fiber.RevokeUser(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	want("bob", false, false, true)
}

// An ID for which there is room is found by RevokeUser and by the tag; one that is too long is refused when it is stored.
func TestLongUserIDs(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	s := strategy.NewSCSStore(n, strategy.WithUserOf(func(data []byte) string { return string(data) }))
	in1h := time.Now().Add(time.Hour)
	longest := strings.Repeat("x", 1015-len("scs:"))
	for about, revoke := range map[string]func() error{
		"RevokeUser": func() error { return s.RevokeUser(t.Context(), longest) },
		"the tag":    func() error { return n.InvalidateTags(t.Context(), strategy.UserTag(longest)) },
	} {
		if err := s.Commit(about, []byte(longest), in1h); err != nil {
			t.Fatal(err)
		}
		if err := revoke(); err != nil {
			t.Fatal(err)
		}
		if _, found := find(t, s, about); found {
			t.Errorf("found after %s", about)
		}
	}
	if err := s.Commit("t", []byte(longest+"x"), in1h); !errors.Is(err, strategy.ErrTooLarge) {
		t.Errorf("Commit with an ID that is too long = %v, want ErrTooLarge", err)
	}
}
