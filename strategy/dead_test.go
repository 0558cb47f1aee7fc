package strategy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

// each runs a test on both caches.
func each(t *testing.T, test func(t *testing.T, c strategy.SessionCache)) {
	t.Run("PeerToPeer", func(t *testing.T) { test(t, strategy.NewPeerToPeer(nodetest.Start(t, 1).Node(0))) })
	t.Run("InMemory", func(t *testing.T) {
		test(t, strategy.NewInMemory(strategy.InMemoryConfig{MaxBytes: 4 << 20, MaxSessionBytes: 1 << 20}))
	})
}

// A token that was deleted for good has no session, also if the one that is loaded could not be stored anyway.
func TestLoadOfADeadTokenWhoseSessionCannotBeStored(t *testing.T) {
	each(t, func(t *testing.T, c strategy.SessionCache) {
		for name, change := range map[string]func(*strategy.CachedSession){
			"too large":                              func(s *strategy.CachedSession) { s.AuthenticationStrategy = strings.Repeat("x", 3<<20) },
			"ended":                                  func(s *strategy.CachedSession) { s.Expires = time.Now().Add(-time.Hour) },
			"a user's ID that is too long for a tag": func(s *strategy.CachedSession) { s.User.ID = strategy.StringID(strings.Repeat("x", 2000)) },
		} {
			session := strategytest.Session("t-"+name, "u")
			change(&session)
			load := func() (strategy.CachedSession, error) {
				return c.(strategy.Loader).Load(t.Context(), session.Token, func(context.Context) (strategy.CachedSession, error) { return session, nil })
			}
			if s, err := load(); err != nil || s.Token != session.Token {
				t.Errorf("%s, alive: %v", name, err)
			}
			if err := c.Delete(t.Context(), session.Token); err != nil {
				t.Fatal(err)
			}
			if s, err := load(); !errors.Is(err, strategy.ErrRevoked) || s.Token != "" {
				t.Errorf("%s, deleted: %q, %v", name, s.Token, err)
			}
		}
	})
}

func TestTextsThatJSONDoesNotHave(t *testing.T) {
	each(t, func(t *testing.T, c strategy.SessionCache) {
		for _, s := range []strategy.CachedSession{
			strategytest.Session("t\xff", "u"), strategytest.Session("t", "u\xff"),
		} {
			if err := c.Set(t.Context(), s); !errors.Is(err, strategy.ErrInvalid) {
				t.Errorf("Set: %v", err)
			}
		}
	})
}

// The memory of texts is the caller's: a web server reuses it.
func TestTextsAreNotKept(t *testing.T) {
	each(t, func(t *testing.T, c strategy.SessionCache) {
		want := strategytest.Session("token", "u")
		want.User.ChannelPermissions[0].Permissions = []string{"Read"}
		buffer := make([]byte, 0, 1<<12)
		lay := func(s string) string {
			buffer = append(buffer, s...)
			return unsafe.String(&buffer[len(buffer)-len(s)], len(s))
		}
		given := want.Clone()
		given.Token, given.AuthenticationStrategy = lay(want.Token), lay(want.AuthenticationStrategy)
		given.ID, given.ActiveOrderID = strategy.StringID(lay("id")), strategy.StringID(lay("order"))
		want.ID, want.ActiveOrderID = strategy.StringID("id"), strategy.StringID("order")
		given.User.Identifier = lay(want.User.Identifier)
		given.User.ID = strategy.StringID(lay("u"))
		ch := &given.User.ChannelPermissions[0]
		ch.Token, ch.Code, ch.Permissions[0] = lay(ch.Token), lay(ch.Code), lay("Read")
		if err := c.Set(t.Context(), given); err != nil {
			t.Fatal(err)
		}
		for i := range buffer {
			buffer[i] = 'X'
		}
		got, found, err := c.Get(t.Context(), "token")
		if !found || err != nil {
			t.Fatal(found, err)
		}
		a, _ := got.MarshalJSON()
		b, _ := want.MarshalJSON()
		if string(a) != string(b) {
			t.Errorf("got  %s\nwant %s", a, b)
		}
	})
}

// A session that has ended is no hit, whatever end its entry has.
func TestEndedSessionOfAnEntryThatGoesOn(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	ctx := t.Context()
	p := strategy.NewPeerToPeer(n)
	session := strategytest.Session("t", "u")
	session.Expires = time.Now().Add(2 * time.Second)
	text, err := session.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Set(ctx, strategy.DefaultKeyPrefix+"t", text, node.WithoutTTL()); err != nil { // as a plain SET writes it
		t.Fatal(err)
	}
	for range 3 { // decodes it, and finds it decoded
		if _, found, err := p.Get(ctx, "t"); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	for time.Now().Before(session.Expires) {
		time.Sleep(time.Millisecond)
	}
	for _, c := range []*strategy.PeerToPeer{p, strategy.NewPeerToPeer(n)} { // decoded, and not yet
		if s, found, err := c.Get(ctx, "t"); found || err != nil || s.Token != "" || s.User != nil {
			t.Errorf("Get: %v, %v, %v", s, found, err)
		}
	}
	later := strategytest.Session("t", "u2")
	for range 2 {
		s, err := p.Load(ctx, "t", func(context.Context) (strategy.CachedSession, error) { return later, nil })
		if err != nil || s.UserID() != "u2" {
			t.Errorf("Load: %v, %v", s, err)
		}
	}
}

// A load that asks for its own token would wait for itself.
func TestLoadWithinTheLoadOfItsToken(t *testing.T) {
	each(t, func(t *testing.T, c strategy.SessionCache) {
		load := c.(strategy.Loader).Load
		var inner, other error
		s, err := load(t.Context(), "t", func(ctx context.Context) (strategy.CachedSession, error) {
			_, inner = load(ctx, "t", func(context.Context) (strategy.CachedSession, error) { return strategytest.Session("t", "u"), nil })
			_, other = load(ctx, "t2", func(context.Context) (strategy.CachedSession, error) { return strategytest.Session("t2", "u"), nil })
			return strategytest.Session("t", "u"), nil
		})
		if err != nil || s.Token != "t" || !errors.Is(inner, strategy.ErrInvalid) || other != nil {
			t.Errorf("%v, %v; within it %v, of another token %v", s.Token, err, inner, other)
		}
	})
}

// What is there does not wait for a load under way.
func TestTypedLoadOfWhatIsThere(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	c := strategy.NewTyped[string](n, nil)
	loading, end := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = c.Load(t.Context(), "t", func(context.Context) (strategy.Item[string], error) {
			close(loading)
			<-end
			return strategy.Item[string]{Value: "late"}, nil
		})
	}()
	<-loading
	if err := c.Set(t.Context(), "t", strategy.Item[string]{Value: "set"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	v, err := c.Load(ctx, "t", func(context.Context) (strategy.Item[string], error) {
		return strategy.Item[string]{Value: "loaded"}, nil
	})
	if v != "set" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	close(end)
	<-ended
}
