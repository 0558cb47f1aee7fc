package cluster

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis returns a client of the node's Redis protocol port. It never tries a command twice, so that what it reports is what
// happened, and waits up to wait for an answer.
func (n *Node) Redis(wait time.Duration) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:                     n.RESP,
		MaxRetries:               -1,
		DialTimeout:              time.Second,
		DialerRetries:            1,
		ReadTimeout:              wait,
		WriteTimeout:             wait,
		PoolSize:                 64,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// QuietRedis keeps the Redis client from writing about lost connections to standard error: a node that is killed loses some.
func QuietRedis() { redis.SetLogger(noLog{}) }

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}
