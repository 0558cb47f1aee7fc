package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// A node that leaves answers as ever while it hands over and after that, until it is closed. From then on all it says is that it is closed:
// what has been begun before has been carried out.
func TestOperationsOfANodeThatLeaves(t *testing.T) {
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, c *node.Config) { c.Replicas, c.RepairRate = 1, 1<<20 }))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, other := c.Node(0), c.Node(1)
	for i := range 300 {
		if err := n.Set(ctx, fmt.Sprint("k", i), make([]byte, 10_000), node.WithTags("old")); err != nil {
			t.Fatal(err)
		}
	}
	var callers sync.WaitGroup
	var handing, guest atomic.Int64 // rounds that began while it handed over, and after that
	var handedOver atomic.Bool
	for k := range 4 {
		callers.Go(func() {
			for i := 0; ; i++ {
				if st := n.Stats(); handedOver.Load() {
					guest.Add(1)
				} else if st.Leaving && !st.Acting {
					handing.Add(1)
				}
				key := fmt.Sprint("c", k, ".", i%10)
				for what, err := range map[string]error{
					"Set":            n.Set(ctx, key, []byte("v")),
					"Get":            second(n.Get(ctx, fmt.Sprint("k", i%300))),
					"Delete":         n.Delete(ctx, key),
					"InvalidateTags": n.InvalidateTags(ctx, key),
				} {
					switch {
					case errors.Is(err, node.ErrClosed) && !errors.Is(err, node.ErrUnconfirmed):
						return
					case err != nil:
						t.Errorf("%s: %v", what, err)
						return
					}
				}
			}
		})
	}
	if err := n.HandOver(ctx); err != nil {
		t.Error(err)
	}
	handedOver.Store(true)
	if st := n.Stats(); !st.Leaving || n.InSync() {
		t.Errorf("leaving: %v, in sync: %v", st.Leaving, n.InSync())
	}
	for end := time.Now().Add(time.Minute); guest.Load() < 8 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if err := n.InvalidateTags(ctx, "old"); err != nil {
		t.Error(err)
	}
	if err := n.Leave(ctx); err != nil {
		t.Error(err)
	}
	callers.Wait()
	if handing.Load() == 0 || guest.Load() == 0 {
		t.Errorf("%d rounds while it handed over, %d after that", handing.Load(), guest.Load())
	}
	if err := n.Set(ctx, "k", nil); !errors.Is(err, node.ErrClosed) || errors.Is(err, node.ErrUnconfirmed) {
		t.Errorf("a Set when it has left: %v", err)
	}
	for i := range 300 {
		if _, found, err := other.Get(ctx, fmt.Sprint("k", i)); found || err != nil {
			t.Fatalf("k%d, which has been invalidated: %v, %v", i, found, err)
		}
	}
}

func second[A, B, C any](_ A, _ B, c C) C { return c }

// A change that was under way when the node was closed may have been carried out, and its error says so.
func TestChangesUnderWayAtClose(t *testing.T) {
	c := nodetest.Start(t, 3)
	const callers = 64
	stored := 0
	for round := 0; round < 50 && stored == 0; round++ {
		b := c.Node(1)
		key := func(i int) string { return fmt.Sprint(round, ".", i) }
		errs := make([]error, callers)
		many := make([]node.SetItem, callers)
		var begun, all sync.WaitGroup
		begun.Add(callers)
		for i := range errs {
			many[i] = node.SetItem{Key: key(i) + "many", Options: []node.SetOption{node.IfAbsent()}}
			all.Go(func() {
				begun.Done()
				errs[i] = b.Set(t.Context(), key(i), nil, node.IfAbsent())
			})
		}
		var manyErrs []error
		all.Go(func() { manyErrs = b.SetMany(t.Context(), many) })
		begun.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		c.Restart(1)
		for i, err := range append(errs, manyErrs...) {
			k := key(i % callers)
			if i >= callers {
				k += "many"
			}
			if err == nil || errors.Is(err, node.ErrClosed) && errors.Is(err, node.ErrUnconfirmed) {
				stored++ // or perhaps
				continue
			}
			if _, found, getErr := c.Node(0).Get(ctxT(t), k); found || getErr != nil || !errors.Is(err, node.ErrClosed) {
				t.Errorf("%s is stored: %v (%v), and its Set said %v", k, found, getErr, err)
			}
		}
	}
	if stored == 0 {
		t.Error("no Set was under way")
	}
}

