package node

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var floodDeletes = flag.Int("flood.deletes", 200_000, "how many random tokens TestFloodOfDeletes deletes; 10000000 take a while")

// A flood of deletes of random tokens, half of them for good, takes no more memory than is allowed, and pushes out no live
// session: not while it lasts, and not when nodes come and go afterwards.
func TestFloodOfDeletes(t *testing.T) {
	const sessions, maxBytes = 3000, 16 << 20
	ns := cluster(t, 3, Config{MaxBytes: maxBytes, MaxValueBytes: 64 << 10, Retention: 24 * time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	key := func(i int) string { return fmt.Sprint("session:", i) }
	value := make([]byte, 300)
	for i := range sessions {
		if err := ns[i%3].Set(ctx, key(i), value); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(when string, of ...*Node) {
		t.Helper()
		lost := 0
		for i := range sessions {
			if _, ok, err := of[i%len(of)].Get(ctx, key(i)); !ok || err != nil {
				if lost++; lost == 1 {
					t.Errorf("%s: %s is lost: %v", when, key(i), err)
				}
			}
		}
		if lost > 0 {
			t.Errorf("%s: %d of %d sessions are lost", when, lost, sessions)
		}
		for _, n := range of {
			if st := n.Stats(); st.Bytes > maxBytes {
				t.Errorf("%s: %s holds %d bytes, %d are allowed", when, n.Name(), st.Bytes, int64(maxBytes))
			}
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	var next, most atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(*floodDeletes) {
					return
				}
				n := ns[i%3]
				var opts []DeleteOption
				if i%2 == 0 {
					opts = append(opts, Revoke())
				}
				if err := n.Delete(ctx, fmt.Sprintf("random:%016x", rand.Uint64()), opts...); err != nil {
					t.Error(err)
					return
				}
				if i%1000 == 0 {
					if b := n.Stats().Bytes; b > most.Load() {
						most.Store(b)
					}
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d deletes in %v; a node held %d bytes at most, %d are allowed; heap %d MiB before, %d MiB after, for three nodes",
		*floodDeletes, took.Round(time.Millisecond), most.Load(), int64(maxBytes), before.HeapAlloc>>20, after.HeapAlloc>>20)
	if most.Load() > maxBytes {
		t.Errorf("a node held %d bytes, %d are allowed", most.Load(), int64(maxBytes))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3*maxBytes {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	kept("after the flood", ns...)
	joiner := start(t, Config{
		Name: "n3", Join: []string{ns[0].Addr()}, MaxBytes: maxBytes, MaxValueBytes: 64 << 10, Retention: 24 * time.Hour,
		Partitions: ns[0].cfg.Partitions, VirtualNodes: ns[0].cfg.VirtualNodes, Load: ns[0].cfg.Load,
	})
	settled(t, append([]*Node{joiner}, ns...)...)
	kept("after a node has come", append([]*Node{joiner}, ns...)...)
	if err := joiner.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	settled(t, ns...)
	kept("after it has gone", ns...)
	if err := ns[1].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	settled(t, ns[0], ns[2])
	kept("after another has gone", ns[0], ns[2])
}
