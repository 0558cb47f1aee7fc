// Package bench measures a cluster under load: over the Redis protocol, and from inside a process that is a node itself.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// Via is the way that load takes to the cluster.
type Via string

// The ways.
const (
	// RESP is the Redis protocol port of every node in turn.
	RESP Via = "resp"
	// Node is node.Get, Set and Delete in this process, which is one of the nodes.
	Node Via = "node"
	// Strategy is a strategy.PeerToPeer on such a node: sessions are encoded, and decoded ones are kept.
	Strategy Via = "strategy"
	// Shared is Strategy with users that readers share, and so do not copy.
	Shared Via = "shared"
	// Owner is Node, but only of keys that this process owns: a write asks the copies alone.
	Owner Via = "owner"
	// Remote is Node, but only of keys that other nodes hold, and without near copies: every call asks another process.
	Remote Via = "remote"
	// Redis is the server to compare with.
	Redis Via = "redis"
)

// inProcess tells whether calls are answered from this process's memory, once what other nodes hold has been read.
func (v Via) inProcess() bool { return v == Node || v == Owner || v == Strategy || v == Shared }

// revokes tells that a log-out is final for its key: it cannot be written again.
func (v Via) revokes() bool { return v == Strategy || v == Shared }

// ParseVias finds ways by their names.
func ParseVias(names []string) ([]Via, error) {
	var out []Via
	for _, name := range names {
		switch v := Via(name); v {
		case RESP, Node, Owner, Strategy, Shared, Remote:
			out = append(out, v)
		default:
			return nil, fmt.Errorf("%q is no way to the cluster: there are resp, node, owner, strategy, shared, remote", name)
		}
	}
	return out, nil
}

// Bounds of Config.
const (
	MaxNodes   = 20
	MaxCallers = 4096
	MaxKeys    = 10_000_000
	MaxValue   = 1 << 20
)

// Config describes a measurement. All fields are to be set but those that say otherwise.
type Config struct {
	Workloads  []load.Workload
	Callers    []int // each is a run of its own
	Keys       int
	Skew       float64 // of Zipf's law; 0: all keys alike
	ValueBytes int
	For        time.Duration // of each run; 0: no bound
	Requests   int64         // of each run; 0: no bound
	Warm       time.Duration
	Seed       uint64

	// SelfContained starts Nodes processes, this one being one of them where Via says so. Otherwise the cluster is the one
	// behind Addrs.
	SelfContained bool
	Nodes         int
	Replicas      int
	Via           []Via // SelfContained only
	// Executable is the binary whose "serve" is run. Default: this one.
	Executable string

	Addrs    []string // Redis protocol ports, host:port or unix:/path
	Password string   // of Addrs; may be empty

	// Compare is the URL of a Redis that gets the same load; may be empty.
	Compare string

	Out  io.Writer // the results
	Err  io.Writer // progress
	JSON bool      // results as JSON
}

// keyPrefix begins all keys, so that what else is kept there is left alone.
const keyPrefix = "huddle-bench:"

// Run measures, prints, and leaves no process and no key of its own behind. When ctx ends, what has been measured until
// then is printed, and the error is nil.
func Run(ctx context.Context, cfg Config) error {
	cluster.QuietRedis()
	b := newBench(cfg)
	err := b.run(ctx)
	interrupted := ctx.Err() != nil
	if interrupted && (errors.Is(err, ctx.Err()) || len(b.runs) > 0) {
		err = nil
	}
	if err != nil && len(b.runs) == 0 {
		b.show.end()
		return err
	}
	return errors.Join(b.report(interrupted), err)
}

type bench struct {
	cfg   Config
	show  *show
	keys  *load.Keys
	redis *redisTarget // to compare with; nil: none
	runs  []Measured
	sets  uint64 // of keys that were made
}

func newBench(cfg Config) *bench {
	b := &bench{cfg: cfg, show: newShow(cfg)}
	b.keys = b.newKeys()
	return b
}

