package strategy_test

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// fakeCluster is what nodes share, in memory and always right.
type fakeCluster struct {
	mu      sync.Mutex
	clock   uint64
	entries map[string]node.Entry
	ends    map[string]time.Time
	changed map[string]uint64
	dead    map[string]time.Time
	cuts    map[string]uint64 // by tag; "" is Clear
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{
		entries: map[string]node.Entry{}, ends: map[string]time.Time{}, changed: map[string]uint64{},
		dead: map[string]time.Time{}, cuts: map[string]uint64{},
	}
}

// fakeNode is a handle on the cluster on which faults can be injected.
type fakeNode struct {
	*fakeCluster
	faultMu sync.Mutex
	fault   func(ctx context.Context, op, key string) error
}

func (c *fakeCluster) node() *fakeNode { return &fakeNode{fakeCluster: c} }

// on sets the fault; nil ends it.
func (n *fakeNode) on(fault func(ctx context.Context, op, key string) error) {
	n.faultMu.Lock()
	n.fault = fault
	n.faultMu.Unlock()
}

func (n *fakeNode) try(ctx context.Context, op, key string) error {
	n.faultMu.Lock()
	fault := n.fault
	n.faultMu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx, op, key)
}

func (c *fakeCluster) live(key string) (node.Entry, bool) {
	e, ok := c.entries[key]
	if end, has := c.ends[key]; ok && has && !time.Now().Before(end) {
		c.drop(key)
		return node.Entry{}, false
	}
	return e, ok
}

func (c *fakeCluster) drop(key string) {
	delete(c.entries, key)
	delete(c.ends, key)
}

// Peek answers unless there is a fault to try.
func (n *fakeNode) Peek(key string) (node.Entry, bool, bool) {
	n.faultMu.Lock()
	faulty := n.fault != nil
	n.faultMu.Unlock()
	if faulty {
		return node.Entry{}, false, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, found := n.live(key)
	return e, found, true
}

func (n *fakeNode) Lookup(ctx context.Context, key string) (node.Entry, bool, error) {
	e, found, _, err := n.LookupOrTicket(ctx, key)
	return e, found, err
}

func (n *fakeNode) LookupOrTicket(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error) {
	if err := n.try(ctx, "lookup", key); err != nil {
		return node.Entry{}, false, node.Ticket{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.live(key)
	return e, ok, node.Ticket{Clock: n.clock}, nil
}

func (n *fakeNode) LookupAtOwner(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error) {
	return n.LookupOrTicket(ctx, key)
}

func (n *fakeNode) Set(ctx context.Context, key string, value []byte, how strategy.SetParams) error {
	if err := n.try(ctx, "set", key); err != nil {
		return err
	}
	if len(key) > 1024 || len(value) > 1<<20 {
		return node.ErrTooLarge
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, present := n.live(key)
	switch end, dead := n.dead[key]; {
	case dead && time.Now().Before(end):
		return node.ErrRevoked
	case how.IfAbsent && present, how.IfPresent && !present:
		return node.ErrCondition
	case how.Fill && n.stale(key, how):
		return node.ErrStaleFill
	}
	n.clock++
	n.changed[key] = n.clock
	n.entries[key] = node.Entry{Value: bytes.Clone(value), Version: n.clock, TTL: how.TTL, Tags: how.Tags, Memo: new(node.Memo)}
	delete(n.ends, key)
	if how.TTL > 0 {
		n.ends[key] = time.Now().Add(how.TTL)
	}
	return nil
}

func (c *fakeCluster) stale(key string, how strategy.SetParams) bool {
	after := how.Ticket.Clock
	for _, tag := range append(slices.Clone(how.Tags), "") {
		if c.cuts[tag] > after {
			return true
		}
	}
	return c.changed[key] > after
}

func (n *fakeNode) Delete(ctx context.Context, key string, revoke bool) error {
	if err := n.try(ctx, "delete", key); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock++
	n.changed[key] = n.clock
	n.drop(key)
	if revoke {
		n.dead[key] = time.Now().Add(time.Hour)
	}
	return nil
}

func (n *fakeNode) DeleteIfVersion(ctx context.Context, key string, version uint64) error {
	if err := n.try(ctx, "delete", key); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.live(key); !ok || e.Version != version {
		return node.ErrCondition
	}
	n.clock++
	n.changed[key] = n.clock
	n.drop(key)
	return nil
}

// DeleteAbsent finds nothing to remove: there are no copies.
func (n *fakeNode) DeleteAbsent(ctx context.Context, key string, _ node.Ticket) error {
	return n.try(ctx, "delete", key)
}

func (n *fakeNode) Clear(ctx context.Context) error {
	if err := n.try(ctx, "clear", ""); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock++
	n.cuts[""] = n.clock
	clear(n.entries)
	clear(n.ends)
	return nil
}

func (n *fakeNode) InvalidateTags(ctx context.Context, tags ...string) error {
	if err := n.try(ctx, "cut", ""); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock++
	for _, tag := range tags {
		n.cuts[tag] = n.clock
		for key, e := range n.entries {
			if slices.Contains(e.Tags, tag) {
				n.drop(key)
			}
		}
	}
	return nil
}

func (n *fakeNode) Scan(ctx context.Context, cursor uint64, count int) ([]string, uint64, error) {
	if err := n.try(ctx, "scan", ""); err != nil {
		return nil, 0, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var keys []string
	for key := range n.entries {
		if _, ok := n.live(key); ok {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	keys = keys[min(int(cursor), len(keys)):]
	if len(keys) > count {
		return keys[:count], cursor + uint64(count), nil
	}
	return keys, 0, nil
}
