package main

import (
	"bufio"
	"container/list"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

var memorySizes = flag.String("memory.sizes", "8192", "sizes of the values that TestMemoryOfTheProcess sets, in bytes, separated by commas")

// build makes the binary as users do: the test's own may have the race detector in it, which takes memory.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "huddle")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// resident is the memory of a process, now and at most, in bytes.
func resident(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("NOT TESTED how much memory a process takes: this needs /proc (%v)", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kb << 10
		case "VmHWM:":
			most = kb << 10
		}
	}
	return now, most
}

// A process with 64 MiB for entries, of whom 1 GiB is asked, takes at most twice that and 64 MiB more; what is read all the time
// stays, and most of what it has room for is there.
func TestMemoryOfTheProcess(t *testing.T) {
	const maxBytes = 64 << 20
	huddle := build(t)
	for text := range strings.SplitSeq(*memorySizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(text+" bytes", func(t *testing.T) {
			c, at := startWith(t, cluster.Options{Executable: huddle, Args: []string{"--max-memory", "64MB"}})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			total := int64(1<<30) / int64(size+200)
			var hot []string
			for i := range 200 {
				hot = append(hot, fmt.Sprint("hot:", i))
				if err := at[i%3].Set(ctx, hot[i], make([]byte, size), 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			key := func(i int64) string { return fmt.Sprint("session:", i) }
			var next, misses, reads atomic.Int64
			var wg sync.WaitGroup
			began := time.Now()
			for w := range 12 {
				wg.Go(func() {
					cl := at[w%3]
					for {
						first := next.Add(100) - 100
						if first >= total {
							return
						}
						_, err := cl.Pipelined(ctx, func(p redis.Pipeliner) error {
							for i := first; i < first+100; i++ {
								value := make([]byte, size)
								_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(value)
								p.Set(ctx, key(i), value, 0)
							}
							return nil
						})
						if err != nil {
							t.Error(err)
							return
						}
						asked, err := cl.Pipelined(ctx, func(p redis.Pipeliner) error { // for sessions that are in use
							for range 100 {
								p.Exists(ctx, hot[rand.IntN(len(hot))])
							}
							return nil
						})
						if err != nil {
							t.Error(err)
							return
						}
						for _, a := range asked {
							reads.Add(1)
							if a.(*redis.IntCmd).Val() == 0 {
								misses.Add(1)
							}
						}
					}
				})
			}
			wg.Wait()
			t.Logf("%d sets of %d bytes in %v, of sessions in use %d of %d reads missed",
				total, size, time.Since(began).Round(time.Millisecond), misses.Load(), reads.Load())
			for _, n := range c.Nodes() {
				now, most := resident(t, n.PID())
				st, err := n.Client().Status(ctx, false)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d MiB resident, %d MiB at most; %d MiB accounted for of %d; %d evictions",
					n.Name, now>>20, most>>20, st.Bytes>>20, st.MaxBytes>>20, st.Evictions)
				if most > 2*maxBytes+64<<20 {
					t.Errorf("%s has taken %d MiB, at most %d are allowed", n.Name, most>>20, (2*maxBytes+64<<20)>>20)
				}
				if st.Bytes > maxBytes || st.Bytes < maxBytes/2 {
					t.Errorf("%s accounts for %d bytes of %d", n.Name, st.Bytes, int64(maxBytes))
				}
			}
			if share := float64(misses.Load()) / float64(reads.Load()); share > 0.02 {
				t.Errorf("%.1f %% of the reads of sessions in use missed", 100*share)
			}
			// The newest sessions are there: as many as half the room of the cluster takes, with their copies.
			newest, found := int64(3*maxBytes*7/8/2/2)/int64(size+200), 0
			sample := min(newest, 3000)
			for i := range sample {
				n, err := at[i%3].Exists(ctx, key(total-1-i*(newest/sample))).Result()
				if err != nil {
					t.Fatal(err)
				}
				found += int(n)
			}
			t.Logf("of the newest %d sessions %d of %d asked for are there", newest, found, sample)
			if float64(found) < 0.7*float64(sample) {
				t.Error("that is too few")
			}
			hitRate(t, c, at, size)
		})
	}
}

// hitRate reads through the full cluster, in Zipf order over four times as many keys as it has room for, and compares the share of
// hits with that of one cache of the same policy and room, simulated beside it. A key is read through one node, as with sessions
// that stick to a replica, or through all in turn.
func hitRate(t *testing.T, c *cluster.Cluster, at []*redis.Client, size int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	entries := 0
	for _, n := range c.Nodes() {
		st, err := n.Client().Status(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		entries += st.Entries
	}
	room := entries / 2 // of each there are two copies
	for _, sticks := range []bool{true, false} {
		least := 0.97
		if !sticks {
			least = 0.88 // each copy sees the reads of its own node alone
		}
		keys, reads := 4*room, min(6*room, 120_000)
		z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(keys-1))
		simulated := sieve{room: room, seen: map[uint64]*list.Element{}}
		hits, ideal, counted := 0, 0, 0
		value := make([]byte, size)
		for first := 0; first < reads; first += 100 {
			w := first / 100 % len(at)
			var batch []uint64
			var got []*redis.IntCmd
			for len(batch) < 100 {
				k := z.Uint64()
				if sticks && int(k)%len(at) != w {
					continue
				}
				batch = append(batch, k)
			}
			key := func(k uint64) string { return fmt.Sprint("page:", sticks, ":", k) }
			_, err := at[w].Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, k := range batch {
					got = append(got, p.StrLen(ctx, key(k)))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = at[w].Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, k := range batch {
					if got[i].Val() == 0 {
						p.Set(ctx, key(k), value, 0)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			warm := first >= reads/2
			for i, k := range batch {
				in := simulated.use(k)
				if !warm {
					continue
				}
				counted++
				if got[i].Val() == int64(size) {
					hits++
				}
				if in {
					ideal++
				}
			}
		}
		have, want := float64(hits)/float64(counted), float64(ideal)/float64(counted)
		t.Logf("a key through one node: %v; %d keys, room for %d: %.3f of %d reads hit, simulated %.3f", sticks, keys, room, have, counted, want)
		if want < 0.3 || have < least*want {
			t.Errorf("the hit rate is %.3f, that of one cache of this room %.3f", have, want)
		}
	}
}

// sieve is the policy by which a store evicts, for a number of keys.
type sieve struct {
	room  int
	order list.List // of *kept, the newest in front
	hand  *list.Element
	seen  map[uint64]*list.Element
}

type kept struct {
	key     uint64
	visited bool
}

// use reads a key, puts it in if it is not there, and tells whether it was.
func (s *sieve) use(key uint64) bool {
	if e := s.seen[key]; e != nil {
		e.Value.(*kept).visited = true
		return true
	}
	for s.order.Len() >= s.room {
		e := s.hand
		if e == nil {
			e = s.order.Back()
		}
		for e.Value.(*kept).visited {
			e.Value.(*kept).visited = false
			if e = e.Prev(); e == nil {
				e = s.order.Back()
			}
		}
		s.hand = e.Prev()
		delete(s.seen, s.order.Remove(e).(*kept).key)
	}
	s.seen[key] = s.order.PushFront(&kept{key: key})
	return false
}
