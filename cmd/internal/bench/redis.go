package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
)

// Times of a Redis client.
const (
	answerWait = 10 * time.Second
	keyLife    = 15 * time.Minute // should it be left behind
)

// redisTarget is what speaks the Redis protocol: a node, or Redis.
type redisTarget struct{ client *redis.Client }

// dialAddr connects to host:port or unix:/path.
func dialAddr(ctx context.Context, addr, password string, callers int) (*redisTarget, error) {
	opts := &redis.Options{Addr: addr, Password: password}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		opts.Network, opts.Addr = "unix", path
	}
	return dialRedis(ctx, addr, opts, callers)
}

// CheckURL tells whether url names a Redis. The error does not repeat it: it may hold a password.
func CheckURL(url string) error {
	if _, err := redis.ParseURL(url); err != nil {
		return errors.New("this is no address of a Redis: give redis://host:port, rediss://host:port or unix:///path")
	}
	return nil
}

// dialURL connects to redis://, rediss:// or unix://.
func dialURL(ctx context.Context, url string, callers int) (*redisTarget, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return dialRedis(ctx, opts.Addr, opts, callers)
}

func dialRedis(ctx context.Context, what string, opts *redis.Options, callers int) (*redisTarget, error) {
	opts.MaxRetries = -1 // what is reported is what happened
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = 2*time.Second, answerWait, answerWait
	opts.PoolSize = callers + 16
	opts.PoolTimeout = answerWait
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	t := &redisTarget{client: redis.NewClient(opts)}
	if err := t.client.Ping(ctx).Err(); err != nil {
		t.close()
		return nil, fmt.Errorf("%s does not answer: %w", what, err)
	}
	return t, nil
}

// Get implements load.Target.
func (t *redisTarget) Get(ctx context.Context, key string) (bool, error) {
	err := t.client.Get(ctx, key).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// Set implements load.Target.
func (t *redisTarget) Set(ctx context.Context, key string, value []byte) error {
	return t.client.Set(ctx, key, value, keyLife).Err()
}

// Delete implements load.Target.
func (t *redisTarget) Delete(ctx context.Context, key string) error {
	return t.client.Del(ctx, key).Err()
}

// reusable fails where a deleted key cannot be set again: the keys would be dead for a later run, and so many revocations push out
// those of sessions.
func (t *redisTarget) reusable(ctx context.Context) error {
	key := keyPrefix + "again:" + rand.Text()
	for range 2 {
		err := t.client.Set(ctx, key, "", keyLife).Err()
		if err == nil {
			err = t.Delete(ctx, key)
		}
		switch {
		case redis.HasErrorPrefix(err, "REVOKED"):
			return fmt.Errorf("the deletion of a key is final there (--delete=revoke); to measure it give its nodes a --revoke-prefix that does not concern %q", keyPrefix)
		case err != nil:
			return fmt.Errorf("the keys cannot be written to %s: %w", RESP, err)
		}
	}
	return nil
}

// forget removes the keys of all runs. What cannot be removed ends by itself, after keyLife.
func (t *redisTarget) forget(k *load.Keys) {
	const batch = 500
	for names := range slices.Chunk(slices.Concat(k.Names(), k.Others()), batch) {
		ctx, cancel := context.WithTimeout(context.Background(), answerWait)
		err := t.client.Unlink(ctx, names...).Err()
		cancel()
		var refused redis.Error
		if err != nil && !errors.As(err, &refused) {
			return // it does not answer
		}
	}
}

func (t *redisTarget) close() { _ = t.client.Close() }