// A change that was sent, and is not answered, is one of those.
func TestAChangeThatWasSentAtClose(t *testing.T) {
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Lease = 10 * time.Second })) // it has its majority all along
	n := c.Node(1)
	key := "k"
	for n.Locate(key).Owner == n.Name() {
		key += "k"
	}
	c.Isolate(1)
	ended := make(chan error, 2)
	go func() { ended <- n.Set(context.Background(), key, nil) }()
	go func() { ended <- n.SetMany(context.Background(), []node.SetItem{{Key: key}})[0] }()
	eventually(t, "both are under way", func() bool { return n.Stats().Sets == 2 })
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, node.ErrClosed) || !errors.Is(err, node.ErrUnconfirmed) {
			t.Errorf("got %v", err)
		}
	}
}

// So does that of a cut.
func TestACutUnderWayAtClose(t *testing.T) {
	c := nodetest.Start(t, 2)
	n := c.Node(0)
	c.Isolate(0)
	ended := make(chan error, 1)
	go func() { ended <- n.Clear(context.Background()) }()
	for n.Stats().Cuts == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, node.ErrClosed) || !errors.Is(err, node.ErrUnconfirmed) {
		t.Error(err)
	}
}

// What is under way as a node leaves ends by itself, in its own time at the latest: the node is not closed before.
func TestLeaveWaitsForWhatIsUnderWay(t *testing.T) {
	c := nodetest.Start(t, 3)
	n, key := c.Node(0), ""
	if err := n.HandOver(ctxT(t)); err != nil {
		t.Fatal(err)
	}
	for i := 0; key == "" || n.Locate(key).Owner != c.Node(2).Name(); i++ {
		key = fmt.Sprint("k", i)
	}
	c.Isolate(2)
	ended := make(chan node.Outcome, 1)
	n.Begin([]node.Op{{Kind: node.OpSet, Key: key, Timeout: time.Second}}, func(_ int, o node.Outcome) { ended <- o })
	if err := n.Leave(ctxT(t)); err != nil {
		t.Error(err)
	}
	if o := <-ended; o.Err == nil || errors.Is(o.Err, node.ErrClosed) {
		t.Errorf("a Set at an owner out of reach: %v", o.Err)
	}
}

// Whoever calls Leave finds the node closed when it returns, also he who comes when another caller has nearly done it.
func TestLeaveReturnsWhenTheNodeIsClosed(t *testing.T) {
	for _, other := range []func(*node.Node){
		func(n *node.Node) { _ = n.Leave(context.Background()) }, func(n *node.Node) { _ = n.Close() },
	} {
		c := nodetest.Start(t, 2)
		n := c.Node(0)
		events, cancel := n.Subscribe(64) // it is closed when the node is
		defer cancel()
		var callers sync.WaitGroup
		callers.Go(func() { other(n) })
		eventually(t, "it leaves", func() bool { return errors.Is(n.Set(t.Context(), "k", nil), node.ErrClosed) })
		if err := n.Leave(ctxT(t)); err != nil && !errors.Is(err, node.ErrClosed) {
			t.Error(err)
		}
		for open := true; open; {
			select {
			case _, open = <-events:
			default:
				t.Fatal("Leave has returned, and the node is not closed")
			}
		}
		callers.Wait()
	}
}

// What can be told at once does not depend on chance, nor on a context that has ended.
func TestReadyAndClosed(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if err := n.WaitReady(ended); err != nil {
			t.Fatalf("of a node in sync: %v", err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := n.WaitReady(ended); !errors.Is(err, node.ErrClosed) {
			t.Fatalf("of a node that is closed: %v", err)
		}
	}
	if err := n.Forget(t.Context(), "somebody"); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Forget: %v", err)
	}
}

// A node that is expelled as it leaves, for it is not heard, has not handed over: without other copies that is an error, and loses nothing else.
func TestLeaveOfANodeThatIsExpelled(t *testing.T) {
	for replicas, lost := range map[int]bool{1: true, 2: false} {
		c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Replicas = replicas }))
		n := c.Node(0)
		for i := range 30 {
			if err := n.Set(ctxT(t), fmt.Sprint("k", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		c.Isolate(0)
		left := make(chan error, 1)
		go func() { left <- n.Leave(ctxT(t)) }()
		eventually(t, "it is expelled", func() bool { return len(c.Node(1).Members()) == 2 })
		c.Heal(0)
		if err := <-left; (err != nil) != lost || lost && !strings.Contains(err.Error(), "expelled") {
			t.Errorf("with %d copies: %v", replicas, err)
		}
	}
}
