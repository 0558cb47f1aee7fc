package resp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhenUnsure(t *testing.T) {
	t.Parallel()
	unsure := func(context.Context, string) error { return ErrUnsure }
	stuck := func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	reads := []struct{ send, absent string }{
		{"get k", "$-1\r\n"},
		{"mget k l", "*2\r\n$-1\r\n$-1\r\n"},
		{"exists k", ":0\r\n"},
		{"ttl k", ":-2\r\n"},
		{"type k", "+none\r\n"},
		{"hget k f", "$-1\r\n"},
		{"hmget k f g", "*2\r\n$-1\r\n$-1\r\n"},
		{"hgetall k", "*0\r\n"},
		{"hkeys k", "*0\r\n"},
		{"hvals k", "*0\r\n"},
		{"hlen k", ":0\r\n"},
		{"hexists k f", ":0\r\n"},
		{"hstrlen k f", ":0\r\n"},
		{"hscan k 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
	}
	for name, lookup := range map[string]func(context.Context, string) error{"unsure at once": unsure, "no answer": stuck} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.lookup = lookup
			waits := dial(t, start(t, Config{Backend: f, Timeout: 60 * time.Millisecond}).Addr())
			misses := dial(t, start(t, Config{Backend: f, WhenUnsure: Miss, Timeout: time.Minute}).Addr())
			for _, r := range reads {
				waits.send(r.send + "\r\n")
				if got := waits.reply(); got != "-TRYAGAIN huddle: not sure just now\r\n" {
					t.Errorf("%s, wait: %q", r.send, got)
				}
				misses.send(r.send + "\r\n")
				if got := misses.reply(); got != r.absent {
					t.Errorf("%s, miss: %q", r.send, got)
				}
			}
		})
	}
	t.Run("certain after a while", func(t *testing.T) {
		f := newFake()
		if err := f.Set(t.Context(), "k", []byte("v"), SetArgs{}); err != nil {
			t.Fatal(err)
		}
		var asked atomic.Int64
		f.lookup = func(context.Context, string) error {
			if asked.Add(1) < 4 {
				return ErrUnsure
			}
			return nil
		}
		w := dial(t, start(t, Config{Backend: f}).Addr())
		if got := w.do("get", "k"); got != "$1\r\nv\r\n" {
			t.Error(got)
		}
	})
	t.Run("what is changed is never guessed to be absent", func(t *testing.T) {
		f := newFake()
		f.lookup = unsure
		w := dial(t, start(t, Config{Backend: f, WhenUnsure: Miss, Timeout: 40 * time.Millisecond}).Addr())
		for _, args := range [][]string{
			{"incr", "k"},
			{"sadd", "k", "a"},
			{"getset", "k", "v"},
			{"getdel", "k"},
			{"watch", "k"},
			{"expire", "k", "9"},
			{"smembers", "k"},
			{"sismember", "k", "a"},
			{"hset", "k", "f", "v"},
			{"hmset", "k", "f", "v"},
			{"hsetnx", "k", "f", "v"},
			{"hincrby", "k", "f", "1"},
			{"hdel", "k", "f"},
			{"rename", "k", "l"},
			{"renamenx", "k", "l"},
		} {
			if got := w.do(args...); got != "-TRYAGAIN huddle: not sure just now\r\n" {
				t.Errorf("%s: %q", args[0], got)
			}
		}
	})
}

func TestErrorReplies(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		ErrUnavailable:               "-CLUSTERDOWN ",
		ErrUnconfirmed:               "-UNCONFIRMED ",
		context.DeadlineExceeded:     "-UNCONFIRMED ",
		ErrTooLarge:                  "-ERR huddle: over the size limit",
		ErrRevoked:                   "-REVOKED ",
		ErrOverload:                  "-BUSY ",
		ErrInvalid:                   "-ERR huddle: key cannot be used",
		ErrClosed:                    "-ERR huddle: the node is closing",
		errors.New("secret-token-7"): "-ERR huddle: internal error",
	} {
		f := newFake()
		s := start(t, Config{Backend: f})
		w := dial(t, s.Addr())
		w.do("set", "k", "v")
		w.do("hset", "there", "f", "v", "g", "w")
		f.write = func(context.Context, string) error { return fmt.Errorf("set: %w", err) }
		for _, args := range [][]string{
			{"set", "k", "v"},
			{"del", "k"},
			{"del", "k", "l"},
			{"mset", "k", "v", "l", "v"},
			{"expire", "k", "10"},
			{"flushall"},
			{"setnx", "k", "v"},
			{"incr", "n"},
			{"sadd", "s", "a"},
			{"getset", "k", "v"},
			{"hset", "h", "f", "v"},
			{"hset", "there", "f", "v"},
			{"hmset", "h", "f", "v"},
			{"hsetnx", "h", "f", "v"},
			{"hincrby", "h", "f", "1"},
			{"hdel", "there", "f"},
			{"hdel", "there", "f", "g"},
			{"rename", "k", "l"},
			{"renamenx", "there", "l"},
		} {
			if got := w.do(args...); !strings.HasPrefix(got, want) || strings.Contains(got, "secret") {
				t.Errorf("%v: %v answers %q", err, args, got)
			}
		}
	}
}

