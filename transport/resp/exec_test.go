package resp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Writes of an EXEC that stand next to each other are under way at the same time, unless their keys are watched.
func TestWritesOfAnExecAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	const n = 16
	f := newFake()
	all := together(n)
	f.write = func(ctx context.Context, key string) error {
		switch {
		case strings.HasPrefix(key, "first"):
			time.Sleep(2 * slowWrite)
			return nil
		case key == "watched":
			return nil
		}
		return all(ctx)
	}
	w := dial(t, start(t, Config{Backend: fastFake{f}, Timeout: 10 * time.Second}).Addr())
	batch := cmd("watch", "watched") + cmd("multi") + cmd("set", "first", "x") + cmd("set", "first too", "x")
	want := "+OK\r\n+OK\r\n"
	for i := range n / 4 {
		batch += cmd("set", fmt.Sprint("a", i), "x", "ex", "10") + cmd("setex", fmt.Sprint("b", i), "10", "x")
		batch += cmd("setnx", fmt.Sprint("c", i), "x") + cmd("del", fmt.Sprint("d", i))
		want += "+OK\r\n+OK\r\n:1\r\n:0\r\n"
	}
	w.send(batch + cmd("set", "watched", "x") + cmd("set", "a0", "y") + cmd("get", "a0") + cmd("exec"))
	for range n + 7 {
		w.reply()
	}
	if got, want := w.reply(), fmt.Sprintf("*%d\r\n%s+OK\r\n+OK\r\n$1\r\ny\r\n", n+5, want); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A transaction on a backend whose writes take any time, or that makes several at a time, comes to what it does on one that is fast.
func TestExecKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		f, g := newFake(), newFake()
		f.write = func(_ context.Context, key string) error {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			if key == "refused" {
				return ErrUnavailable
			}
			return nil
		}
		g.write = func(_ context.Context, key string) error {
			if key == "refused" {
				return ErrUnavailable
			}
			return nil
		}
		var backend Backend = f
		var calls atomic.Int64
		if seed%2 == 1 {
			backend = manyFake{fastFake{f}, &calls}
		}
		slow, quick := dial(t, start(t, Config{Backend: backend}).Addr()), dial(t, start(t, Config{Backend: g}).Addr())
		for range 30 {
			key := func() string {
				if rnd.IntN(20) == 0 {
					return "refused"
				}
				return fmt.Sprint("k", rnd.IntN(12))
			}
			sent := [][]string{{"watch", key(), key()}}
			if rnd.IntN(4) == 0 {
				sent = append(sent, []string{"set", key(), "changed"})
			}
			sent = append(sent, []string{"multi"})
			for range 1 + rnd.IntN(40) {
				k, v := key(), fmt.Sprint(rnd.IntN(100))
				sent = append(sent, [][]string{
					{"set", k, v},
					{"set", k, v},
					{"set", k, v, "nx"},
					{"set", k, v, "xx"},
					{"set", k, v, "get"},
					{"setnx", k, v},
					{"setex", k, "100", v},
					{"setex", k, "0", v},
					{"del", k},
					{"del", k, "k1"},
					{"get", k},
					{"incr", k},
					{"sadd", k, v},
					{"mset", k, v, "k2", v},
				}[rnd.IntN(14)])
			}
			sent = append(sent, []string{"exec"}, []string{"mget", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"})
			for i, args := range sent {
				got, want := slow.do(args...), quick.do(args...)
				if got != want {
					t.Fatalf("seed %d, command %d of %q: %q, want %q", seed, i, sent, got, want)
				}
			}
		}
		if seed%2 == 1 && calls.Load() == 0 {
			t.Error("nothing was written many at a time")
		}
	}
}

