package resp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestWritesOfAPipelineAreMadeAtOnce: once a write has taken time, none of those that follow is answered before all are under way.
func TestWritesOfAPipelineAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	const n = 16
	f := newFake()
	all := together(n)
	f.write = func(ctx context.Context, key string) error {
		if strings.HasPrefix(key, "first") {
			time.Sleep(2 * slowWrite)
			return nil
		}
		return all(ctx)
	}
	w := dial(t, start(t, Config{Backend: fastFake{f}, Timeout: 10 * time.Second}).Addr())
	batch := cmd("set", "first", "x") + cmd("set", "first too", "x")
	want := "+OK\r\n+OK\r\n"
	for i := range n / 4 {
		batch += cmd("set", fmt.Sprint("a", i), "x", "ex", "10") + cmd("setex", fmt.Sprint("b", i), "10", "x")
		batch += cmd("setnx", fmt.Sprint("c", i), "x") + cmd("del", fmt.Sprint("d", i))
		want += "+OK\r\n+OK\r\n:1\r\n:0\r\n"
	}
	w.send(batch)
	got := ""
	for range n + 2 {
		got += w.reply()
	}
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestPipelinedWritesKeepTheirOrder compares a backend whose writes take any time, and one that makes several at a time, with one that is
// fast, command by command.
func TestPipelinedWritesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		f := newFake()
		f.write = func(_ context.Context, key string) error {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			if key == "refused" {
				return ErrUnavailable
			}
			return nil
		}
		g := newFake()
		g.write = func(_ context.Context, key string) error {
			if key == "refused" {
				return ErrUnavailable
			}
			return nil
		}
		var calls atomic.Int64
		var backend Backend = f
		if seed%2 == 1 {
			backend = manyFake{fastFake{f}, &calls}
		}
		slow, quick := dial(t, start(t, Config{Backend: backend}).Addr()), dial(t, start(t, Config{Backend: fastFake{g}}).Addr())
		for range 40 {
			var batch strings.Builder
			n := 1 + rnd.IntN(40)
			var sent []string
			for range n {
				key := fmt.Sprint("k", rnd.IntN(12))
				if rnd.IntN(20) == 0 {
					key = "refused"
				}
				one := [][]string{
					{"set", key, fmt.Sprint(rnd.IntN(100))},
					{"set", key, fmt.Sprint(rnd.IntN(100)), "nx"},
					{"set", key, fmt.Sprint(rnd.IntN(100)), "xx"},
					{"set", key, fmt.Sprint(rnd.IntN(100)), "get"},
					{"set", key, "x", "exat", "1"},
					{"set", key, "x", "ex", "0"},
					{"setnx", key, fmt.Sprint(rnd.IntN(100))},
					{"setex", key, "100", fmt.Sprint(rnd.IntN(100))},
					{"psetex", key, "x", "1"},
					{"del", key},
					{"del", key, "k1"},
					{"get", key},
					{"get", key},
					{"incr", key},
					{"hset", key, "f", "v"},
					{"hgetall", key},
					{"hget", key, "f"},
					{"rename", key, "k1"},
					{"client", "reply", "skip"},
					{"set", key},
					{"set", partPrefix + key, "x"},
					{"nosuch"},
				}[rnd.IntN(22)]
				sent = append(sent, strings.Join(one, " "))
				batch.WriteString(cmd(one...))
			}
			batch.WriteString(cmd("client", "reply", "on") + cmd("echo", "the end"))
			slow.send(batch.String())
			quick.send(batch.String())
			for i := 0; ; i++ {
				want, got := quick.reply(), slow.reply()
				if want != got {
					t.Fatalf("seed %d, reply %d of %q: %q, want %q", seed, i, sent, got, want)
				}
				if want == "$7\r\nthe end\r\n" {
					break
				}
			}
		}
		if seed%2 == 1 && calls.Load() == 0 {
			t.Error("nothing was written many at a time")
		}
	}
}
