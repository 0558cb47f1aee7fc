package resp

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A hash is one entry, and each read of it one look.
func TestAHashIsOneEntry(t *testing.T) {
	t.Parallel()
	f := newFake()
	w := dial(t, start(t, Config{Backend: f}).Addr())
	args := []string{"hset", "h"}
	for i := range 1000 {
		args = append(args, fmt.Sprint("field ", i), fmt.Sprint("value ", i))
	}
	w.do(args...)
	if got := w.do("dbsize"); got != ":1\r\n" {
		t.Errorf("dbsize: %q", got)
	}
	var looks atomic.Int64
	f.lookup = func(context.Context, string) error {
		looks.Add(1)
		return nil
	}
	for _, args := range [][]string{
		{"hget", "h", "field 7"},
		{"hmget", "h", "field 1", "field 999"},
		{"hgetall", "h"},
		{"hkeys", "h"},
		{"hvals", "h"},
		{"hlen", "h"},
		{"hexists", "h", "x"},
		{"hstrlen", "h", "x"},
		{"hscan", "h", "0"},
	} {
		looks.Store(0)
		if got := w.do(args...); strings.HasPrefix(got, "-") || looks.Load() != 1 {
			t.Errorf("%s: %d looks, %.100q", args[0], looks.Load(), got)
		}
	}
}

// A hash is bounded as a value is. What is refused leaves it as it was.
func TestHashesAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 1000
	w := dial(t, start(t, Config{MaxValueBytes: limit}).Addr())
	w.do("hset", "h", "n", "1", "f", strings.Repeat("v", limit-40))
	w.do("expire", "h", "1000")
	before := w.do("hgetall", "h")
	for _, args := range [][]string{
		{"hset", "h", "g", strings.Repeat("v", 100)},
		{"hset", "h", "a", "1", "f", strings.Repeat("v", limit)},
		{"hmset", "h", "f", strings.Repeat("v", limit)},
		{"hsetnx", "h", "g", strings.Repeat("v", 100)},
		{"hincrby", "h", strings.Repeat("g", 100), "1"},
		{"hset", "none", "f", strings.Repeat("v", limit)},
	} {
		if got := w.do(args...); !strings.HasPrefix(got, "-ERR huddle: over the size limit: hash of 1") || !strings.HasSuffix(got, ", at most 1000\r\n") {
			t.Errorf("%s: %q", args[0], got)
		}
	}
	if got := w.do("hgetall", "h"); got != before {
		t.Errorf("afterwards: %q, before: %q", got, before)
	}
	if got := w.do("ttl", "h") + w.do("exists", "none"); got != ":1000\r\n:0\r\n" {
		t.Error(got)
	}
	for _, tc := range [][2]string{{"hdel h f", ":1\r\n"}, {"hset h g v", ":1\r\n"}, {"hgetall h", "*4\r\n$1\r\nn\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\nv\r\n"}} {
		if got := w.do(strings.Fields(tc[0])...); got != tc[1] {
			t.Errorf("%s: %q", tc[0], got)
		}
	}
}

// A reply made of a hash is bounded as any other, and so is what is made of one in memory to change it.
func TestHashRepliesAreBounded(t *testing.T) {
	s := start(t, Config{})
	w := dial(t, s.Addr())
	w.do("hset", "h", "f", strings.Repeat("v", 1<<20-100))
	many := append([]string{"hmget", "h"}, slices.Repeat([]string{"f"}, 70)...)
	if got := w.do(many...); got != "-"+errReplySize+"\r\n" {
		t.Errorf("%.100q", got)
	}
	w.do("multi")
	for range 70 {
		w.do("hgetall", "h")
	}
	if got := w.do("exec"); got != "-"+errReplySize+"\r\n" {
		t.Errorf("%.100q", got)
	}
	s.buffered.Add(s.cfg.maxBuffered)
	for _, args := range [][]string{{"hgetall", "h"}, {"hscan", "h", "0"}, {"hset", "h", "f", "v"}, {"hdel", "h", "f"}} {
		if got := w.do(args...); !strings.HasPrefix(got, "-BUSY huddle: ") {
			t.Errorf("%s while others take all memory: %.100q", args[0], got)
		}
	}
	for _, args := range [][]string{{"hlen", "h"}, {"hset", "small", "f", "v"}} {
		if got := w.do(args...); got != ":1\r\n" {
			t.Errorf("%s: %.100q", args[0], got)
		}
	}
	s.buffered.Add(-s.cfg.maxBuffered)
	if got := w.do("hstrlen", "h", "f"); got != ":1048476\r\n" {
		t.Errorf("afterwards: %q", got)
	}
}

