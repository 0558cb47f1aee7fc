package strategy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

// BenchmarkGetHit measures a hit in memory: a stand-in for the node, so that what is measured is this package.
func BenchmarkGetHit(b *testing.B) {
	anonymous := strategytest.Session("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "u")
	anonymous.User = nil
	customer := strategytest.Session(anonymous.Token, "u")
	admin := strategytest.Session(anonymous.Token, "u")
	for i := range 80 {
		p := &admin.User.ChannelPermissions[0].Permissions
		*p = append(*p, fmt.Sprintf("UpdateSomething%d", i))
	}
	for _, session := range []struct {
		name string
		s    strategy.CachedSession
	}{{"anonymous", anonymous}, {"customer", customer}, {"admin", admin}} {
		for _, cache := range []struct {
			name string
			c    strategy.SessionCache
		}{
			{"InMemory", strategy.NewInMemory(strategy.InMemoryConfig{})},
			{"PeerToPeer", strategy.NewPeerToPeerOn(newFakeCluster().node())},
		} {
			b.Run(cache.name+"/"+session.name, func(b *testing.B) {
				if err := cache.c.Set(b.Context(), session.s); err != nil {
					b.Fatal(err)
				}
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					if _, found, err := cache.c.Get(ctx, session.s.Token); !found || err != nil {
						b.Fatal(found, err)
					}
				}
			})
		}
	}
}

// BenchmarkStandIn is what of BenchmarkGetHit/PeerToPeer is the stand-in's own.
func BenchmarkStandIn(b *testing.B) {
	n := newFakeCluster().node()
	if err := n.Set(b.Context(), "k", []byte("v"), strategy.SetParams{TTL: time.Hour}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, found, ok := n.Peek("k"); !found || !ok {
			b.Fatal(found, ok)
		}
	}
}

func BenchmarkSessionJSON(b *testing.B) {
	s := strategytest.Session("t", "u")
	text, err := s.MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.MarshalJSON(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decode", func(b *testing.B) {
		for b.Loop() {
			var s strategy.CachedSession
			if err := s.UnmarshalJSON(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
