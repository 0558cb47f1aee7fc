package resp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// elements returns the strings of an array, in order.
func elements(reply string) []string {
	lines := strings.Split(strings.TrimSuffix(reply, "\r\n"), "\r\n")
	var out []string
	for i := 2; i < len(lines); i += 2 {
		out = append(out, lines[i])
	}
	slices.Sort(out)
	return out
}

// parts counts the entries that are parts of sets.
func (f *fake) parts() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.entries {
		if isPart(key) {
			n++
		}
	}
	return n
}

// TestSetInParts compares a set that is split early with a map.
func TestSetInParts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		f := newFake()
		var b Backend = fastFake{f}
		if seed%2 == 0 {
			b = f
		}
		w := dial(t, start(t, Config{Backend: b, splitAt: 60}).Addr())
		rnd := rand.New(rand.NewPCG(seed, 7))
		want := make(map[string]bool)
		name := func() string { return fmt.Sprintf("member:%d", rnd.IntN(150)) }
		for step := range 900 {
			args := []string{"sadd", "s"}
			if rnd.IntN(5) < 2+step/300 { // in the end more are taken out than put in
				args[0] = "srem"
			}
			changed := 0
			for range 1 + rnd.IntN(3)*rnd.IntN(4) {
				m := name()
				args = append(args, m)
				if want[m] != (args[0] == "sadd") {
					changed++
				}
				if args[0] == "sadd" {
					want[m] = true
				} else {
					delete(want, m)
				}
			}
			if got := w.do(args...); got != fmt.Sprintf(":%d\r\n", changed) {
				t.Fatalf("seed %d, step %d: %q: %q, want %d", seed, step, args, got, changed)
			}
			if step%30 != 0 {
				continue
			}
			all := []string{}
			for m := range want {
				all = append(all, m)
			}
			slices.Sort(all)
			m, is := name(), ":0\r\n"
			if want[m] {
				is = ":1\r\n"
			}
			kind, exists := "+set\r\n", ":1\r\n"
			if len(all) == 0 {
				kind, exists = "+none\r\n", ":0\r\n"
			}
			for _, c := range []struct{ got, want string }{
				{strings.Join(elements(w.do("smembers", "s")), " "), strings.Join(all, " ")},
				{w.do("scard", "s"), fmt.Sprintf(":%d\r\n", len(all))},
				{w.do("sismember", "s", m), is},
				{w.do("smismember", "s", m, "no"), "*2\r\n" + is + ":0\r\n"},
				{w.do("type", "s"), kind},
				{w.do("exists", "s"), exists},
				{strings.Join(elements(w.do("keys", "*")), " "), map[bool]string{true: "", false: "s"}[len(all) == 0]},
			} {
				if c.got != c.want {
					t.Fatalf("seed %d, step %d: %q, want %q", seed, step, c.got, c.want)
				}
			}
		}
		for m := range want {
			w.do("srem", "s", m)
		}
		if got := w.do("exists", "s"); got != ":0\r\n" {
			t.Errorf("a set whose last member was taken out: %q", got)
		}
	}
}

