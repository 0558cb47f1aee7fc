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

func TestPeerToPeerWithoutDecoded(t *testing.T) {
	strategytest.Run(t, func(*testing.T) []strategy.SessionCache {
		return []strategy.SessionCache{strategy.NewPeerToPeerOn(newFakeCluster().node(), strategy.WithDecodedBound(0, 0))}
	})
}
