package resp

import (
	"fmt"
	"testing"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

func TestSameAsRedis(t *testing.T) {
	resptest.CompareScripts(t, resptest.Redis(t), start(t, Config{}).Addr())
}

func TestBytesSameAsRedis(t *testing.T) {
	redis := resptest.Redis(t)
	for _, backend := range []FastBackend{fillFake{fastFake{newFake()}}, laterFake{FastBackend: neverFast{newFake()}}} { // at once, and begun by a loop
		resptest.CompareBytes(t, redis, start(t, Config{Backend: backend}).Addr())
	}
}

// TestRandomSameAsRedis sends the same random commands to Redis and to us. With half of the seeds all sets but the smallest are kept in
// parts.
func TestRandomSameAsRedis(t *testing.T) {
	redis := resptest.Redis(t)
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			cfg := Config{Backend: fillFake{fastFake{newFake()}}}
			if seed >= 4 {
				cfg.splitAt = 40
			}
			ours := start(t, cfg).Addr()
			resptest.CompareRandom(t, redis, []string{ours, ours}, resptest.Options{Seed: seed, Commands: 2500, Tickets: true, Parts: seed >= 4})
		})
	}
}
