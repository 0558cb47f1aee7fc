package strategy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

// A Load that judges CacheExpiry loads a session afresh once that has passed, and not before; one that does not judge it never does. What
// has been loaded is stored, and an own CacheExpiry that has passed already does not make the same Load load twice.
func TestLoadJudgesCacheExpiry(t *testing.T) {
	type cache interface {
		strategy.SessionCache
		strategy.Loader
	}
	for name, open := range map[string]func(judges bool) cache{
		"PeerToPeer": func(judges bool) cache {
			var opts []strategy.Option
			if judges {
				opts = append(opts, strategy.WithCacheExpiry())
			}
			return strategy.NewPeerToPeerOn(newFakeCluster().node(), opts...)
		},
		"InMemory": func(judges bool) cache {
			return strategy.NewInMemory(strategy.InMemoryConfig{CacheExpiry: judges})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, judges := range []bool{false, true} {
					c, loads := open(judges), 0
					load := func(fresh time.Duration, want int) {
						t.Helper()
						s, err := c.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
							loads++
							s := strategytest.Session("t", "u")
							s.Expires = time.Now().Add(time.Hour)
							s.ActiveOrderID = strategy.IntID(int64(loads))
							s.CacheExpiry = 0
							if fresh != 0 {
								s.CacheExpiry = float64(time.Now().Add(fresh).UnixMilli()) / 1e3
							}
							return s, nil
						})
						if err != nil || loads != want || s.ActiveOrderID != strategy.IntID(int64(loads)) {
							t.Errorf("judges %v: load %v, %v after %d loads; want %d", judges, s.ActiveOrderID, err, loads, want)
						}
					}
					again := func(n int) int { // the loads after the n-th has been judged stale
						if judges {
							return n + 1
						}
						return 1
					}
					load(1500*time.Millisecond, 1)
					load(time.Minute, 1)
					time.Sleep(1499 * time.Millisecond)
					load(time.Minute, 1)
					time.Sleep(time.Millisecond)
					if s, found, err := c.Get(t.Context(), "t"); !found || err != nil || s.ActiveOrderID != strategy.IntID(1) {
						t.Errorf("Get of a session whose CacheExpiry has passed: %v, %v, %v", s.ActiveOrderID, found, err)
					}
					load(-time.Second, again(1))
					load(0, again(2))
					time.Sleep(30 * time.Minute)
					load(time.Minute, again(2)) // without a CacheExpiry it is fresh
				}
			})
		})
	}
}

// A session whose CacheExpiry has passed is gone once Load has found it so, also if nothing comes in its place: the database has it no more, or
// what it has is too large.
func TestLoadRemovesAStaleSession(t *testing.T) {
	type cache interface {
		strategy.SessionCache
		strategy.Loader
	}
	large := strategytest.Session("t", "u")
	large.AuthenticationStrategy = strings.Repeat("x", 2<<20)
	for name, c := range map[string]cache{
		"PeerToPeer": strategy.NewPeerToPeerOn(newFakeCluster().node(), strategy.WithCacheExpiry()),
		"InMemory":   strategy.NewInMemory(strategy.InMemoryConfig{CacheExpiry: true}),
	} {
		for _, loaded := range []struct {
			session strategy.CachedSession
			err     error
		}{{err: errNoSession}, {session: large}} {
			stale := strategytest.Session("t", "u")
			stale.CacheExpiry = 1
			if err := c.Set(t.Context(), stale); err != nil {
				t.Fatal(err)
			}
			load := func(context.Context) (strategy.CachedSession, error) { return loaded.session, loaded.err }
			if _, err := c.Load(t.Context(), "t", load); !errors.Is(err, loaded.err) {
				t.Errorf("%s: %v, want %v", name, err, loaded.err)
			}
			if _, found, err := c.Get(t.Context(), "t"); found || err != nil {
				t.Errorf("%s: after a load that gave %v the stale session is there: %v, %v", name, loaded.err, found, err)
			}
		}
	}
}

// What was read from the database before its user was revoked does not take the place of a session whose CacheExpiry has passed.
func TestLoadOverAStaleSessionLosesToRevokeUser(t *testing.T) {
	p := strategy.NewPeerToPeerOn(newFakeCluster().node(), strategy.WithCacheExpiry())
	stale := strategytest.Session("t", "before")
	stale.CacheExpiry = 1
	if err := p.Set(t.Context(), stale); err != nil {
		t.Fatal(err)
	}
	loads := 0
	_, err := p.Load(t.Context(), "t", func(ctx context.Context) (strategy.CachedSession, error) {
		if loads++; loads > 1 {
			return strategy.CachedSession{}, errNoSession
		}
		return strategytest.Session("t", "u"), p.RevokeUser(ctx, "u")
	})
	if loads != 2 || !errors.Is(err, errNoSession) {
		t.Errorf("%d loads, %v", loads, err)
	}
	if _, found, err := p.Get(t.Context(), "t"); found || err != nil {
		t.Errorf("a session of a user who was revoked: %v, %v", found, err)
	}
}
