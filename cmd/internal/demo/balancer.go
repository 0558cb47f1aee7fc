package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/latency"
)

// How the balancer works.
const (
	patience    = 15 * time.Second       // a request that no node has answered within this has failed
	retryPause  = 20 * time.Millisecond  // before a request goes to another node
	healthEvery = 200 * time.Millisecond // between two readiness checks
)

// replica stands for one replica of the shop: a node beside it, and what was measured on it.
type replica struct {
	node    *cluster.Node
	redis   *redis.Client
	healthy atomic.Bool
	reads   atomic.Uint64
	window  latency.Histogram // reads since the table was last drawn
}

// balancer sends each request to some healthy replica, as the load balancer before a shop does, and to another one when that
// fails.
type balancer struct {
	replicas []*replica
	retries  atomic.Uint64
}

func newBalancer(nodes []*cluster.Node) *balancer {
	b := &balancer{}
	for _, n := range nodes {
		r := &replica{node: n, redis: n.Redis(7 * time.Second)}
		r.healthy.Store(true)
		b.replicas = append(b.replicas, r)
	}
	return b
}

func (b *balancer) close() {
	for _, r := range b.replicas {
		_ = r.redis.Close() // its connections end with it
	}
}

// warmUp has each replica asked for some keys that are not there, so that what is measured next is neither the making of connections nor the
// first run of anything. What fails will be noticed when it counts.
func (b *balancer) warmUp(ctx context.Context) {
	for _, r := range b.replicas {
		for i := range 16 {
			_ = r.redis.Get(ctx, fmt.Sprint("warm-up:", i)).Err()
		}
	}
}

// watch checks the health of the replicas until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		for _, r := range b.replicas {
			probe, cancel := context.WithTimeout(ctx, time.Second)
			r.healthy.Store(r.node.Client().Ready(probe))
			cancel()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// pick chooses a healthy replica, and not the one that has just failed if there is another.
func (b *balancer) pick(failed *replica) *replica {
	healthy := slices.DeleteFunc(b.healthy(), func(r *replica) bool { return r == failed })
	if len(healthy) == 0 {
		if failed != nil && failed.healthy.Load() {
			return failed
		}
		return b.replicas[rand.IntN(len(b.replicas))]
	}
	return healthy[rand.IntN(len(healthy))]
}

// reply is what a request came to.
type reply struct {
	value string
	found bool
	by    *replica
	took  time.Duration // including failed attempts
}

// errNoAnswer: no replica answered within patience.
var errNoAnswer = errors.New("no replica answered")

// get reads key through some replica.
func (b *balancer) get(ctx context.Context, key string) (reply, error) {
	return b.send(ctx, nil, func(ctx context.Context, r *replica) (string, bool, error) { return r.get(ctx, key) })
}

// set writes key through some replica.
func (b *balancer) set(ctx context.Context, key, value string) (reply, error) {
	return b.send(ctx, nil, func(ctx context.Context, r *replica) (string, bool, error) {
		return "", true, r.redis.Set(ctx, key, value, time.Hour).Err()
	})
}

// del deletes key through some replica.
func (b *balancer) del(ctx context.Context, key string) (reply, error) {
	return b.send(ctx, nil, func(ctx context.Context, r *replica) (string, bool, error) {
		return "", true, r.redis.Del(ctx, key).Err()
	})
}

// getFrom reads key through r, however often that takes.
func (b *balancer) getFrom(ctx context.Context, r *replica, key string) (reply, error) {
	return b.send(ctx, r, func(ctx context.Context, r *replica) (string, bool, error) { return r.get(ctx, key) })
}

// get reads key. What it measures is the time of the answer, found or not.
func (r *replica) get(ctx context.Context, key string) (string, bool, error) {
	begun := time.Now()
	value, err := r.redis.Get(ctx, key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", false, err
	}
	r.window.Record(time.Since(begun))
	r.reads.Add(1)
	return value, err == nil, nil
}

// send tries replicas, or only the given one, until one answers. Its errors are errNoAnswer and the end of ctx.
func (b *balancer) send(ctx context.Context, only *replica, do func(context.Context, *replica) (string, bool, error)) (reply, error) {
	begun := time.Now()
	op, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var failed *replica
	for {
		r := only
		if r == nil {
			r = b.pick(failed)
		}
		value, found, err := do(op, r)
		if err == nil {
			return reply{value: value, found: found, by: r, took: time.Since(begun)}, nil
		}
		if ctx.Err() != nil {
			return reply{}, ctx.Err()
		}
		if op.Err() != nil {
			return reply{by: r, took: time.Since(begun)}, fmt.Errorf("%w within %v; the last said: %w", errNoAnswer, patience, err)
		}
		b.retries.Add(1)
		failed = r
		select {
		case <-op.Done():
		case <-time.After(retryPause):
		}
	}
}

// healthy are the replicas that requests go to.
func (b *balancer) healthy() []*replica {
	var out []*replica
	for _, r := range b.replicas {
		if r.healthy.Load() {
			out = append(out, r)
		}
	}
	return out
}