// TestEachKeyIsTried: an error of one key does not keep the others from being deleted.
func TestEachKeyIsTried(t *testing.T) {
	t.Parallel()
	f := newFake()
	w := dial(t, start(t, Config{Backend: f}).Addr())
	w.do("mset", "a", "1", "b", "2", "c", "3")
	f.write = func(_ context.Context, key string) error {
		if key == "a" {
			return ErrUnavailable
		}
		return nil
	}
	if got := w.do("del", "a", "b", "c"); !strings.HasPrefix(got, "-CLUSTERDOWN") {
		t.Error(got)
	}
	if got := w.do("exists", "a", "b", "c"); got != ":1\r\n" {
		t.Error(got)
	}
}

func TestDefaultTTL(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.defaultTTL = time.Hour
	w := dial(t, start(t, Config{Backend: f}).Addr())
	for _, tc := range [][2]string{
		{"set k v", "+OK"},
		{"ttl k", ":3600"},
		{"set k v ex 10", "+OK"},
		{"set k v keepttl", "+OK"},
		{"ttl k", ":10"},
		{"persist k", ":1"},
		{"incr n", ":1"},
		{"ttl n", ":3600"},
		{"expire n 10", ":1"},
		{"incr n", ":2"},
		{"ttl n", ":10"},
		{"sadd s a", ":1"},
		{"ttl s", ":-1"}, // a set ends when it is told to
		{"expire s 10", ":1"},
		{"sadd s b", ":1"},
		{"ttl s", ":10"},
		{"ttl k", ":-1"},
		{"rename k l", "+OK"},
		{"ttl l", ":-1"}, // what has no end keeps having none
		{"rename l k", "+OK"},
		{"hset h f v", ":1"},
		{"ttl h", ":3600"},
		{"expire h 10", ":1"},
		{"hset h f v g w", ":1"},
		{"hincrby h n 1", ":1"},
		{"hdel h f", ":1"},
		{"ttl h", ":10"},
		{"rename h i", "+OK"},
		{"ttl i", ":10"},
		{"hdel i g n", ":2"},
		{"hset i f v", ":1"},
		{"ttl i", ":3600"},
		{"set k v ex 9000000000000", "+OK"},
		{"ttl k", ":3153600000"},
	} {
		w.send(tc[0] + "\r\n")
		if got := w.reply(); got != tc[1]+"\r\n" {
			t.Errorf("%s: %q, want %s", tc[0], got, tc[1])
		}
	}
}

func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Backend: newFake(), Timeout: 30 * time.Second})
	const clients, each = 8, 50
	var wg sync.WaitGroup
	for i := range clients {
		w := dial(t, s.Addr())
		wg.Go(func() {
			for j := range each {
				w.do("incr", "n")
				w.do("sadd", "s", fmt.Sprint(i, "-", j))
				for { // WATCH, GET, SET
					w.send("watch m\r\nget m\r\n")
					w.reply()
					v := strings.Split(w.reply(), "\r\n")
					n := 0
					if len(v) > 2 {
						fmt.Sscan(v[1], &n)
					}
					w.send("multi\r\nset m " + fmt.Sprint(n+1) + "\r\nexec\r\n")
					w.reply()
					w.reply()
					if got := w.reply(); got == "*1\r\n+OK\r\n" {
						break
					} else if got != "*-1\r\n" {
						t.Errorf("exec: %q", got)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	w := dial(t, s.Addr())
	total := clients * each
	for _, args := range [][]string{{"get", "n"}, {"scard", "s"}, {"get", "m"}} {
		if got := w.do(args...); !strings.Contains(got, fmt.Sprint(total)) {
			t.Errorf("%v: %q, want %d", args, got, total)
		}
	}
}
