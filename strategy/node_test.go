package strategy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func TestPeerToPeerOnNodes(t *testing.T) {
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d", count), func(t *testing.T) {
			nodes := nodetest.Start(t, count).Nodes()
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
	nodes := nodetest.Start(t, 3).Nodes()
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
	p := strategy.NewPeerToPeer(nodetest.Start(b, 1).Node(0))
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
