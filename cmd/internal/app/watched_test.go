package app

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
)

// TestWatchOfAPresentKeyNoticesACut: the entry that was watched is gone with it, so what was read before is not stored in its place.
func TestWatchOfAPresentKeyNoticesACut(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	c := clientOf(t, n)
	ctx := t.Context()
	const adas, bobs = `{"user":{"id":"ada"}}`, `{"user":{"id":"bob"}}`
	for about, cut := range map[string]func() error{
		"cleared":          func() error { return c.FlushDB(ctx).Err() },
		"its user revoked": func() error { return n.InvalidateTags(ctx, strategy.UserTag("ada")) },
	} {
		if err := c.Set(ctx, "k", adas, 0).Err(); err != nil {
			t.Fatal(err)
		}
		err := c.Watch(ctx, func(tx *redis.Tx) error {
			if err := errors.Join(tx.Get(ctx, "k").Err(), cut()); err != nil {
				t.Fatal(err)
			}
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "k", bobs, 0).Err() })
			return err
		}, "k")
		if !errors.Is(err, redis.TxFailedErr) {
			t.Errorf("%s: %v", about, err)
		}
	}
}
