package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// memberlist ends a probe that is under way at Shutdown only at its time-out, by itself.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

var (
	start      = node.StartInTest
	ctxT       = node.ContextInTest
	eventually = node.EventuallyInTest
)

// cluster starts count nodes with a small ring, and waits until all are in sync in one view.
func cluster(t testing.TB, count int, cfg node.Config) *nodetest.Cluster {
	t.Helper()
	return nodetest.Start(t, count, nodetest.WithConfig(func(_ int, c *node.Config) {
		c.Key, c.Replicas, c.NoNearCopies = cfg.Key, cfg.Replicas, cfg.NoNearCopies
	}))
}

func TestZeroConfig(t *testing.T) {
	n := start(t, node.Config{})
	ctx := ctxT(t)
	<-n.Ready()
	if err := n.Set(ctx, "k", []byte("v"), node.WithTTL(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := n.Get(ctx, "k"); string(v) != "v" || !ok || err != nil {
		t.Fatal(v, ok, err)
	}
}

func TestThreeNodes(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	for _, c := range []struct {
		name string
		cfg  node.Config
	}{{"plain", node.Config{}}, {"key", node.Config{Key: key}}, {"three copies", node.Config{Replicas: 3}}} {
		t.Run(c.name, func(t *testing.T) {
			ns := cluster(t, 3, c.cfg).Nodes()
			ctx := ctxT(t)
			for i := range 200 {
				k := fmt.Sprint("k", i)
				if err := ns[i%3].Set(ctx, k, []byte(k)); err != nil {
					t.Fatal(err)
				}
				for j, n := range ns {
					if v, ok, err := n.Get(ctx, k); string(v) != k || !ok || err != nil {
						t.Fatalf("%s on %d: %q %v %v", k, j, v, ok, err)
					}
				}
			}
			if got, err := ns[1].Len(ctx); got != 200 || err != nil {
				t.Fatal(got, err)
			}
			for i := range 100 {
				k := fmt.Sprint("k", i)
				if err := ns[(i+1)%3].Delete(ctx, k); err != nil {
					t.Fatal(err)
				}
				for j, n := range ns {
					if v, ok, err := n.Get(ctx, k); ok || err != nil {
						t.Fatalf("%s on %d after its deletion: %q %v", k, j, v, err)
					}
				}
			}
			if err := ns[2].Set(ctx, "tagged", []byte("x"), node.WithTags("user:1")); err != nil {
				t.Fatal(err)
			}
			ns[0].Get(ctx, "tagged")
			if err := ns[0].InvalidateTags(ctx, "user:1"); err != nil {
				t.Fatal(err)
			}
			for _, n := range ns {
				if _, ok, err := n.Get(ctx, "tagged"); ok || err != nil {
					t.Fatal("tagged entry after its tag was invalidated", err)
				}
			}
			if err := ns[1].Clear(ctx); err != nil {
				t.Fatal(err)
			}
			if got, err := ns[2].Len(ctx); got != 0 || err != nil {
				t.Fatal(got, err)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	ns := cluster(t, 2, node.Config{}).Nodes()
	ctx := ctxT(t)
	a, b := ns[0], ns[1]
	must := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	must(a.Set(ctx, "k", []byte("1"), node.IfPresent()), node.ErrCondition)
	must(a.Set(ctx, "k", []byte("1"), node.IfVersion(0)), nil) // the version of an absent key
	must(b.Set(ctx, "k", []byte("2"), node.IfAbsent()), node.ErrCondition)
	must(b.Set(ctx, "k", []byte("2"), node.IfVersion(0)), node.ErrCondition)
	must(b.Delete(ctx, "k", node.DeleteIfVersion(0)), node.ErrCondition)
	must(b.TouchIfVersion(ctx, "k", time.Minute, 0), node.ErrCondition)
	e, ok, err := b.Lookup(ctx, "k")
	if !ok || err != nil || string(e.Value) != "1" || e.TTL != 0 {
		t.Fatal(e, ok, err)
	}
	must(b.Set(ctx, "k", []byte("3"), node.IfVersion(e.Version)), nil)
	must(a.Set(ctx, "k", []byte("4"), node.IfVersion(e.Version)), node.ErrCondition)
	must(a.Delete(ctx, "k", node.DeleteIfVersion(e.Version)), node.ErrCondition)
	if ok, err := a.Touch(ctx, "k", time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if e, _, _ := b.Lookup(ctx, "k"); e.TTL <= 0 || e.TTL > time.Minute {
		t.Fatal(e.TTL)
	}
	must(b.Delete(ctx, "k", node.Revoke()), nil)
	must(a.Set(ctx, "k", []byte("late")), node.ErrRevoked)

	_, ok, ticket, err := a.LookupOrTicket(ctx, "fill")
	if ok || err != nil || ticket == (node.Ticket{}) {
		t.Fatal(ok, ticket, err)
	}
	must(b.Delete(ctx, "fill"), nil)
	must(a.Set(ctx, "fill", []byte("old"), node.WithTicket(ticket)), node.ErrStaleFill)
	must(a.Set(ctx, "", nil), node.ErrInvalid)
	must(a.Set(ctx, strings.Repeat("k", 2000), nil), node.ErrTooLarge)
	must(a.Set(ctx, "k2", make([]byte, 2<<20)), node.ErrTooLarge)
	must(a.Set(ctx, "k2", nil, node.WithTTL(-1)), node.ErrInvalid)
}

func TestCrashLosesNothing(t *testing.T) {
	c := cluster(t, 3, node.Config{})
	ns := c.Nodes()
	ctx := ctxT(t)
	for i := range 2000 {
		if err := ns[i%3].Set(ctx, fmt.Sprint("k", i), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	c.Kill(1)
	for i := range 2000 {
		n := ns[i%2*2]
		if v, ok, err := n.Get(ctx, fmt.Sprint("k", i)); string(v) != fmt.Sprint(i) || !ok || err != nil {
			t.Fatalf("k%d: %q %v %v", i, v, ok, err)
		}
	}
	c.WaitSettled()
}

func TestLeaveHandsOver(t *testing.T) {
	c := cluster(t, 3, node.Config{Replicas: 1})
	ns := c.Nodes()
	ctx := ctxT(t)
	for i := range 1000 {
		if err := ns[i%3].Set(ctx, fmt.Sprint("k", i), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	c.Leave(0)
	if _, _, err := ns[0].Get(ctx, "another"); !errors.Is(err, node.ErrClosed) {
		t.Fatal(err)
	}
	for i := range 1000 {
		if v, ok, err := ns[1+i%2].Get(ctx, fmt.Sprint("k", i)); string(v) != fmt.Sprint(i) || !ok || err != nil {
			t.Fatalf("k%d: %q %v %v", i, v, ok, err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for want, cfg := range map[string]node.Config{
		"no Key":             {Listen: "0.0.0.0:0"},
		"32":                 {Key: []byte("short")},
		"want host:port":     {Listen: "7400"},
		"it takes host:port": {Advertise: "7400"},
		"name this machine":  {Advertise: "0.0.0.0:7400"},
		"Replicas":           {Replicas: -1},
		"shorter than Lease": {ExpelAfter: time.Millisecond, Lease: time.Second},
		"dns:NAME:PORT":      {Join: []string{"nowhere"}},
		"MaxValueBytes":      {MaxBytes: 1 << 20, MaxValueBytes: 1 << 20},
	} {
		if _, err := node.Start(context.Background(), cfg); !errors.Is(err, node.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	// What is not given follows from what is.
	for _, cfg := range []node.Config{{Lease: 3 * time.Second}, {MaxBytes: 1 << 20}} {
		n := start(t, cfg)
		<-n.Ready()
		if err := n.Set(t.Context(), "k", make([]byte, 1<<18)); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	n := start(t, node.Config{})
	if _, err := node.Start(context.Background(), node.Config{Listen: n.Addr()}); err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("taken port: %v", err)
	}
}

// TestStrangersAreRefused: another ring, label, number of copies or key does not join, and does no harm. That it is for this reason is what
// the stranger says itself; one that is no stranger does join.
func TestStrangersAreRefused(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	a := start(t, node.Config{Name: "a", Key: key})
	<-a.Ready()
	for name, c := range map[string]struct {
		cfg  node.Config
		says []string // one of them
	}{
		"ring":   {node.Config{Partitions: 263, VirtualNodes: 40, Key: key}, []string{"settings differ"}},
		"label":  {node.Config{Cluster: "other", Key: key}, []string{"another cluster label", "or the cluster label"}},
		"copies": {node.Config{Replicas: 3, Key: key}, []string{"replicas differ: this node has 3, the other 2"}},
		"key":    {node.Config{Key: []byte("0123456789abcdef0123456789abcdeX")}, []string{"another key", "does not accept the key"}},
		"no key": {node.Config{}, []string{"a key that this node lacks"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Name, c.cfg.Join = "b", []string{a.Addr()}
			b := start(t, c.cfg)
			eventually(t, fmt.Sprintf("it says one of %q", c.says), func() bool {
				said := b.Stats().Waiting
				return slices.ContainsFunc(c.says, func(s string) bool { return strings.Contains(said, s) })
			})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := b.Set(ctx, "k", []byte("v")); !errors.Is(err, node.ErrUnavailable) {
				t.Errorf("a stranger writes: %v", err)
			}
			if n := a.Stats().Members; n != 1 {
				t.Errorf("%d members", n)
			}
		})
	}
	if err := a.Set(ctxT(t), "k", []byte("v")); err != nil {
		t.Error(err)
	}
	b := start(t, node.Config{Name: "b", Join: []string{a.Addr()}, Key: key})
	if err := b.Set(ctxT(t), "k", []byte("v")); err != nil || a.Stats().Members != 2 {
		t.Errorf("who fits: %v; %d members", err, a.Stats().Members)
	}
}

func TestNoNearCopies(t *testing.T) {
	ns := cluster(t, 2, node.Config{Replicas: 1, NoNearCopies: true}).Nodes()
	ctx := ctxT(t)
	for i := range 50 {
		k := fmt.Sprint("k", i)
		if err := ns[0].Set(ctx, k, []byte(k)); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node.Node{ns[0], ns[1], ns[0], ns[1]} {
			if v, ok, err := n.Get(ctx, k); string(v) != k || !ok || err != nil {
				t.Fatalf("%s: %q %v %v", k, v, ok, err)
			}
		}
	}
	a, b := ns[0].Stats(), ns[1].Stats()
	if a.Near != 0 || b.Near != 0 || a.NearHits != 0 || b.NearHits != 0 {
		t.Errorf("near copies %d and %d, hits of them %d and %d", a.Near, b.Near, a.NearHits, b.NearHits)
	}
	if a.Remote+b.Remote != 100 {
		t.Errorf("%d Gets of 100 went to the owner", a.Remote+b.Remote)
	}
	for _, n := range ns {
		for i := range 50 {
			if o := begun(t, n, []node.Op{{Key: fmt.Sprint("k", i)}})[0]; !o.Found || o.Err != nil {
				t.Fatal(o)
			}
		}
		if s := n.Stats(); s.Near != 0 {
			t.Errorf("%d near copies of what was begun", s.Near)
		}
	}
}

// Each read is counted once: by what came of it.
func TestReadsAreCountedOnce(t *testing.T) {
	n := cluster(t, 2, node.Config{}).Node(0)
	ctx := ctxT(t)
	before := n.Stats()
	for i := range 50 {
		key := fmt.Sprint("absent", i)
		if _, found, err := n.Get(ctx, key); found || err != nil {
			t.Fatal(found, err)
		}
		if _, found, _, err := n.LookupOrTicket(ctx, key); found || err != nil {
			t.Fatal(found, err)
		}
	}
	if err := n.Set(ctx, "present", nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, found, err := n.Get(ctx, "present"); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	st := n.Stats()
	misses, hits, unsure := st.Misses-before.Misses, st.Hits+st.Remote-before.Hits-before.Remote, st.Unsure-before.Unsure
	if misses != 100 || hits != 3 || unsure != 0 {
		t.Errorf("%d misses of 100, %d hits of 3, %d unsure", misses, hits, unsure)
	}
}

// Who has no majority says so, also to a caller with little time, and whoever owns the key. A deletion goes on by itself, and that is said too.
func TestWithoutMajorityWritesAreRefused(t *testing.T) {
	c := cluster(t, 3, node.Config{})
	n := c.Node(0)
	keys := map[string]string{} // by owner
	for i := 0; len(keys) < 3; i++ {
		k := fmt.Sprint("k", i)
		keys[n.Locate(k).Owner] = k
	}
	c.Isolate(0)
	eventually(t, "its lease has ended", func() bool { return !n.Stats().Acting })
	for owner, key := range keys {
		for what, write := range map[string]func(ctx context.Context) error{
			"Set":   func(ctx context.Context) error { return n.Set(ctx, key, []byte("v")) },
			"Touch": func(ctx context.Context) error { _, err := n.Touch(ctx, key, time.Minute); return err },
			"SetMany": func(ctx context.Context) error {
				return n.SetMany(ctx, []node.SetItem{{Key: key, Value: []byte("v")}})[0]
			},
			"Delete":         func(ctx context.Context) error { return n.Delete(ctx, key) },
			"Clear":          n.Clear,
			"InvalidateTags": func(ctx context.Context) error { return n.InvalidateTags(ctx, "t") },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := write(ctx)
			cancel()
			goesOn := what == "Delete" || what == "Clear" || what == "InvalidateTags"
			if !errors.Is(err, node.ErrUnavailable) || errors.Is(err, node.ErrUnconfirmed) != goesOn {
				t.Errorf("%s of a key of %s: %v", what, owner, err)
			}
		}
	}
}

// While a majority is there and the owner is gone, a Set that could not be sent has not been made, and a deletion goes on by itself.
func TestWritesWhoseOwnerIsGone(t *testing.T) {
	c := cluster(t, 3, node.Config{})
	n, gone := c.Node(0), c.Node(2).Name()
	var keys []string
	for i := 0; len(keys) < 2; i++ {
		if k := fmt.Sprint("k", i); n.Locate(k).Owner == gone {
			keys = append(keys, k)
		}
	}
	key := keys[0]
	if err := n.Set(t.Context(), key, []byte("v")); err != nil {
		t.Fatal(err)
	}
	c.Kill(2)
	short := func(write func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return write(ctx)
	}
	del := short(func(ctx context.Context) error { return n.Delete(ctx, key) })
	if !errors.Is(del, node.ErrUnconfirmed) || errors.Is(del, node.ErrUnavailable) {
		t.Errorf("Delete: %v", del)
	}
	set := short(func(ctx context.Context) error { return n.Set(ctx, keys[1], []byte("v")) })
	if !errors.Is(set, node.ErrUnavailable) && !errors.Is(set, node.ErrUnconfirmed) || strings.Contains(set.Error(), "majority") {
		t.Errorf("Set: %v", set)
	}
	eventually(t, "the deletion has gone on", func() bool { return n.Stats().Late > 0 })
	if v, found, err := n.Get(t.Context(), key); found || err != nil {
		t.Errorf("after the deletion: %q, %v, %v", v, found, err)
	}
}

// Nodes that all leave at once do not wait for each other in vain.
func TestAllLeaveAtOnce(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("the second is late: %v", late), func(t *testing.T) { leaveBoth(t, late) })
	}
}

func leaveBoth(t *testing.T, late bool) {
	a := start(t, node.Config{Name: "a"})
	b := start(t, node.Config{Name: "b", Join: []string{a.Addr()}})
	<-b.Ready()
	ctx := ctxT(t)
	left := make(chan error, 2)
	go func() { left <- a.Leave(ctx) }()
	if late { // when the first has gone from the view, and hands over to the second
		eventually(t, "it leaves", func() bool { return len(b.Members()) < 2 || b.Members()[0].State == "leaving" })
	}
	go func() { left <- b.Leave(ctx) }()
	for range 2 {
		if err := <-left; err != nil {
			t.Error(err)
		}
	}
}
