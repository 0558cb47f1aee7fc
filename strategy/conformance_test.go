package strategy_test

import (
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func TestInMemoryConforms(t *testing.T) {
	strategytest.Run(t, func(*testing.T) strategytest.Cache { return strategy.NewInMemory(strategy.InMemoryConfig{}) })
}

func TestPeerToPeerConforms(t *testing.T) {
	strategytest.Run(t, func(*testing.T) strategytest.Cache {
		return strategy.NewPeerToPeerOn(strategy.NewFake(), strategy.WithReadWait(time.Minute))
	})
}

func TestPeerToPeerConformsWithoutDecodedCache(t *testing.T) {
	strategytest.Run(t, func(*testing.T) strategytest.Cache {
		return strategy.NewPeerToPeerOn(strategy.NewFake(), strategy.WithDecodedBytes(0), strategy.WithReadWait(0))
	})
}
