package nodetest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/internal/wire"
)

// Cluster is a number of nodes that run within a test. Its methods fail the test when something goes wrong; they must be
// called from the test's own goroutine, while the nodes may be used from any. A node is ended by Kill or Leave, not by its own
// Close.
type Cluster struct {
	t testing.TB
	options
	fabric *fabric

	mu      sync.Mutex
	members []*member
}

type member struct {
	node *node.Node // the latest run
	up   bool
}

// Option changes a Cluster.
type Option func(*options)

type options struct {
	config func(i int, cfg *node.Config)
	wait   time.Duration
	log    bool
}

// WithConfig changes the configuration of node i before it starts, and before it starts again. By default the nodes are
// named "node-0" and so on, listen on free ports of loopback, find each other, split the keys in 257 partitions and settle
// quickly; everything else is as in production. Listen must stay on loopback, and Advertise and Join as they are.
func WithConfig(change func(i int, cfg *node.Config)) Option {
	return func(o *options) { o.config = change }
}

// WithWait bounds how long Start, Restart, Leave and WaitSettled wait before they fail the test. Default 30 s.
func WithWait(d time.Duration) Option {
	return func(o *options) {
		if d > 0 {
			o.wait = d
		}
	}
}

// WithLog writes the log of the nodes to that of the test.
func WithLog() Option { return func(o *options) { o.log = true } }

// Start starts count nodes, at least one, and waits until all are in sync. They end with the test.
func Start(t testing.TB, count int, opts ...Option) *Cluster {
	t.Helper()
	if count < 1 {
		t.Fatalf("nodetest: a cluster of %d nodes", count)
	}
	c := &Cluster{t: t, options: options{wait: 30 * time.Second}, fabric: newFabric()}
	for _, opt := range opts {
		if opt != nil {
			opt(&c.options)
		}
	}
	t.Cleanup(c.close)
	for range count {
		c.start(c.grow())
	}
	c.WaitSettled()
	return c
}

// Len is the number of nodes, those that do not run among them.
func (c *Cluster) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.members)
}

// Node returns node i, counted from 0: its latest run, which may have ended.
func (c *Cluster) Node(i int) *node.Node {
	c.t.Helper()
	return c.member(i).node
}

// Nodes returns the nodes that run, in order.
func (c *Cluster) Nodes() []*node.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var up []*node.Node
	for _, m := range c.members {
		if m.up {
			up = append(up, m.node)
		}
	}
	return up
}

// Add starts one more node, waits until it is in sync, and returns it.
func (c *Cluster) Add() *node.Node {
	c.t.Helper()
	i := c.grow()
	c.start(i)
	c.waitReady(i)
	return c.Node(i)
}

// Kill ends node i at once, without a word to the others, as SIGKILL does. One that does not run is no error.
func (c *Cluster) Kill(i int) {
	c.t.Helper()
	m := c.member(i)
	if !c.down(m) {
		return
	}
	c.fabric.gone(m.node.Addr())
	if err := m.node.Close(); err != nil {
		c.t.Fatalf("nodetest: close %s: %v", m.node.Name(), err)
	}
}

// Leave lets node i hand over and go, as SIGTERM does to a service that calls node.Leave.
func (c *Cluster) Leave(i int) {
	c.t.Helper()
	m := c.member(i)
	if !c.down(m) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.wait)
	defer cancel()
	err := m.node.Leave(ctx)
	c.fabric.gone(m.node.Addr())
	if err != nil {
		c.t.Fatalf("nodetest: %s: %v", m.node.Name(), err)
	}
}

// Restart starts node i again under its name, empty and on another port, after a Kill if it still runs. It waits until the
// node is in sync, and returns it: the earlier one is of no use any more.
func (c *Cluster) Restart(i int) *node.Node {
	c.t.Helper()
	c.Kill(i)
	c.start(i)
	c.waitReady(i)
	return c.Node(i)
}

// Isolate cuts the nodes, as one group, off from all others: what one side sends to the other is lost from now on, and
// neither is told, as behind a firewall that drops.
func (c *Cluster) Isolate(nodes ...int) {
	c.t.Helper()
	for _, i := range nodes {
		c.member(i)
		for j := range c.Len() {
			if !slices.Contains(nodes, j) {
				c.fabric.set(i, j, true)
			}
		}
	}
}

