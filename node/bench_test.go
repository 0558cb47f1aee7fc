package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/ring"
)

const (
	benchKeys  = 20_000
	benchValue = 512
)

// benchCluster is nodes in this process, three unless said otherwise, that hold benchKeys keys.
type benchCluster struct {
	nodes []*Node
	keys  []string
}

func newBenchCluster(b *testing.B, cfg Config) benchCluster { return newBenchClusterOf(b, 3, cfg) }

func newBenchClusterOf(b *testing.B, nodes int, cfg Config) benchCluster {
	b.Helper()
	c := benchCluster{nodes: cluster(b, nodes, cfg)}
	for i := range benchKeys {
		c.keys = append(c.keys, fmt.Sprintf("session:%032x", uint64(i)*0x9e3779b97f4a7c15))
	}
	c.fill(b, c.keys)
	return c
}

func (c benchCluster) fill(b *testing.B, keys []string) {
	b.Helper()
	value := make([]byte, benchValue)
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)); i = next.Add(1) - 1 {
				if c.nodes[i%int64(len(c.nodes))].Set(context.Background(), keys[i], value, WithTTL(time.Hour)) != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d keys could not be set", n)
	}
}

// where returns the keys that the first node owns, has a copy of, or does not hold.
func (c benchCluster) where(place string) []string { return c.whereAt(0, place) }

func (c benchCluster) whereAt(node int, place string) []string {
	var out []string
	name := c.nodes[node].Name()
	for _, k := range c.keys {
		at := c.nodes[node].Locate(k)
		is := "elsewhere"
		switch {
		case at.Owner == name:
			is = "owned"
		case slices.Contains(at.Copies, name):
			is = "copied"
		}
		if is == place {
			out = append(out, k)
		}
	}
	return out
}

// zipf is an order to read n things in.
func zipf(n int) []uint32 {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.05, 1, uint64(n-1))
	out := make([]uint32, 1<<16)
	for i := range out {
		out[i] = uint32(z.Uint64())
	}
	return out
}

// callers lets n of them do do, b.N times in all, and reports the median and the 99th percentile of what one took, and what one used of the
// cores, all nodes together.
func callers(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	took := make([]int64, b.N)
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	used := cpuTime()
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < b.N; i = int(next.Add(1) - 1) {
				begun := time.Now()
				if do(i) != nil {
					failed.Add(1)
				}
				took[i] = int64(time.Since(begun))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-used)/1e3/float64(b.N), "cpu-µs/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2])/1e3, "p50-µs")
	b.ReportMetric(float64(took[b.N*99/100])/1e3, "p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	if n := failed.Load(); n > 0 {
		b.Errorf("%d of %d calls failed", n, b.N)
	}
}

// BenchmarkGet is of what this node holds: as the owner, as a copy, or as a near copy.
func BenchmarkGet(b *testing.B) {
	for _, replicas := range []int{2, 3} {
		c := newBenchCluster(b, Config{Replicas: replicas})
		n, ctx := c.nodes[0], context.Background()
		for _, place := range []string{"owned", "copied", "elsewhere"} {
			keys := c.where(place)
			if len(keys) == 0 {
				continue // with three copies on three nodes nothing is elsewhere
			}
			for _, k := range keys {
				if _, ok, err := n.Get(ctx, k); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
			order := zipf(len(keys))
			name := fmt.Sprintf("%d copies/%s", replicas, place)
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				used := cpuTime()
				for i := 0; b.Loop(); i++ {
					if _, ok, _ := n.Get(ctx, keys[order[i&(len(order)-1)]]); !ok {
						b.Fatal("missed")
					}
				}
				b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
			})
			b.Run(name+"/the store alone", func(b *testing.B) {
				parts := make([]int, len(keys))
				for i, k := range keys {
					parts[i] = ring.PartitionOf(k, n.cfg.Partitions)
				}
				for i := 0; b.Loop(); i++ {
					k := order[i&(len(order)-1)]
					if n.store.Get(parts[k], keys[k]) == nil {
						b.Fatal("missed")
					}
				}
			})
			b.Run(name+"/parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := rand.IntN(len(order)); pb.Next(); i++ {
						if _, ok, _ := n.Get(ctx, keys[order[i&(len(order)-1)]]); !ok {
							b.Error("missed")
						}
					}
				})
			})
		}
		for _, n := range c.nodes {
			n.Close()
		}
	}
}