// What of a hash lies in memory is answered by the loop, unless it takes long.
func TestHashesInMemoryAreAnsweredAtOnce(t *testing.T) {
	f := newFake()
	s := start(t, Config{Backend: fastFake{f}})
	w := dial(t, s.Addr())
	w.do("hset", "small", "f", "v")
	w.do("hset", "large", "f", strings.Repeat("v", 100_000))
	w.do("hset", "large", "g", "v")
	c := newClient(s, nil)
	c.polled = &polled{local: true}
	for _, tc := range []struct {
		args   string
		atOnce bool
	}{
		{"hget small f", true},
		{"hmget small f g", true},
		{"hgetall small", true},
		{"hkeys small", true},
		{"hvals small", true},
		{"hlen small", true},
		{"hexists small f", true},
		{"hstrlen small f", true},
		{"hget none f", true},
		{"hgetall large", false},
		{"hget large g", false},
		{"hlen large", true},
		{"type large", true},
		{"hmget small" + strings.Repeat(" f", 1000), false},
		{"hscan small 0", false},
		{"hset small f v", false},
		{"hdel small f", false},
		{"rename small x", false},
	} {
		args := bytes.Fields([]byte(tc.args))
		c.ahead = nil
		if got := c.atOnce(s.find(args[0]), args); got != tc.atOnce {
			t.Errorf("%.30s at once: %t", tc.args, got)
		}
	}
}

// Reads of hashes that the loop answers, that it begins, and that need a goroutine, are answered in their order.
func TestHashesInPipelines(t *testing.T) {
	for name, backend := range map[string]Backend{
		"in memory":        fastFake{newFake()},
		"elsewhere, begun": laterFake{FastBackend: sometimesFast{fastFake{newFake()}}},
		"elsewhere":        sometimesFast{fastFake{newFake()}},
		"no fast path":     newFake(),
	} {
		w := dial(t, start(t, Config{Backend: backend}).Addr())
		large := strings.Repeat("v", 80_000)
		w.do("hset", "large", "f", large, "g", "2")
		w.do("hset", "small", "f", "1", "g", "2")
		w.do("set", "k", "v")
		wants := map[string]string{
			"hget small f":      "$1\r\n1\r\n",
			"hmget small g x":   "*2\r\n$1\r\n2\r\n$-1\r\n",
			"hgetall small":     "*4\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\n2\r\n",
			"hget large g":      "$1\r\n2\r\n",
			"hvals large":       "*2\r\n$80000\r\n" + large + "\r\n$1\r\n2\r\n",
			"hkeys large":       "*2\r\n$1\r\nf\r\n$1\r\ng\r\n",
			"get k":             "$1\r\nv\r\n",
			"hlen k":            "-" + errWrongType + "\r\n",
			"get large":         "-" + errWrongType + "\r\n",
			"hscan small 0":     "*2\r\n$1\r\n0\r\n*4\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\n2\r\n",
			"hset small f 1":    ":0\r\n",
			"hincrby small f 0": ":1\r\n",
			"hget":              "-" + errArity("hget") + "\r\n",
		}
		var all []string
		for line := range wants {
			all = append(all, line)
		}
		slices.Sort(all)
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			var batch, sent []string
			for range 1 + rnd.IntN(60) {
				line := all[rnd.IntN(len(all))]
				sent = append(sent, line)
				batch = append(batch, cmd(strings.Fields(line)...))
			}
			w.send(strings.Join(batch, ""))
			for i, line := range sent {
				if got := w.reply(); got != wants[line] {
					t.Fatalf("%s: reply %d of %q: %.100q", name, i, sent, got)
				}
			}
		}
	}
}