// Each command of an EXEC has a time of its own. Once one has needed all of it none is begun any more, and the answers say so.
func TestTimeOfAnExec(t *testing.T) {
	t.Parallel()
	t.Run("of each", func(t *testing.T) {
		f := newFake()
		const timeout = time.Minute
		var ended time.Time // the last write
		f.write = func(ctx context.Context, key string) error {
			if until, ok := ctx.Deadline(); !ok || until.Before(ended.Add(timeout)) {
				t.Errorf("%s has until %v, and was begun at %v", key, until, ended)
			}
			ended = time.Now()
			return nil
		}
		w := dial(t, start(t, Config{Backend: fastFake{f}, Timeout: timeout}).Addr())
		w.do("watch", "other")
		w.do("multi")
		for i := range 10 {
			w.do("incr", fmt.Sprint(i))
		}
		if got := w.do("exec"); got != "*10\r\n"+strings.Repeat(":1\r\n", 10) {
			t.Error(got)
		}
	})
	const late = "-ERR huddle: not carried out, because a command before it took longer than 1s\r\n"
	const unconfirmed = "-UNCONFIRMED huddle: not confirmed in time, the write may still take effect\r\n"
	for name, tc := range map[string]struct {
		commands string
		want     []string
	}{
		"of one": {
			"incr a\nincr slow\nincr late\nget late\nset late x\nset late2 x",
			[]string{":1\r\n", unconfirmed, late, late, late, late},
		},
		"of several": {
			"set a x\nset slow x\nset slow2 x\nset b x\nincr late\nset late x",
			[]string{"+OK\r\n", unconfirmed, "", "", late, late},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, many := range []bool{false, true} {
				f := newFake()
				f.write = func(ctx context.Context, key string) error {
					switch {
					case strings.HasPrefix(key, "late"):
						t.Errorf("%s is begun", key)
					case strings.HasPrefix(key, "slow"):
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				}
				var backend Backend = fastFake{f}
				if many {
					backend = manyFake{fastFake{f}, new(atomic.Int64)}
				}
				w := dial(t, start(t, Config{Backend: backend, Timeout: time.Second}).Addr())
				w.do("multi")
				for line := range strings.Lines(tc.commands) {
					w.do(strings.Fields(line)...)
				}
				w.send(cmd("exec"))
				if got, err := w.r.ReadString('\n'); got != fmt.Sprintf("*%d\r\n", len(tc.want)) {
					t.Fatal(got, err)
				}
				for i, want := range tc.want {
					if got := w.reply(); want != "" && got != want {
						t.Errorf("many %t: reply %d: %q, want %q", many, i, got, want)
					}
				}
				if got := w.do("incr", "a2"); got != ":1\r\n" {
					t.Errorf("afterwards: %q", got)
				}
			}
		})
	}
}

