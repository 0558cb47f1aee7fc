package strategy_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func TestPeerToPeerOnNodes(t *testing.T) {
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d", count), func(t *testing.T) {
			// A lease that outlasts what a loaded machine may take: a moment without certainty is a miss, and a failure here.
			nodes := nodetest.Start(t, count, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Lease = 10 * time.Second })).Nodes()
			round := 0
			strategytest.Run(t, func(t *testing.T) []strategy.SessionCache {
				// The tests share the nodes: a prefix of its own gives each an empty cache, also of dead tokens.
				round++
				var caches []strategy.SessionCache
				for _, n := range nodes {
					caches = append(caches, strategy.NewPeerToPeer(n,
						strategy.WithKeyPrefix(fmt.Sprintf("r%d:", round)), strategy.WithReadWait(20*time.Second)))
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
	ownAndShared(b, benchmarkGetHit)
}

// ownAndShared runs a benchmark of sessions that are the caller's own, and of such as share their users.
func ownAndShared(b *testing.B, run func(*testing.B, ...strategy.Option)) {
	b.Run("own", func(b *testing.B) { run(b) })
	b.Run("shared", func(b *testing.B) { run(b, strategy.WithSharedUsers()) })
}

func benchmarkGetHit(b *testing.B, opts ...strategy.Option) {
	p := strategy.NewPeerToPeer(nodetest.Start(b, 1).Node(0), opts...)
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

// BenchmarkGetManyOnNode reads 100,000 sessions of 512 bytes, some of them far more often than others (Zipf's law, 1.05).
func BenchmarkGetManyOnNode(b *testing.B) {
	ownAndShared(b, benchmarkGetMany)
}

func benchmarkGetMany(b *testing.B, opts ...strategy.Option) {
	p := strategy.NewPeerToPeer(nodetest.Start(b, 1).Node(0), opts...)
	session := strategytest.Session("", "u")
	for i := range 6 {
		permissions := &session.User.ChannelPermissions[0].Permissions
		*permissions = append(*permissions, fmt.Sprintf("UpdateCustomerGroup%02d", i))
	}
	tokens := make([]string, 100_000)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("%064x", uint64(i)*0x9e3779b97f4a7c15)
		session.Token = tokens[i]
		if err := p.Set(b.Context(), session); err != nil {
			b.Fatal(err)
		}
	}
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.05, 1, uint64(len(tokens)-1))
	order := make([]uint32, 1<<20)
	for i := range order {
		order[i] = uint32(zipf.Uint64())
	}
	ctx, i := b.Context(), 0
	next := func() string { // read, as the token of a request has been
		i++
		token := tokens[order[i&(len(order)-1)]]
		runtime.KeepAlive(strings.IndexByte(token, 0))
		return token
	}
	get := func(token string) {
		if _, found, err := p.Get(ctx, token); !found || err != nil {
			b.Fatal(found, err)
		}
	}
	for range order {
		get(next())
	}
	var took []int64
	b.ReportAllocs()
	for b.Loop() {
		token := next()
		if i&15 != 0 {
			get(token)
			continue
		}
		begun := time.Now()
		get(token)
		took = append(took, int64(time.Since(begun)))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
}
