package node_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// begun runs operations by Begin and waits until each has ended, once.
func begun(t *testing.T, n *node.Node, ops []node.Op) []node.Outcome {
	t.Helper()
	out := make([]node.Outcome, len(ops))
	times := make([]int, len(ops))
	var mu sync.Mutex
	var all sync.WaitGroup
	all.Add(len(ops))
	given := slices.Clone(ops)
	n.Begin(given, func(i int, o node.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		if times[i]++; times[i] == 1 {
			out[i] = o
			all.Done()
		}
	})
	clear(given) // it is the caller's again
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	for i, k := range times {
		if k != 1 {
			t.Errorf("operation %d ended %d times", i, k)
		}
	}
	return out
}

func TestBegin(t *testing.T) {
	nodes := nodetest.Start(t, 3).Nodes()
	const n = 100
	ops := make([]node.Op, n)
	for i := range ops {
		ops[i] = node.Op{Kind: node.OpSet, Key: fmt.Sprint("k", i), Value: []byte(fmt.Sprint("v", i)), Set: []node.SetOption{node.WithTTL(time.Hour)}}
	}
	ops[7].Key = ""
	ops[8].Value = make([]byte, 2<<20)
	ops[9].Set = []node.SetOption{node.IfPresent()}
	want := map[int]error{7: node.ErrInvalid, 8: node.ErrTooLarge, 9: node.ErrCondition}
	for i, o := range begun(t, nodes[0], ops) {
		if !errors.Is(o.Err, want[i]) {
			t.Errorf("Set %d: %v, want %v", i, o.Err, want[i])
		}
	}
	// Of each key one node is the owner, one has a copy, and one has to ask.
	for _, from := range nodes {
		for i := range ops {
			ops[i] = node.Op{Key: fmt.Sprint("k", i)}
		}
		ops[7].Key = ""
		for i, o := range begun(t, from, ops) {
			switch there := want[i] == nil; {
			case i == 7:
				if !errors.Is(o.Err, node.ErrInvalid) {
					t.Errorf("Lookup of the empty key: %v", o.Err)
				}
			case o.Err != nil || o.Found != there:
				t.Errorf("Lookup %d: %v, %v", i, o.Found, o.Err)
			case there && (string(o.Entry.Value) != fmt.Sprint("v", i) || o.Entry.Version == 0 || o.Entry.TTL > time.Hour || o.Entry.TTL < time.Minute):
				t.Errorf("Lookup %d: %+v", i, o.Entry)
			}
		}
	}
	for i := range ops {
		ops[i] = node.Op{Kind: node.OpRemove, Key: fmt.Sprint("k", i), Remove: []node.DeleteOption{node.Revoke()}}
	}
	for i, o := range begun(t, nodes[2], ops) {
		if o.Err != nil || o.Found != (want[i] == nil) {
			t.Errorf("Remove %d: %v, %v", i, o.Found, o.Err)
		}
	}
	for i := range ops {
		if v, found, err := nodes[1].Get(t.Context(), ops[i].Key); found || err != nil {
			t.Errorf("Get of %s after its removal: %q, %v", ops[i].Key, v, err)
		}
	}
	ops[0] = node.Op{Kind: node.OpSet, Key: "k0", Value: []byte("late")}
	if o := begun(t, nodes[1], ops[:1])[0]; !errors.Is(o.Err, node.ErrRevoked) {
		t.Errorf("Set of a revoked key: %v", o.Err)
	}
}

// What is begun ends in time though nobody answers, and also when the node is closed.
func TestBegunOperationsEnd(t *testing.T) {
	c := nodetest.Start(t, 3)
	from := c.Node(0)
	c.Isolate(0)
	ops := make([]node.Op, 0, 60)
	for i := range 60 {
		ops = append(ops, node.Op{Kind: node.OpKind(i % 3), Key: fmt.Sprint("k", i), Timeout: 300 * time.Millisecond})
	}
	failed := 0
	for i, o := range begun(t, from, ops) {
		switch {
		case o.Err == nil:
		case i%3 == 0 && !errors.Is(o.Err, node.ErrUnsure), i%3 > 0 && !errors.Is(o.Err, node.ErrUnconfirmed) && !errors.Is(o.Err, node.ErrUnavailable):
			t.Errorf("operation %d: %v", i, o.Err)
		default:
			failed++
		}
	}
	if failed == 0 {
		t.Error("a node that is cut off answered everything")
	}
	for i := range ops {
		ops[i].Timeout = time.Hour
	}
	var ended sync.WaitGroup
	ended.Add(len(ops))
	from.Begin(ops, func(int, node.Outcome) { ended.Done() })
	if err := from.Close(); err != nil {
		t.Error(err)
	}
	ended.Wait()
	for i, o := range begun(t, from, ops) {
		if o.Err == nil {
			t.Errorf("operation %d of a closed node has no error", i)
		}
	}
}

// What a caller does to the tags of an Outcome is not done to those by which InvalidateTags finds the entry.
func TestTagsOfAnOutcomeAreTheCallers(t *testing.T) {
	c := nodetest.Start(t, 2)
	n := c.Node(0)
	ctx := ctxT(t)
	if err := n.Set(ctx, "k", nil, node.WithTags("a")); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		o := begun(t, n, []node.Op{{Kind: node.OpLookup, Key: "k"}})[0]
		if !o.Found || len(o.Entry.Tags) != 1 {
			t.Fatal(o)
		}
		o.Entry.Tags[0] = "b"
	}
	if err := n.InvalidateTags(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		if _, found, err := n.Get(ctx, "k"); found || err != nil {
			t.Errorf("%s: found after its tag was invalidated: %v, %v", n.Name(), found, err)
		}
	}
}