// newKeys makes keys that were not used before.
func (b *bench) newKeys() *load.Keys {
	b.sets++
	return load.NewKeys(keyPrefix, b.cfg.Keys, b.cfg.Skew, b.cfg.Seed+b.sets-1)
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.cfg.Compare != "" {
		if b.redis, err = dialURL(ctx, b.cfg.Compare, slices.Max(b.cfg.Callers)); err != nil {
			return fmt.Errorf("--compare: %w", err)
		}
		defer b.redis.close()
		defer func() { b.redis.forget(b.keys) }()
	}
	if b.cfg.SelfContained {
		return b.selfContained(ctx)
	}
	var targets []load.Target
	for _, addr := range b.cfg.Addrs {
		t, err := dialAddr(ctx, addr, b.cfg.Password, slices.Max(b.cfg.Callers))
		if err != nil {
			var network *net.OpError
			switch {
			case errors.Is(err, io.EOF):
				err = fmt.Errorf("%w; TLS (--resp-tls-cert of serve) is not spoken here", err)
			case errors.As(err, &network):
				err = fmt.Errorf("%w; start a node with \"huddle serve\", name others with --resp, or take --self-contained", err)
			}
			return err
		}
		defer t.close()
		targets = append(targets, t)
	}
	first := targets[0].(*redisTarget)
	if err := first.reusable(ctx); err != nil {
		return err
	}
	defer first.forget(b.keys)
	return b.sweep(ctx, RESP, b.keys, targets)
}

// sweep measures every workload with every number of callers, and Redis beside it.
func (b *bench) sweep(ctx context.Context, via Via, keys *load.Keys, targets []load.Target) error {
	beside := via == RESP && b.redis != nil
	if via.revokes() && slices.ContainsFunc(b.cfg.Workloads, load.Workload.Spoils) {
		keys = b.newKeys() // whoever comes next finds those of before as they are
	}
	fill := func() error {
		if err := b.fill(ctx, via, keys, targets...); err != nil {
			return err
		}
		if via.inProcess() {
			load.Touch(ctx, keys, targets...)
		}
		if beside {
			return b.fill(ctx, Redis, keys, b.redis)
		}
		return nil
	}
	if err := fill(); err != nil {
		return err
	}
	spoilt := false
	for _, w := range b.cfg.Workloads {
		for _, callers := range b.cfg.Callers {
			if spoilt {
				if via.revokes() {
					keys = b.newKeys()
				}
				if err := fill(); err != nil {
					return err
				}
			}
			spoilt = w.Spoils()
			b.measure(ctx, via, w, callers, keys, targets...)
			if beside && ctx.Err() == nil {
				b.measure(ctx, Redis, w, callers, keys, b.redis)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

func (b *bench) fill(ctx context.Context, via Via, keys *load.Keys, targets ...load.Target) error {
	n := len(keys.Names())
	err := load.Fill(ctx, keys, b.cfg.ValueBytes, func(done int64) { b.show.filling(via, done, int64(n)) }, targets...)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("the keys cannot be written to %s: %w", via, err)
	}
	return err
}

// sampled is how many Gets in this process stand behind each that is timed.
const sampled = 16

func (b *bench) measure(ctx context.Context, via Via, w load.Workload, callers int, keys *load.Keys, targets ...load.Target) {
	r := load.Run{
		Workload: w, Keys: keys, Callers: callers, ValueBytes: b.cfg.ValueBytes, For: b.cfg.For, Requests: b.cfg.Requests, Warm: b.cfg.Warm,
		Progress: func(done int64, elapsed time.Duration) { b.show.running(via, w, callers, done, elapsed) },
	}
	if via.inProcess() {
		r.Sample = sampled
	}
	m := Measured{Via: via, Result: r.Do(ctx, targets...)}
	if m.Requests == 0 {
		return // interrupted before it began
	}
	b.runs = append(b.runs, m)
	b.show.measured(m)
}
