package strategy_test

import (
	"testing"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func TestInMemory(t *testing.T) {
	strategytest.Run(t, func(*testing.T) []strategy.SessionCache {
		return []strategy.SessionCache{strategy.NewInMemory(strategy.InMemoryConfig{})}
	})
}

func TestPeerToPeer(t *testing.T) {
	strategytest.Run(t, func(*testing.T) []strategy.SessionCache {
		cluster := newFakeCluster()
		var caches []strategy.SessionCache
		for range 3 {
			caches = append(caches, strategy.NewPeerToPeerOn(cluster.node()))
		}
		return caches
	})
}

func TestSharedUsers(t *testing.T) {
	for name, open := range map[string]func(shared bool) strategy.SessionCache{
		"PeerToPeer": func(shared bool) strategy.SessionCache {
			var opts []strategy.Option
			if shared {
				opts = append(opts, strategy.WithSharedUsers())
			}
			return strategy.NewPeerToPeerOn(newFakeCluster().node(), opts...)
		},
		"InMemory": func(shared bool) strategy.SessionCache {
			return strategy.NewInMemory(strategy.InMemoryConfig{SharedUsers: shared})
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := strategytest.Session("t", "u")
			for _, shared := range []bool{false, true} {
				c := open(shared)
				if err := c.Set(t.Context(), want); err != nil {
					t.Fatal(err)
				}
				get := func() strategy.CachedSession {
					s, found, err := c.Get(t.Context(), want.Token)
					if !found || err != nil || s.UserID() != "u" || s.User == want.User {
						t.Fatal(s, found, err)
					}
					return s
				}
				get() // decodes it
				first, second := get(), get()
				if (first.User == second.User) != shared {
					t.Errorf("shared %v, and the users of two reads are at %p and %p", shared, first.User, second.User)
				}
				first.ActiveOrderID, first.Token = strategy.IntID(7), "changed" // the caller's own in any case
				if s := get(); s.Token != want.Token || s.ActiveOrderID != want.ActiveOrderID {
					t.Errorf("a caller has changed what others read: %v", s)
				}
				own := get().Clone()
				own.User.Identifier = "changed"
				if s := get(); s.User.Identifier != want.User.Identifier {
					t.Error("a Clone is not the caller's own")
				}
			}
		})
	}
}

func TestPeerToPeerWithoutDecoded(t *testing.T) {
	strategytest.Run(t, func(*testing.T) []strategy.SessionCache {
		return []strategy.SessionCache{strategy.NewPeerToPeerOn(newFakeCluster().node(), strategy.WithDecodedBound(0, 0))}
	})
}