// TestBigSet: a set larger than a value may be is one key to a client.
func TestBigSet(t *testing.T) {
	t.Parallel()
	f := newFake()
	w := dial(t, start(t, Config{Backend: fastFake{f}, MaxValueBytes: 64 << 10}).Addr())
	const n = 5000
	args := []string{"sadd", "s"}
	for i := range n {
		args = append(args, fmt.Sprintf("%d-%s", i, strings.Repeat("x", i%40)))
		if len(args) == 1002 {
			if got := w.do(args...); got != ":1000\r\n" {
				t.Fatal(got)
			}
			args = args[:2]
		}
	}
	if f.parts() < 16 {
		t.Errorf("%d parts", f.parts())
	}
	largest := 0
	f.mu.Lock()
	for _, e := range f.entries {
		largest = max(largest, len(e.value))
	}
	f.mu.Unlock()
	if largest > splitStored {
		t.Errorf("an entry has %d bytes", largest)
	}
	if got := w.do("object", "x"); !strings.HasPrefix(got, "-ERR unknown command") {
		t.Error(got)
	}
	for _, tc := range [][2]string{
		{"scard s", ":5000"},
		{"ttl s", ":-1"},
		{"expire s 100", ":1"},
		{"ttl s", ":100"},
		{"sadd s another", ":1"},
		{"ttl s", ":100"},
		{"persist s", ":1"},
		{"ttl s", ":-1"},
		{"type s", "+set"},
		{"get s", "-WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"incr s", "-WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"getdel s", "-WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"scan 0 count 1000", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\ns"},
		{"scan 0 count 1000 type set", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\ns"},
		{"keys *", "*1\r\n$1\r\ns"},
		{"randomkey", "$1\r\ns"},
		{"sscan s 0 match anoth*", "*2\r\n$1\r\n0\r\n*1\r\n$7\r\nanother"},
		{`get "\x00huddle\x02x"`, "-ERR huddle: key cannot be used"},
		{"del s", ":1"},
		{"smembers s", "*0"},
		{"scard s", ":0"},
		{"sadd s x", ":1"},
		{"smembers s", "*1\r\n$1\r\nx"},
	} {
		w.send(tc[0] + "\r\n")
		if got := w.reply(); got != tc[1]+"\r\n" {
			t.Errorf("%s: %q, want %q", tc[0], got, tc[1])
		}
	}
	eventually(t, "the parts are removed", func() bool { return f.parts() == 0 })
}

func TestConcurrentSet(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := start(t, Config{Backend: fastFake{f}, splitAt: 80, pruneIn: 2})
	var wg sync.WaitGroup
	const workers, each = 8, 150
	for n := range workers {
		w := dial(t, s.Addr())
		wg.Go(func() {
			for i := range each {
				m := fmt.Sprintf("%d:%d", n, i)
				if got := w.do("sadd", "s", m); got != ":1\r\n" {
					t.Errorf("sadd %s: %q", m, got)
				}
				if got := w.do("sismember", "s", m); got != ":1\r\n" {
					t.Errorf("sismember %s: %q", m, got)
				}
				if i%3 == 0 {
					if got := w.do("srem", "s", m); got != ":1\r\n" {
						t.Errorf("srem %s: %q", m, got)
					}
				}
			}
		})
	}
	wg.Wait()
	var want []string
	for n := range workers {
		for i := range each {
			if i%3 != 0 {
				want = append(want, fmt.Sprintf("%d:%d", n, i))
			}
		}
	}
	slices.Sort(want)
	if got := elements(dial(t, s.Addr()).do("smembers", "s")); !slices.Equal(got, want) {
		t.Errorf("%d members, want %d", len(got), len(want))
	}
}

// TestEmptiedSet: a set whose last member is taken out goes, and none that is added meanwhile goes with it.
func TestEmptiedSet(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := start(t, Config{Backend: fastFake{f}, splitAt: 30})
	fill := []string{"sadd", "s"}
	for i := range 40 {
		fill = append(fill, fmt.Sprint("filler ", i))
	}
	w := dial(t, s.Addr())
	w.do(fill...)
	if f.parts() == 0 {
		t.Fatal("the set is not in parts")
	}
	w.do(append([]string{"srem", "s"}, fill[2:]...)...)
	if got := w.do("exists", "s"); got != ":0\r\n" {
		t.Fatalf("exists: %q", got)
	}
	w.do(fill...)
	w.do(append([]string{"srem", "s"}, fill[3:]...)...) // one is left, and the set is in parts still
	var wg sync.WaitGroup
	for n := range 6 {
		w := dial(t, s.Addr())
		wg.Go(func() {
			m := fmt.Sprint("m", n)
			for range 200 {
				if got := w.do("sadd", "s", m); got != ":1\r\n" {
					t.Errorf("sadd: %q", got)
				}
				if got := w.do("sismember", "s", m); got != ":1\r\n" {
					t.Error("a member is lost")
				}
				if got := w.do("srem", "s", m, fill[2]); got == ":0\r\n" {
					t.Error("a member was not there to be taken out")
				}
			}
		})
	}
	wg.Wait()
	if got := w.do("exists", "s"); got != ":0\r\n" {
		t.Errorf("exists: %q", got)
	}
}

// TestTagSetStaysBounded: the tag set of sessions that end all the time does not grow with the number of all sessions there ever were.
func TestTagSetStaysBounded(t *testing.T) {
	t.Parallel()
	f := newFake()
	w := dial(t, start(t, Config{Backend: fastFake{f}}).Addr())
	const live, all = 80, 1200
	key := func(i int) string { return fmt.Sprintf("vendure-cache:vendure-session-cache:%064x", i) }
	largest := 0
	for i := range all {
		w.do("set", key(i), "session")
		w.do("sadd", "tag", key(i))
		w.do("sadd", "tag", "no key "+strconv.Itoa(i%10))
		if i >= live {
			w.do("del", key(i-live))
		}
		if i%200 == 199 {
			n, err := strconv.Atoi(strings.TrimSpace(w.do("scard", "tag")[1:]))
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, n)
		}
	}
	members := elements(w.do("smembers", "tag"))
	for i := all - live; i < all; i++ {
		if !slices.Contains(members, key(i)) {
			t.Fatalf("session %d is not in the set", i)
		}
	}
	for i := range 10 {
		if !slices.Contains(members, "no key "+strconv.Itoa(i)) {
			t.Error("a member that never was a key is gone")
		}
	}
	t.Logf("%d sessions, %d of them at a time: at most %d members", all, live, largest)
	if largest > 8*live {
		t.Errorf("%d members for %d sessions", largest, live)
	}
}