// BenchmarkGetOverNodes is of near copies, in clusters of more and more nodes: what a read takes of a core, and how often another node
// is asked, which is never. All nodes are in this process, and share its caches: few keys stay there whatever the others do, many do not.
func BenchmarkGetOverNodes(b *testing.B) {
	for _, nodes := range []int{3, 5, 10, 20} {
		c := newBenchClusterOf(b, nodes, Config{})
		n, ctx := c.nodes[0], context.Background()
		for _, many := range []int{100, 5000} {
			keys := c.where("elsewhere")[:many]
			for _, k := range keys {
				if _, ok, err := n.Get(ctx, k); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
			order := zipf(len(keys))
			b.Run(fmt.Sprintf("%d nodes/%d keys", nodes, many), func(b *testing.B) {
				remote := n.Stats().Remote
				for i := 0; b.Loop(); i++ {
					if _, ok, _ := n.Get(ctx, keys[order[i&(len(order)-1)]]); !ok {
						b.Fatal("missed")
					}
				}
				b.ReportMetric(float64(n.Stats().Remote-remote)/float64(b.N), "remote/op")
			})
		}
		for _, n := range c.nodes {
			n.Close()
		}
	}
}

// BenchmarkGetOnNodes is of near copies that are read on one node after the other, and on as many at once as there are cores, one caller on each: what
// more nodes on cores of their own bring. The time of an operation is that of all reading nodes together.
func BenchmarkGetOnNodes(b *testing.B) {
	cores := runtime.GOMAXPROCS(0)
	c := newBenchClusterOf(b, max(3, cores), Config{})
	ctx := context.Background()
	keys := make([][]string, cores)
	for i := range keys {
		keys[i] = c.whereAt(i, "elsewhere")[:1000]
		for _, k := range keys[i] {
			if _, ok, err := c.nodes[i].Get(ctx, k); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	}
	order := zipf(1000)
	remote := func() (n uint64) {
		for _, node := range c.nodes {
			n += node.Stats().Remote
		}
		return n
	}
	for readers := 1; readers <= cores; readers *= 2 {
		b.Run(fmt.Sprintf("%d read", readers), func(b *testing.B) {
			before := remote()
			var missed atomic.Int64
			var wg sync.WaitGroup
			for r := range readers {
				wg.Go(func() {
					n, keys := c.nodes[r], keys[r]
					for i := r; i < b.N; i += readers {
						if _, ok, _ := n.Get(ctx, keys[order[i&(len(order)-1)]]); !ok {
							missed.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if n := missed.Load(); n > 0 {
				b.Fatalf("%d missed", n)
			}
			b.ReportMetric(float64(remote()-before)/float64(b.N), "remote/op")
		})
	}
	for _, n := range c.nodes {
		n.Close()
	}
}

// TestGetAllocates nothing when it hits.
func TestGetAllocates(t *testing.T) {
	n := start(t, Config{})
	ctx := ctxT(t)
	<-n.Ready()
	if err := n.Set(ctx, "k", []byte("v"), WithTTL(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if allocs := testing.AllocsPerRun(1000, func() { n.Get(ctx, "k") }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkGetRemote is of what another node holds, without near copies.
func BenchmarkGetRemote(b *testing.B) {
	c := newBenchCluster(b, Config{NoNearCopies: true})
	n, ctx := c.nodes[0], context.Background()
	keys := c.where("elsewhere")
	for _, at := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", at), func(b *testing.B) {
			callers(b, at, func(i int) error {
				_, _, err := n.Get(ctx, keys[i%len(keys)])
				return err
			})
		})
	}
}

// BenchmarkSet is called on the owner, or on a node that holds nothing of the key.
func BenchmarkSet(b *testing.B) {
	c := newBenchCluster(b, Config{})
	n, ctx := c.nodes[0], context.Background()
	value := make([]byte, benchValue)
	for _, place := range []string{"owned", "elsewhere"} {
		keys := c.where(place)
		for _, at := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d callers", place, at), func(b *testing.B) {
				callers(b, at, func(i int) error { return n.Set(ctx, keys[i%len(keys)], value, WithTTL(time.Hour)) })
			})
		}
	}
}

// BenchmarkDelete is of keys that are there. What it takes to set them is not measured.
func BenchmarkDelete(b *testing.B) {
	c := newBenchCluster(b, Config{})
	n, ctx := c.nodes[0], context.Background()
	for _, at := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", at), func(b *testing.B) {
			keys := make([]string, b.N)
			for i := range keys {
				keys[i] = fmt.Sprintf("ended:%d:%d", at, i)
			}
			c.fill(b, keys)
			callers(b, at, func(i int) error { return n.Delete(ctx, keys[i]) })
		})
	}
}
