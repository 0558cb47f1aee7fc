package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

// redisWay is how Redis is spoken to.
type redisWay int

const (
	viaTCP redisWay = iota
	viaUnix
	viaAutoPipeline
	viaWait // each Set waits until a replica has it
)

// commands is what a client and an automatic pipeline have in common.
type commands interface {
	Get(ctx context.Context, key string) *redis.StringCmd
	Set(ctx context.Context, key string, value any, expiration time.Duration) *redis.StatusCmd
	Del(ctx context.Context, keys ...string) *redis.IntCmd
}

type redisPeer struct {
	commands
	client *redis.Client
	wait   bool
}

const keyLife = 15 * time.Minute

func openRedis(way redisWay) func(context.Context, *settings) (load.Target, *load.Keys, func(), error) {
	return func(ctx context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
		most := 128 // as many fill
		for _, n := range s.callers {
			most = max(most, n)
		}
		opts := &redis.Options{
			Addr: s.redisTCP, MaxRetries: -1, PoolSize: most + 16, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}
		if way == viaUnix {
			if s.redisUnix == "" {
				return nil, nil, nil, errors.New("-redis-unix names no socket")
			}
			opts.Network, opts.Addr = "unix", s.redisUnix
		}
		client := redis.NewClient(opts)
		end := func() { _ = client.Close() }
		if err := client.Ping(ctx).Err(); err != nil {
			return nil, nil, end, fmt.Errorf("no Redis: %w", err)
		}
		p := redisPeer{commands: client, client: client, wait: way == viaWait}
		if way == viaAutoPipeline {
			auto, err := client.AutoPipeline()
			if err != nil {
				return nil, nil, end, err
			}
			p.commands, end = auto, func() { _ = auto.Close(); _ = client.Close() }
		}
		return p, s.keys, end, nil
	}
}

func (p redisPeer) Get(ctx context.Context, key string) (bool, error) {
	err := p.commands.Get(ctx, key).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

func (p redisPeer) Set(ctx context.Context, key string, value []byte) error {
	if !p.wait {
		return p.commands.Set(ctx, key, value, keyLife).Err()
	}
	pipe := p.client.Pipeline()
	pipe.Set(ctx, key, value, keyLife)
	copies := pipe.Do(ctx, "wait", 1, 5000)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	if n, err := copies.Int(); err != nil || n < 1 {
		return fmt.Errorf("%d replicas have it: %w", n, err)
	}
	return nil
}

func (p redisPeer) Delete(ctx context.Context, key string) error {
	return p.commands.Del(ctx, key).Err()
}
