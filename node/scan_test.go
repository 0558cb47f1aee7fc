package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// walk lists all keys from one node, a few at a time, and calls halfway once on the way. While the node is not sure it asks again with
// the same cursor.
func walk(ctx context.Context, t *testing.T, n *node.Node, halfway func()) map[string]int {
	t.Helper()
	found := make(map[string]int)
	for cursor, pages := uint64(0), 0; ; pages++ {
		if pages == 10 {
			halfway()
		}
		keys, next, err := n.Scan(ctx, cursor, 20)
		if errors.Is(err, node.ErrUnsure) && ctx.Err() == nil {
			continue // it has waited for certainty
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			found[key]++
		}
		if next == 0 {
			return found
		}
		if next <= cursor {
			t.Fatalf("the cursor went from %d to %d", cursor, next)
		}
		cursor = next
	}
}

// TestScanUnderChurn lists the keys while others come and go, and while nodes join, leave and die on the way: what is there
// throughout is found, and what was deleted before is not.
func TestScanUnderChurn(t *testing.T) {
	c := cluster(t, 4, node.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const lasting = 500
	for i := range lasting {
		for _, key := range []string{"lasting", "gone"} {
			if err := c.Node(i%4).Set(ctx, fmt.Sprint(key, i), []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Node((i+1)%4).Delete(ctx, fmt.Sprint("gone", i)); err != nil {
			t.Fatal(err)
		}
	}
	churning, stop := context.WithCancel(ctx)
	churned := make(chan int)
	n := c.Node(0)
	go func() {
		i := 0
		for ; churning.Err() == nil; i++ { // an error is one of a moment without certainty; these keys are nobody's
			_ = n.Set(churning, fmt.Sprint("passing", i), []byte("v"), node.WithTTL(time.Second))
			_ = n.Delete(churning, fmt.Sprint("passing", i-20))
		}
		churned <- i
	}()
	for _, tc := range []struct {
		what    string
		halfway func(c *nodetest.Cluster)
	}{
		{"nothing else happens", func(*nodetest.Cluster) {}},
		{"a node joins", func(c *nodetest.Cluster) { c.Add() }},
		{"a node dies", func(c *nodetest.Cluster) { c.Kill(3) }},
		{"it comes back", func(c *nodetest.Cluster) { c.Restart(3) }},
		{"a node leaves", func(c *nodetest.Cluster) { c.Leave(4) }},
	} {
		found := walk(ctx, t, n, func() { tc.halfway(c) })
		missing, dead := 0, 0
		for i := range lasting {
			if found[fmt.Sprint("lasting", i)] == 0 {
				missing++
			}
			if found[fmt.Sprint("gone", i)] > 0 {
				dead++
			}
		}
		if missing+dead > 0 {
			t.Errorf("%s: of %d keys %d are not found, of %d that were deleted before %d are", tc.what, lasting, missing, lasting, dead)
		}
		c.WaitSettled()
	}
	stop()
	if i := <-churned; i < 100 {
		t.Errorf("only %d keys came and went", i)
	}
}
