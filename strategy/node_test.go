package strategy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

// startNodes starts a cluster of real nodes on loopback and waits until all are in sync.
func startNodes(t testing.TB, count int) []*node.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var nodes []*node.Node
	for i := range count {
		cfg := node.Config{Name: fmt.Sprintf("n%d", i)}
		if i > 0 {
			cfg.Join = []string{nodes[0].Addr()}
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
			t.Fatalf("Start: %v", err)
		}
		t.Cleanup(func() {
			if err := n.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		nodes = append(nodes, n)
	}
	for i, n := range nodes {
		select {
		case <-n.Ready():
		case <-ctx.Done():
			t.Fatalf("node %d is not in sync after 30 s", i)
		}
	}
	for len(nodes[0].Members()) < count || !nodes[0].Stats().Settled {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the cluster has not settled after 30 s")
		}
	}
	return nodes
}

func TestPeerToPeerOnNodes(t *testing.T) {
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d", count), func(t *testing.T) {
			nodes := startNodes(t, count)
			round := 0
			strategytest.Run(t, func(t *testing.T) []strategy.SessionCache {
				// The tests share the nodes: a prefix of its own gives each an empty cache, also of dead tokens.
				round++
				var caches []strategy.SessionCache
				for _, n := range nodes {
					caches = append(caches, strategy.NewPeerToPeer(n,
						strategy.WithKeyPrefix(fmt.Sprintf("r%d:", round)), strategy.WithReadWait(2*time.Second)))
				}
				return caches
			})
		})
	}
}

func TestStoresOnNodes(t *testing.T) {
	nodes := startNodes(t, 3)
	a, b := strategy.NewSCSStore(nodes[0]), strategy.NewSCSStore(nodes[2])
	for i := range 50 {
		if err := a.Commit(fmt.Sprintf("t%d", i), []byte("x"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.All()
	if err != nil || len(all) != 50 {
		t.Fatalf("All = %d sessions, error %v; want 50", len(all), err)
	}
	f, g := strategy.NewFiberStorage(nodes[1]), strategy.NewFiberStorage(nodes[2])
	if err := f.Set("k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	if v, err := g.Get("k"); string(v) != "v" || err != nil {
		t.Fatalf("Get = %q, %v", v, err)
	}
	if err := g.Reset(); err != nil {
		t.Fatal(err)
	}
	if v, err := f.Get("k"); v != nil || err != nil {
		t.Fatalf("Get after Reset = %q, %v", v, err)
	}
	if _, found := find(t, b, "t7"); !found {
		t.Fatal("Reset of the Fiber storage took the sessions of scs")
	}
}

func BenchmarkGetHitOnNode(b *testing.B) {
	p := strategy.NewPeerToPeer(startNodes(b, 1)[0])
	session := strategytest.Session("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "u")
	if err := p.Set(b.Context(), session); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, found, err := p.Get(ctx, session.Token); !found || err != nil {
			b.Fatal(found, err)
		}
	}
}
