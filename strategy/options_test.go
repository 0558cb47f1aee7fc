package strategy_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
)

// loading returns the function of a Load, and counts its calls.
func loading(loads *int) func(context.Context) (strategy.Item[string], error) {
	return func(context.Context) (strategy.Item[string], error) {
		*loads++
		return strategy.Item[string]{Value: "loaded"}, nil
	}
}

// took runs f in virtual time and returns how long it took.
func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func TestReadWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		n.on(hanging("lookup"))
		for _, c := range []struct {
			opts []strategy.Option
			want time.Duration
		}{
			{nil, 40 * time.Millisecond},
			{[]strategy.Option{strategy.WithReadWait(time.Second)}, time.Second},
			{[]strategy.Option{strategy.WithReadWait(0)}, time.Minute}, // the caller's
			{[]strategy.Option{strategy.WithReadWait(-1)}, time.Minute},
		} {
			s := strategy.NewTypedOn[string](n, nil, c.opts...)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if got := took(func() {
				if _, found, err := s.Get(ctx, "t"); found || err != nil {
					t.Errorf("Get = %v, %v; want a miss", found, err)
				}
			}); got != c.want {
				t.Errorf("Get took %v, want %v", got, c.want)
			}
			cancel()
		}
	})
}

func TestFillWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		n.on(hanging("set"))
		for _, c := range []struct {
			opts []strategy.Option
			want time.Duration
		}{
			{nil, time.Second},
			{[]strategy.Option{strategy.WithFillWait(3 * time.Second)}, 3 * time.Second},
		} {
			s, loads := strategy.NewTypedOn[string](n, nil, append(c.opts, strategy.WithLoadLock(0))...), 0
			if got := took(func() {
				if v, err := s.Load(t.Context(), "t", loading(&loads)); v != "loaded" || err != nil {
					t.Errorf("Load = %q, %v", v, err)
				}
			}); got != c.want {
				t.Errorf("Load took %v, want %v", got, c.want)
			}
		}
	})
}

// A wait of 0 is that of the node, and not that nothing is stored.
func TestFillWaitOfTheNode(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	for _, lock := range []time.Duration{0, time.Minute} {
		s, loads := strategy.NewTyped[string](n, nil, strategy.WithFillWait(0), strategy.WithLoadLock(lock), strategy.WithKeyPrefix(lock.String())), 0
		for range 3 {
			if v, err := s.Load(t.Context(), "t", loading(&loads)); v != "loaded" || err != nil {
				t.Fatalf("Load = %q, %v", v, err)
			}
		}
		if loads != 1 {
			t.Errorf("with a lock of %v: loaded %d times, want once", lock, loads)
		}
		for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() { // it is given up after the answer
			if _, found, err := n.Get(t.Context(), "load-lock:"+lock.String()+"t"); err != nil || time.Now().After(deadline) {
				t.Fatalf("the lock is there: %v, %v", found, err)
			} else if !found {
				break
			}
		}
	}
}

func TestLoadLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster()
		if err := c.node().Set(t.Context(), "load-lock:typed:t", []byte("another replica"), strategy.SetParams{}); err != nil { // which has died
			t.Fatal(err)
		}
		for _, tc := range []struct {
			opts []strategy.Option
			want time.Duration
		}{
			{nil, 2 * time.Second},
			{[]strategy.Option{strategy.WithLoadLock(10 * time.Second)}, 10 * time.Second},
			{[]strategy.Option{strategy.WithLoadLock(0)}, 0},
		} {
			n, locks := c.node(), 0
			n.on(func(_ context.Context, op, key string) error {
				if op == "set" && key == "load-lock:typed:t" {
					locks++
				}
				return nil
			})
			s, loads := strategy.NewTypedOn[string](n, nil, tc.opts...), 0
			// The last look comes within a pause of 16 ms after the time is up.
			if got := took(func() {
				if v, err := s.Load(t.Context(), "t", loading(&loads)); v != "loaded" || err != nil || loads != 1 {
					t.Errorf("Load = %q, %v, loaded %d times", v, err, loads)
				}
			}); got < tc.want || got > tc.want+16*time.Millisecond || (locks == 0) != (tc.want == 0) {
				t.Errorf("Load took %v and asked %d times for the lock, want %v", got, locks, tc.want)
			}
			if err := n.Delete(t.Context(), "typed:t", false); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestStoreWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		n.on(failing("lookup", node.ErrUnsure))
		for _, c := range []struct {
			opts []strategy.StoreOption
			want time.Duration
		}{
			{nil, 5 * time.Second},
			{[]strategy.StoreOption{strategy.WithStoreWait(30 * time.Second)}, 30 * time.Second},
			{[]strategy.StoreOption{strategy.WithStoreWait(0)}, 5 * time.Second},
		} {
			s := strategy.NewSCSStoreOn(n, c.opts...)
			if got := took(func() {
				if _, _, err := s.Find("t"); !errors.Is(err, strategy.ErrUnsure) {
					t.Errorf("Find = %v, want ErrUnsure", err)
				}
			}); got != c.want {
				t.Errorf("Find took %v, want %v", got, c.want)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if got := took(func() { _, _, _ = s.FindCtx(ctx, "t") }); got != time.Second {
				t.Errorf("FindCtx took %v, want the caller's second", got)
			}
			cancel()
		}
	})
}

// Where tokens are hashed nobody can list them, which is said at once and not taken for unsure.
func TestAllOfHashedTokens(t *testing.T) {
	n := nodetest.Start(t, 1, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.HashTokens, cfg.TokenKey = true, make([]byte, 32) })).Node(0)
	s := strategy.NewSCSStore(n, strategy.WithStoreWait(time.Second))
	if err := s.Commit("t", []byte("x"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if all, err := s.All(); all != nil || !errors.Is(err, node.ErrHashed) || errors.Is(err, strategy.ErrUnsure) {
		t.Errorf("All = %v, %v; want ErrHashed", all, err)
	}
}
