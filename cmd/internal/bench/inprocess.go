package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

const (
	startWithin = time.Minute
	clusterName = "bench"
)

// selfContained measures a cluster of its own.
func (b *bench) selfContained(ctx context.Context) error {
	memory := b.maxMemory()
	c, err := cluster.Start(cluster.Options{Executable: b.cfg.Executable, Nodes: b.cfg.Nodes, Args: []string{
		"--cluster", clusterName, "--replicas", strconv.Itoa(b.cfg.Replicas), "--log-level", "warn",
		"--max-memory", strconv.FormatInt(memory, 10), "--max-value", strconv.Itoa(max(b.cfg.ValueBytes, 1<<20)),
	}})
	if err != nil {
		return err
	}
	err = b.through(ctx, c, memory)
	return errors.Join(err, c.Close())
}

// maxMemory leaves room for all that is written, in every node, twice.
func (b *bench) maxMemory() int64 {
	return max(256<<20, 4*int64(b.cfg.Keys)*int64(b.cfg.ValueBytes+256))
}

func (b *bench) through(ctx context.Context, c *cluster.Cluster, memory int64) error {
	b.show.say("starting a cluster of %d", b.cfg.Nodes)
	start, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := errors.Join(c.WaitReady(start), c.WaitSettled(start)); err != nil {
		return err
	}
	var near, bare *node.Node // the node in this process, with near copies or without
	defer func() {
		for _, n := range []*node.Node{near, bare} {
			if n != nil {
				_ = n.Close()
			}
		}
	}()
	// The ports come first: after that a process is gone.
	vias := slices.Clone(b.cfg.Via)
	slices.SortStableFunc(vias, func(x, y Via) int { return cmp.Compare(late(x), late(y)) })
	for _, via := range vias {
		var err error
		switch via {
		case RESP:
			err = b.throughPorts(ctx, c)
		case Remote:
			if b.cfg.Nodes <= b.cfg.Replicas {
				return fmt.Errorf("with %d nodes and %d copies every node holds every key: nothing is remote", b.cfg.Nodes, b.cfg.Replicas)
			}
			if bare == nil {
				if bare, err = b.become(ctx, c, &near, memory, true); err != nil {
					return err
				}
			}
			err = b.sweep(ctx, via, b.keys.Only(drawn(via, bare)), []load.Target{nodeTarget{bare}})
		default:
			if near == nil {
				if near, err = b.become(ctx, c, &bare, memory, false); err != nil {
					return err
				}
			}
			var t load.Target = nodeTarget{near}
			keys := b.keys
			if via == Owner {
				keys = keys.Only(drawn(via, near))
			}
			if via == Strategy || via == Shared {
				if t, err = newStrategyTarget(near, b.cfg.ValueBytes, via == Shared); err != nil {
					return err
				}
			}
			err = b.sweep(ctx, via, keys, []load.Target{t})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// late is 1 for a way that needs this process to be a node.
func late(via Via) int {
	if via == RESP {
		return 0
	}
	return 1
}

// throughPorts measures the Redis protocol ports of all nodes of the cluster.
func (b *bench) throughPorts(ctx context.Context, c *cluster.Cluster) error {
	var targets []load.Target
	for _, n := range c.Nodes() {
		t, err := dialAddr(ctx, n.RESP, "", slices.Max(b.cfg.Callers))
		if err != nil {
			return err
		}
		defer t.close()
		targets = append(targets, t)
	}
	return b.sweep(ctx, RESP, b.keys, targets)
}

// become makes this process a node in the place of the last process, or of the node before.
func (b *bench) become(ctx context.Context, c *cluster.Cluster, before **node.Node, memory int64, bare bool) (*node.Node, error) {
	b.show.say("this process takes the place of a node")
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	cfg := node.Config{
		Name: "bench", Replicas: b.cfg.Replicas, Cluster: clusterName, MaxBytes: memory, MaxValueBytes: max(b.cfg.ValueBytes, 1<<20),
		NoNearCopies: bare, Logger: slog.New(slog.DiscardHandler),
	}
	if bare {
		cfg.Name = "bench-bare"
	}
	for _, n := range c.Nodes() {
		cfg.Join = append(cfg.Join, n.Listen)
	}
	if *before != nil {
		err := (*before).Leave(ctx)
		*before = nil
		if err != nil {
			return nil, err
		}
	}
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := b.takePlace(ctx, c, n); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// takePlace lets the last process leave, and waits until n and the rest have come to rest.
func (b *bench) takePlace(ctx context.Context, c *cluster.Cluster, n *node.Node) error {
	select {
	case <-n.Ready():
	case <-ctx.Done():
		return fmt.Errorf("this process does not become a node: %w", ctx.Err())
	}
	last := c.Nodes()[b.cfg.Nodes-1]
	if err := last.Leave(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if st := n.Stats(); st.InSync && st.Settled && st.Pending == 0 && st.Members == b.cfg.Nodes {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster does not come to rest: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// drawn tells which keys are drawn when what is measured is n by a way: those that n owns, those that it holds no copy of, or all.
func drawn(via Via, n *node.Node) func(key string) bool {
	return func(key string) bool {
		at := n.Locate(key)
		switch via {
		case Owner:
			return at.Owner == n.Name()
		case Remote:
			return at.Owner != n.Name() && !slices.Contains(at.Copies, n.Name())
		}
		return true
	}
}

// nodeTarget is a node in this process.
type nodeTarget struct{ node *node.Node }

// Get implements load.Target.
func (t nodeTarget) Get(ctx context.Context, key string) (bool, error) {
	_, found, err := t.node.Get(ctx, key)
	return found, err
}

// Set implements load.Target.
func (t nodeTarget) Set(ctx context.Context, key string, value []byte) error {
	return t.node.Set(ctx, key, value, node.WithTTL(keyLife))
}

// Delete implements load.Target.
func (t nodeTarget) Delete(ctx context.Context, key string) error { return t.node.Delete(ctx, key) }

// strategyTarget keeps sessions in a node in this process.
type strategyTarget struct {
	cache   strategy.SessionCache
	session strategy.CachedSession
}

// newStrategyTarget makes sessions whose JSON has about so many bytes.
func newStrategyTarget(n *node.Node, valueBytes int, shared bool) (strategyTarget, error) {
	channel := strategy.ChannelPermissions{ID: strategy.IntID(1), Token: "default-channel", Code: "__default_channel__"}
	s := strategy.CachedSession{
		CacheExpiry: float64(time.Now().Add(keyLife).Unix()), ID: strategy.IntID(123456), Token: keyPrefix + "0123456789abcdef0123456789abcdef",
		Expires: time.Now().Add(24 * time.Hour), AuthenticationStrategy: "native",
		User: &strategy.CachedSessionUser{ID: strategy.IntID(4711), Identifier: "customer@example.com", Verified: true},
	}
	for {
		s.User.ChannelPermissions = []strategy.ChannelPermissions{channel}
		text, err := s.MarshalJSON()
		if err != nil {
			return strategyTarget{}, err
		}
		if len(text) >= valueBytes {
			opts := []strategy.Option{
				strategy.WithMaxTTL(keyLife),
				strategy.WithLogger(slog.New(slog.DiscardHandler)), // a read that is not sure is counted, as a miss
			}
			if shared {
				opts = append(opts, strategy.WithSharedUsers())
			}
			return strategyTarget{cache: strategy.NewPeerToPeer(n, opts...), session: s}, nil
		}
		channel.Permissions = append(channel.Permissions, fmt.Sprintf("UpdateCustomerGroup%02d", len(channel.Permissions)))
	}
}

// Get implements load.Target.
func (t strategyTarget) Get(ctx context.Context, key string) (bool, error) {
	_, found, err := t.cache.Get(ctx, key)
	return found, err
}

// Set implements load.Target. The session written is as large as the value.
func (t strategyTarget) Set(ctx context.Context, key string, _ []byte) error {
	s := t.session
	s.Token = key
	return t.cache.Set(ctx, s)
}

// Delete implements load.Target.
func (t strategyTarget) Delete(ctx context.Context, key string) error {
	return t.cache.Delete(ctx, key)
}