// TestNoLiveMemberIsDropped: sessions end and begin anew under the same keys while the set is looked through at each addition.
func TestNoLiveMemberIsDropped(t *testing.T) {
	t.Parallel()
	for _, splitAt := range []int{100_000, 100} {
		f := newFake()
		f.lookup = func(context.Context, string) error {
			if rand.IntN(50) == 0 {
				time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
			}
			return nil
		}
		s := start(t, Config{Backend: f, splitAt: splitAt, pruneIn: 1, MaxValueBytes: 1 << 20})
		var wg sync.WaitGroup
		for n := range 8 {
			w := dial(t, s.Addr())
			wg.Go(func() {
				for i := range 60 {
					key := fmt.Sprintf("%d:%d", n, i%20)
					w.do("set", key, "v")
					w.do("sadd", "tag", key)
					if got := w.do("sismember", "tag", key); got != ":1\r\n" {
						t.Errorf("%s is a key and was added, and is no member", key)
					}
					if i%2 == 0 {
						w.do("del", key)
					}
					none := fmt.Sprintf("none %d:%d", n, i)
					if got := w.do("sadd", "tag", none) + w.do("srem", "tag", none); got != ":1\r\n:1\r\n" {
						t.Error(got)
					}
				}
			})
		}
		wg.Wait()
	}
}

// hooked calls after when a lookup has its answer and has not returned it.
type hooked struct {
	*fake
	after func(key string)
}

func (h *hooked) Lookup(ctx context.Context, key string) (Entry, bool, error) {
	e, found, err := h.fake.Lookup(ctx, key)
	if h.after != nil {
		h.after(key)
	}
	return e, found, err
}

// TestSessionBeginsAnewWhileItsSetIsPruned: the key is set and added again just after it was found absent, the first time or the second.
func TestSessionBeginsAnewWhileItsSetIsPruned(t *testing.T) {
	t.Parallel()
	for look, want := range []string{":1\r\n", ":1\r\n", ":0\r\n"} {
		h := &hooked{fake: newFake()}
		s := start(t, Config{Backend: h, pruneIn: 1 << 30})
		w := dial(t, s.Addr())
		for i := range pruneFrom {
			w.do("set", fmt.Sprint("k", i), "v")
			w.do("sadd", "tag", fmt.Sprint("k", i))
		}
		w.do("del", "k7")
		var looks atomic.Int64
		var within atomic.Bool
		h.after = func(key string) {
			if key == "k7" && !within.Load() && looks.Add(1) == int64(look)+1 {
				within.Store(true)
				w.do("set", "k7", "v")
				if got := w.do("sadd", "tag", "k7"); got != ":0\r\n" {
					t.Errorf("sadd: %q", got)
				}
				within.Store(false)
			}
		}
		s.prune(t.Context(), "tag", "tag")
		within.Store(true)
		if got := w.do("sismember", "tag", "k7"); got != want {
			t.Errorf("set and added at look %d: a member: %q, want %q", look+1, got, want)
		}
		if got := w.do("scard", "tag"); look < 2 && got != ":16\r\n" {
			t.Errorf("scard: %q", got)
		}
	}
}

// TestSweep: parts that no set names are removed, but not before they were met twice.
func TestSweep(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := start(t, Config{Backend: f, splitAt: 60})
	w := dial(t, s.Addr())
	for i := range 60 {
		for _, key := range []string{"kept", "overwritten", "deleted"} {
			w.do("sadd", key, fmt.Sprint("member ", i))
		}
	}
	before := f.parts()
	w.do("set", "overwritten", "x")
	w.do("del", "deleted") // without a fast path the front does not know that it has parts
	suspects, removed := s.sweepOnce(nil)
	if removed != 0 || f.parts() != before || len(suspects) == 0 {
		t.Fatalf("the first walk removed %d, suspects %d", removed, len(suspects))
	}
	more, removed := s.sweepOnce(suspects)
	if removed != len(suspects) || len(more) != 0 || f.parts() != before-removed {
		t.Fatalf("the second walk removed %d of %d, and suspects %d", removed, len(suspects), len(more))
	}
	if got := w.do("scard", "kept"); got != ":60\r\n" {
		t.Errorf("scard: %q", got)
	}
}