// What follows EXEC in a pipeline is not read before what EXEC writes.
func TestNothingIsReadAheadOfAnExec(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{Backend: newFake(), noLoops: true}, {Backend: laterFake{FastBackend: neverFast{newFake()}}}} {
		w := dial(t, start(t, cfg).Addr())
		w.do("set", "b", "old")
		w.send(cmd("multi") + cmd("get", "a") + cmd("set", "b", "new") + cmd("exec") + cmd("get", "b") + cmd("get", "a"))
		for _, want := range []string{"+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*2\r\n$-1\r\n+OK\r\n", "$3\r\nnew\r\n", "$-1\r\n"} {
			if got := w.reply(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
}

// The conditions of a command in an EXEC are its own where the key is watched too: one that does not hold is the answer of that command, as in Redis,
// and not a transaction that is not carried out.
func TestConditionsOnAWatchedKey(t *testing.T) {
	t.Parallel()
	w := dial(t, start(t, Config{}).Addr())
	w.do("set", "there", "x")
	w.do("watch", "there", "absent")
	w.do("multi")
	for _, args := range [][]string{{"set", "absent", "1", "xx"}, {"setnx", "there", "1"}, {"set", "there", "1", "nx"}, {"get", "absent"}, {"get", "there"}} {
		w.do(args...)
	}
	if got, want := w.do("exec"), "*5\r\n$-1\r\n:0\r\n$-1\r\n$-1\r\n$1\r\nx\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A key that was absent at its WATCH and is set by another while EXEC runs is not written over, also where the backend gives no tickets.
func TestWatchedAbsentKeyIsSetDuringExec(t *testing.T) {
	f := newFake()
	w := dial(t, start(t, Config{Backend: f}).Addr())
	w.send(cmd("watch", "k") + cmd("multi") + cmd("set", "k", "mine"))
	for range 3 {
		w.reply()
	}
	f.write = func(context.Context, string) error {
		f.write = nil
		return f.Set(t.Context(), "k", []byte("theirs"), SetArgs{})
	}
	if got := w.do("exec"); got != "*-1\r\n" {
		t.Errorf("exec: %q", got)
	}
	if got := w.do("get", "k"); got != "$6\r\ntheirs\r\n" {
		t.Errorf("the key holds %q", got)
	}
}

// What has not been confirmed may have been written: an EXEC that finds a watched key changed after that is not said to be nothing.
func TestConflictAfterAnUnconfirmedWrite(t *testing.T) {
	f := newFake()
	w := dial(t, start(t, Config{Backend: f}).Addr())
	w.send(cmd("watch", "k") + cmd("multi") + cmd("set", "other", "mine") + cmd("set", "k", "mine"))
	for range 4 {
		w.reply()
	}
	f.write = func(_ context.Context, key string) error {
		if key == "other" {
			return ErrUnconfirmed
		}
		f.write = nil
		return f.Set(t.Context(), "k", []byte("theirs"), SetArgs{})
	}
	const want = "*2\r\n-UNCONFIRMED huddle: not confirmed in time, the write may still take effect\r\n" +
		"-EXECABORT a watched key changed while the transaction ran\r\n"
	if got := w.do("exec"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// FLUSHALL writes all keys: what follows it in the EXEC is not held to what the watched ones were before.
func TestWatchedKeyIsSetAfterFlushall(t *testing.T) {
	w := dial(t, start(t, Config{Backend: fillFake{fastFake{newFake()}}}).Addr())
	w.do("set", "there", "x")
	w.do("watch", "there", "absent")
	w.send(cmd("multi") + cmd("flushall") + cmd("set", "there", "1") + cmd("incr", "absent") + cmd("exec"))
	takePairs(t, w, "+OK\r\n"+strings.Repeat("+QUEUED\r\n", 3)+"*3\r\n+OK\r\n+OK\r\n:1\r\n")
}

// TestWatchedKeyChangesDuringExec: the change falls between the comparison of versions and the write.
func TestWatchedKeyChangesDuringExec(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, commands, want, value string }{
		{"before anything is written", "get k\r\nset k mine\r\n", "*-1\r\n", "theirs"},
		{"by a delete", "del k\r\n", "*-1\r\n", "theirs"},
		{"by a change", "getset k mine\r\n", "*-1\r\n", "theirs"},
		{"after something was written", "set other x\r\nset k mine\r\n", "*2\r\n+OK\r\n-EXECABORT a watched key changed while the transaction ran\r\n", "theirs"},
		{"the key itself is written twice", "set other x\r\n", "*1\r\n+OK\r\n", "theirs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			w := dial(t, start(t, Config{Backend: f}).Addr())
			w.send("set k old\r\nwatch k\r\nmulti\r\n" + tc.commands)
			for range 3 + strings.Count(tc.commands, "\n") {
				w.reply()
			}
			var once sync.Once
			f.lookup = nil
			f.write = func(context.Context, string) error {
				once.Do(func() {
					f.write = nil
					if err := f.Set(t.Context(), "k", []byte("theirs"), SetArgs{}); err != nil {
						t.Error(err)
					}
				})
				return nil
			}
			if got := w.do("exec"); got != tc.want {
				t.Errorf("exec: %q, want %q", got, tc.want)
			}
			if got := w.do("get", "k"); !strings.Contains(got, tc.value) {
				t.Errorf("the key holds %q", got)
			}
		})
	}
}

// TestWatchedAbsentKeyCameAndWent: it is absent again, and what has happened to it is noticed whatever the transaction writes, and before that writes anything.
func TestWatchedAbsentKeyCameAndWent(t *testing.T) {
	t.Parallel()
	for queue, want := range map[string]string{
		"get k":                      "*1\r\n$-1\r\n",
		"set other x":                "*1\r\n+OK\r\n",
		"set other x|set k v":        "*2\r\n+OK\r\n+OK\r\n",
		"set k v xx|set other x":     "*2\r\n$-1\r\n+OK\r\n",
		"set k v ex 0|set other x":   "*2\r\n-ERR invalid expire time in 'set' command\r\n+OK\r\n",
		"expire k 10|set other x":    "*2\r\n:0\r\n+OK\r\n",
		"del k|set other x":          "*2\r\n:0\r\n+OK\r\n",
		"rename k l|set other x":     "*2\r\n-ERR no such key\r\n+OK\r\n",
		"mset other x k v":           "*1\r\n+OK\r\n",
		"hset k f v|hget k f":        "*2\r\n:1\r\n$1\r\nv\r\n",
		"set k v|set other x|incr n": "*3\r\n+OK\r\n+OK\r\n:1\r\n",
		"":                           "*0\r\n",
	} {
		for _, meanwhile := range []string{"set k 1|del k", "get k"} {
			s := start(t, Config{Backend: fillFake{fastFake{newFake()}}})
			ours, theirs := dial(t, s.Addr()), dial(t, s.Addr())
			ours.do("watch", "k", "n")
			for command := range strings.SplitSeq(meanwhile, "|") {
				theirs.do(strings.Fields(command)...)
			}
			ours.do("multi")
			if queue != "" {
				for command := range strings.SplitSeq(queue, "|") {
					ours.do(strings.Fields(command)...)
				}
			}
			want, other := want, want
			if meanwhile != "get k" {
				want, other = "*-1\r\n", ""
			}
			if got := ours.do("exec"); got != want {
				t.Errorf("%s, after %s: %q, want %q", queue, meanwhile, got, want)
			}
			if got := theirs.do("exists", "other", "k"); other == "" && got != ":0\r\n" {
				t.Errorf("%s, after %s: something was written", queue, meanwhile)
			}
		}
	}
}

// TestFill: what a client read elsewhere, because a key was absent, and stores under WATCH, loses to all that happened to the key
// meanwhile, also if that left it absent.
func TestFill(t *testing.T) {
	t.Parallel()
	const stored, refused = "*1\r\n+OK\r\n", "*-1\r\n"
	for _, tc := range []struct{ name, meanwhile, fill, want, value string }{
		{"nothing", "get k", "set k filled ex 100", stored, "$6\r\nfilled\r\n"},
		{"another key is deleted", "del other", "set k filled", stored, "$6\r\nfilled\r\n"},
		{"it is deleted, though absent", "del k", "set k filled ex 100", refused, "$-1\r\n"},
		{"it is set", "set k newer", "set k filled", refused, "$5\r\nnewer\r\n"},
		{"it is set and deleted", "set k newer\r\ndel k", "set k filled", refused, "$-1\r\n"},
		{"all is cleared", "flushdb", "setex k 100 filled", refused, "$-1\r\n"},
		{"a counter", "del k", "incr k", refused, "$-1\r\n"},
		{"a set", "del k", "sadd k a", refused, "$-1\r\n"},
		{"a hash", "del k", "hset k f v", refused, "$-1\r\n"},
		{"renamed to it", "set other x\r\ndel k", "rename other k", refused, "$-1\r\n"},
		{"renamed to it, and nothing", "set other x", "rename other k", stored, "$1\r\nx\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, Config{Backend: fillFake{fastFake{newFake()}}})
			ours, theirs := dial(t, s.Addr()), dial(t, s.Addr())
			if got := ours.do("watch", "k") + ours.do("get", "k"); got != "+OK\r\n$-1\r\n" {
				t.Fatalf("watch, get: %q", got)
			}
			theirs.send(tc.meanwhile + "\r\n")
			for range 1 + strings.Count(tc.meanwhile, "\n") {
				theirs.reply()
			}
			ours.send("multi\r\n" + tc.fill + "\r\nexec\r\n")
			ours.reply()
			ours.reply()
			if got := ours.reply(); got != tc.want {
				t.Errorf("exec: %q, want %q", got, tc.want)
			}
			if got := theirs.do("get", "k"); got != tc.value {
				t.Errorf("the key holds %q, want %q", got, tc.value)
			}
		})
	}
}