// Heal joins the nodes with all others again; without any, everything.
func (c *Cluster) Heal(nodes ...int) {
	c.t.Helper()
	if len(nodes) == 0 {
		c.fabric.heal()
	}
	for _, i := range nodes {
		c.member(i)
		for j := range c.Len() {
			c.fabric.set(i, j, false)
		}
	}
}

// WaitSettled waits until the nodes that run agree on who is a member, all are in sync and nothing is being handed over.
// Where Isolate has parted them, it waits for the largest part, which goes on without the others if it is a majority.
func (c *Cluster) WaitSettled() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), c.wait)
	defer cancel()
	if !until(ctx, c.settled) {
		c.t.Fatalf("nodetest: the cluster has not settled within %v: %s", c.wait, c.status())
	}
}

// settled tells whether the largest part of the running nodes is in sync in one view of exactly these.
func (c *Cluster) settled() bool {
	part := c.part()
	var first node.Stats
	for k, i := range part {
		s := c.Node(i).Stats()
		if k == 0 {
			first = s
		}
		if !s.InSync || !s.Settled || s.Members != len(part) || s.Chain != first.Chain || s.View != first.View {
			return false
		}
	}
	return true
}

// part returns the largest group of running nodes that reach each other.
func (c *Cluster) part() []int {
	c.mu.Lock()
	up := make([]int, 0, len(c.members))
	for i, m := range c.members {
		if m.up {
			up = append(up, i)
		}
	}
	c.mu.Unlock()
	var best []int
	for _, i := range up {
		var with []int
		for _, j := range up {
			if c.fabric.joined(i, j) {
				with = append(with, j)
			}
		}
		if len(with) > len(best) {
			best = with
		}
	}
	return best
}

// status says how each node is, for a test that fails.
func (c *Cluster) status() string {
	var b strings.Builder
	for _, n := range c.Nodes() {
		s := n.Stats()
		fmt.Fprintf(&b, "\n  %s: view %d of chain %s, %d members, acting %v, in sync %v, settled %v, %d partitions to pull",
			n.Name(), s.View, s.Chain, s.Members, s.Acting, s.InSync, s.Settled, s.Pending)
	}
	return b.String()
}

// grow makes room for one more node, cut off from nobody.
func (c *Cluster) grow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, &member{})
	return len(c.members) - 1
}

func (c *Cluster) member(i int) *member {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < 0 || i >= len(c.members) {
		c.t.Fatalf("nodetest: node %d of %d", i, len(c.members))
	}
	return c.members[i]
}

// down notes that a node does not run from now on, and tells whether it did.
func (c *Cluster) down(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := m.up
	m.up = false
	return was
}

// start starts node i, to join whoever runs.
func (c *Cluster) start(i int) {
	c.t.Helper()
	cfg := node.Config{
		Name: fmt.Sprintf("node-%d", i), Profile: "local", Partitions: 257, VirtualNodes: 40, Settle: 200 * time.Millisecond,
	}
	for _, n := range c.Nodes() {
		cfg.Join = append(cfg.Join, n.Addr())
	}
	if c.log {
		cfg.Logger = slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if c.config != nil {
		c.config(i, &cfg)
	}
	n, err := node.Start(wire.With(context.Background(), c.fabric.wire(i)), cfg)
	if err != nil {
		c.t.Fatalf("nodetest: start %s: %v", cfg.Name, err)
	}
	c.fabric.put(i, n.Addr())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[i].node, c.members[i].up = n, true
}

func (c *Cluster) waitReady(i int) {
	c.t.Helper()
	select {
	case <-c.Node(i).Ready():
	case <-time.After(c.wait):
		c.t.Fatalf("nodetest: node %d is not in sync within %v: %s", i, c.wait, c.status())
	}
}

// close ends all nodes, the network between them, and what memberlist leaves behind.
func (c *Cluster) close() {
	var wg sync.WaitGroup
	for _, n := range c.Nodes() {
		wg.Go(func() {
			if err := n.Close(); err != nil {
				c.t.Errorf("nodetest: close %s: %v", n.Name(), err)
			}
		})
	}
	wg.Wait()
	c.fabric.close()
	waitForProbes()
}

// until polls a condition of the world outside the test, and is false if the context ends first.
func until(ctx context.Context, ok func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
