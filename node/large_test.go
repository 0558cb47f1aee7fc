package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// Reads of large values of one owner, all at once, are answered one after the other: together they are more than a session takes.
func TestManyLargeReads(t *testing.T) {
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Replicas = 1 }))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	owner, reader := c.Node(0), c.Node(1)
	var keys []string
	for i := 0; len(keys) < 100; i++ {
		if k := fmt.Sprint("k", i); owner.Locate(k).Owner == owner.Name() {
			keys = append(keys, k)
			if err := owner.Set(ctx, k, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var wg sync.WaitGroup
	for _, k := range keys {
		wg.Go(func() {
			if v, _, err := reader.Get(ctx, k); len(v) != 1<<20 || err != nil {
				t.Errorf("%d bytes, %v", len(v), err)
			}
		})
	}
	wg.Wait()
}

// While a copy is out of reach, callers that have no patience leave more behind than a session takes. When it is back, it gets that bit by bit.
func TestManyLargeSetsThatWaitForACopy(t *testing.T) {
	c := nodetest.Start(t, 4)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := c.Node(0).Locate("k")
	var from *node.Node
	lost := 0
	for i, n := range c.Nodes() {
		switch n.Name() {
		case at.Owner:
		case at.Copies[0]:
			lost = i
		default:
			from = n
		}
	}
	c.Isolate(lost)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for begun := time.Now(); time.Since(begun) < 1200*time.Millisecond; {
				ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				_ = from.Set(ctx, "k", make([]byte, 1<<20)) // the copy is not there, or there is too much under way
				cancel()
			}
		})
	}
	wg.Wait()
	c.Heal()
	for _, n := range c.Nodes() { // on a slow machine the copy has been expelled, and comes back
		for n.Stats().Members != 4 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if members := n.Stats().Members; members != 4 {
			t.Errorf("%s is in a view of %d", n.Name(), members)
		}
	}
	c.WaitSettled()
	for _, n := range c.Nodes() {
		err := node.ErrOverload
		for errors.Is(err, node.ErrOverload) { // until the copy has caught up
			err = n.Set(ctx, "k", []byte(n.Name()))
		}
		if err != nil {
			t.Error(err)
		}
	}
}