// Two nodes that change a hash at the same time lose no change.
func TestConcurrentHash(t *testing.T) {
	t.Parallel()
	f := newFake()
	servers := []*Server{start(t, Config{Backend: fastFake{f}}), start(t, Config{Backend: f})}
	const workers, each = 8, 60
	var wg sync.WaitGroup
	for n := range workers {
		w := dial(t, servers[n%2].Addr())
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d:%d", n, i)
				if got := w.do("hset", "h", name, "v"); got != ":1\r\n" {
					t.Errorf("hset %s: %q", name, got)
				}
				w.do("hincrby", "h", "sum", "1")
				if i%3 == 0 {
					if got := w.do("hdel", "h", name); got != ":1\r\n" {
						t.Errorf("hdel %s: %q", name, got)
					}
				}
			}
		})
	}
	wg.Wait()
	w := dial(t, servers[0].Addr())
	if got, want := w.do("hget", "h", "sum"), strconv.Itoa(workers*each); got != fmt.Sprintf("$%d\r\n%s\r\n", len(want), want) {
		t.Errorf("sum: %q, want %s", got, want)
	}
	if got, want := w.do("hlen", "h"), fmt.Sprintf(":%d\r\n", workers*each*2/3+1); got != want {
		t.Errorf("hlen: %q, want %q", got, want)
	}
}

// What a hash is stored as that a later version may have written, or that is damaged, is an error, and the client goes on.
func TestDamagedHash(t *testing.T) {
	t.Parallel()
	whole := newHash(0, 2)
	whole = appendField(appendField(whole, field{[]byte("f"), []byte("v")}), field{[]byte("g"), []byte("w")})
	later := bytes.Clone(whole)
	later[len(magic)+1]++
	for name, stored := range map[string][]byte{"of a later version": later, "cut off": whole[:len(whole)-1], "empty": whole[:len(magic)+1], "with a tail": append(whole, 0)} {
		f := newFake()
		if err := f.Set(t.Context(), "h", stored, SetArgs{}); err != nil {
			t.Fatal(err)
		}
		w := dial(t, start(t, Config{Backend: fastFake{f}}).Addr())
		for _, line := range []string{"hgetall h", "hkeys h", "hscan h 0", "hmget h a x", "hget h x", "hexists h x", "hset h a 1", "hdel h x", "hincrby h x 1", "hsetnx h x 1"} {
			if got := w.do(strings.Fields(line)...); got != "-ERR huddle: internal error\r\n" {
				t.Errorf("%s, %s: %q", name, line, got)
			}
		}
		if got := w.do("type", "h") + w.do("del", "h") + w.do("hset", "h", "f", "v"); got != "+hash\r\n:1\r\n:1\r\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// unsetFake is a fake whose Remove is final.
type unsetFake struct {
	fastFake
	unset *atomic.Int64
}

func (f unsetFake) Remove(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	if ok, err := f.fake.Remove(ctx, key, ifVersion); err != nil {
		return ok, err
	}
	return true, nil
}

func (f unsetFake) Unset(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	f.unset.Add(1)
	return f.fake.Remove(ctx, key, ifVersion)
}

// The last field of a hash takes the hash with it, which nobody has asked to be deleted.
func TestTheLastFieldIsUnset(t *testing.T) {
	t.Parallel()
	var unset atomic.Int64
	w := dial(t, start(t, Config{Backend: unsetFake{fastFake{newFake()}, &unset}}).Addr())
	w.do("hset", "h", "f", "1", "g", "2")
	if got := w.do("hdel", "h", "f"); got != ":1\r\n" || unset.Load() != 0 {
		t.Errorf("%q, unset: %d", got, unset.Load())
	}
	if got := w.do("hdel", "h", "g", "f"); got != ":1\r\n" || unset.Load() != 1 {
		t.Errorf("%q, unset: %d", got, unset.Load())
	}
	w.do("hset", "h", "f", "1")
	if got := w.do("del", "h"); got != ":1\r\n" || unset.Load() != 1 {
		t.Errorf("%q, unset: %d", got, unset.Load())
	}
}
