package strategy_test

import (
	"context"
	"errors"
	"testing"

	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

var errNoSession = errors.New("no such session")

// What was read from the database before its user was revoked is not stored, though it takes the place of a value that nobody can read
// and that was not of this user.
func TestLoadOverAnUnreadableValueLosesToRevokeUser(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	p := strategy.NewPeerToPeer(n)
	if err := n.Set(t.Context(), strategy.DefaultKeyPrefix+"t", []byte("no session")); err != nil {
		t.Fatal(err)
	}
	revoked := false
	_, err := p.Load(t.Context(), "t", func(ctx context.Context) (strategy.CachedSession, error) {
		if revoked {
			return strategy.CachedSession{}, errNoSession
		}
		revoked = true
		return strategytest.Session("t", "u"), p.RevokeUser(ctx, "u")
	})
	if !errors.Is(err, errNoSession) {
		t.Errorf("load: %v", err)
	}
	if _, found, err := p.Get(t.Context(), "t"); found || err != nil {
		t.Errorf("a session of a user who was revoked: %v, %v", found, err)
	}
}

func TestTypedLoadOverAnUnreadableValueLosesToClear(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	c := strategy.NewTyped[int](n, nil)
	if err := n.Set(t.Context(), "typed:t", []byte("no number")); err != nil {
		t.Fatal(err)
	}
	cleared := false
	_, err := c.Load(t.Context(), "t", func(ctx context.Context) (strategy.Item[int], error) {
		if cleared {
			return strategy.Item[int]{}, errNoSession
		}
		cleared = true
		return strategy.Item[int]{Value: 7, UserID: "u"}, c.Clear(ctx)
	})
	if !errors.Is(err, errNoSession) {
		t.Errorf("load: %v", err)
	}
	if v, found, err := c.Get(t.Context(), "t"); found || err != nil {
		t.Errorf("what was read before Clear: %d, %v, %v", v, found, err)
	}
}

// Load removes only the value that it could not read.
func TestLoadLeavesWhatTakesThePlaceOfAnUnreadableValue(t *testing.T) {
	c := newFakeCluster()
	n, other := c.node(), strategy.NewPeerToPeerOn(c.node())
	if err := n.Set(t.Context(), strategy.DefaultKeyPrefix+"t", []byte("no session"), strategy.SetParams{}); err != nil {
		t.Fatal(err)
	}
	n.on(func(ctx context.Context, op, key string) error {
		if op == "delete" && key == strategy.DefaultKeyPrefix+"t" {
			return other.Set(ctx, strategytest.Session("t", "u"))
		}
		return nil
	})
	s, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
		return strategy.CachedSession{}, errors.New("loaded, though it is there")
	})
	if err != nil || s.UserID() != "u" {
		t.Errorf("load: %q, %v", s.UserID(), err)
	}
}

// A value that cannot be read and cannot be removed just now is loaded past.
func TestLoadPastAnUnreadableValueThatStays(t *testing.T) {
	c := newFakeCluster()
	n := c.node()
	if err := n.Set(t.Context(), strategy.DefaultKeyPrefix+"t", []byte("no session"), strategy.SetParams{}); err != nil {
		t.Fatal(err)
	}
	n.on(func(_ context.Context, op, _ string) error {
		if op == "delete" {
			return strategy.ErrUnavailable
		}
		return nil
	})
	s, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
		return strategytest.Session("t", "u"), nil
	})
	if err != nil || s.UserID() != "u" {
		t.Errorf("load: %q, %v", s.UserID(), err)
	}
	if e, _, _ := c.node().Lookup(t.Context(), strategy.DefaultKeyPrefix+"t"); string(e.Value) != "no session" {
		t.Errorf("stored: %q", e.Value)
	}
}

// What cannot be read, and is stored again as often as it is removed, is loaded past in the end.
func TestLoadPastAnUnreadableValueThatComesBack(t *testing.T) {
	c := newFakeCluster()
	n, key := c.node(), strategy.DefaultKeyPrefix+"t"
	again := func(ctx context.Context) error {
		return c.node().Set(ctx, key, []byte("no session"), strategy.SetParams{})
	}
	if err := again(t.Context()); err != nil {
		t.Fatal(err)
	}
	removed := 0
	n.on(func(ctx context.Context, op, k string) error {
		if op == "lookup" && k == key && removed < 100 {
			return again(ctx)
		}
		if op == "delete" && k == key {
			removed++
		}
		return nil
	})
	s, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
		return strategytest.Session("t", "u"), nil
	})
	if err != nil || s.UserID() != "u" || removed > 10 {
		t.Errorf("load: %q, %v; removed %d times", s.UserID(), err, removed)
	}
}
