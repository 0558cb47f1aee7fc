package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// A key that there cannot be is told so by whoever is asked, its owner among them, as by Get.
func TestManyKeysThatThereCannotBe(t *testing.T) {
	c := cluster(t, 2, node.Config{Replicas: 1})
	ctx := ctxT(t)
	for _, n := range c.Nodes() {
		for key, want := range map[string]error{"": node.ErrInvalid, strings.Repeat("k", 1025): node.ErrTooLarge} {
			if _, _, err := n.Get(ctx, key); !errors.Is(err, want) {
				t.Errorf("Get of a key of %d bytes: %v", len(key), err)
			}
			if got := n.GetMany(ctx, []string{key})[0]; got.Found || !errors.Is(got.Err, want) {
				t.Errorf("GetMany of a key of %d bytes: %v", len(key), got.Err)
			}
		}
	}
}

// What cannot be had of one owner keeps no other key from being answered.
func TestManyKeysPastALostOwner(t *testing.T) {
	c := cluster(t, 3, node.Config{Replicas: 1})
	ns, ctx := c.Nodes(), ctxT(t)
	var keys []string
	lost := map[string]bool{}
	for i := range 200 {
		k := fmt.Sprint("k", i)
		if err := ns[0].Set(ctx, k, []byte(k)); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
		lost[k] = ns[0].Locate(k).Owner == ns[2].Name()
	}
	for _, f := range ns[0].GetMany(ctx, keys) {
		if f.Err != nil || !f.Found {
			t.Fatalf("before: %v %v", f.Found, f.Err)
		}
	}
	c.Isolate(2)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	for i, f := range ns[0].GetMany(short, append(keys, "")) {
		switch {
		case i == len(keys):
			if !errors.Is(f.Err, node.ErrInvalid) {
				t.Errorf("an empty key: %v", f.Err)
			}
		case !lost[keys[i]] && (f.Err != nil || string(f.Value) != keys[i]):
			t.Errorf("%s of a reachable owner: %q, %v", keys[i], f.Value, f.Err)
		}
	}
	deleted := 0
	for i, err := range ns[1].DeleteMany(ctx, keys) {
		switch {
		case err == nil:
			deleted++
		case !lost[keys[i]]:
			t.Errorf("%s of a reachable owner: %v", keys[i], err)
		}
	}
	for i, f := range ns[0].GetMany(ctx, keys) {
		if f.Found {
			t.Errorf("%s is still there", keys[i])
		}
	}
	if deleted == 0 {
		t.Error("nothing was deleted")
	}
}

func TestSetMany(t *testing.T) {
	c := cluster(t, 3, node.Config{Replicas: 2})
	ns, ctx := c.Nodes(), ctxT(t)
	if err := ns[0].Set(ctx, "there", []byte("old")); err != nil {
		t.Fatal(err)
	}
	items := []node.SetItem{{Key: ""}, {Key: "there", Value: []byte("new"), Options: []node.SetOption{node.IfAbsent()}}}
	for i := range 100 {
		items = append(items, node.SetItem{Key: fmt.Sprint("k", i), Value: []byte(fmt.Sprint(i)), Options: []node.SetOption{node.WithTTL(time.Hour)}})
	}
	for i, err := range ns[1].SetMany(ctx, items) {
		switch {
		case i == 0 && !errors.Is(err, node.ErrInvalid), i == 1 && !errors.Is(err, node.ErrCondition), i > 1 && err != nil:
			t.Errorf("%q: %v", items[i].Key, err)
		}
	}
	for i, n := range ns {
		for _, it := range items[2:] {
			if e, found, err := n.Lookup(ctx, it.Key); !found || err != nil || string(e.Value) != string(it.Value) || e.TTL <= 0 {
				t.Fatalf("node %d, %s: %q %v %v", i, it.Key, e.Value, found, err)
			}
		}
	}
	if errs := ns[0].SetMany(ctx, nil); len(errs) != 0 {
		t.Errorf("nothing: %v", errs)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if errs := ns[0].SetMany(over, items[2:4]); errors.Is(errs[0], node.ErrUnconfirmed) || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("under a context that is over: %v", errs)
	}
	c.Isolate(1)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	failed := 0
	for _, err := range ns[1].SetMany(short, items[2:]) {
		if err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Error("a node that is cut off confirms everything")
	}
	if err := ns[2].Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range ns[2].SetMany(ctx, items[2:4]) {
		if !errors.Is(err, node.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// Each of many is written once: who asks for keys to be absent is not told that they are there because he has just written them.
func TestSetManyOfAbsentKeys(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	items := make([]node.SetItem, 100)
	for i := range items {
		items[i] = node.SetItem{Key: fmt.Sprint("k", i), Options: []node.SetOption{node.IfAbsent()}}
	}
	for i, err := range n.SetMany(ctxT(t), items) {
		if err != nil {
			t.Errorf("%s: %v", items[i].Key, err)
		}
	}
}

// A caller who goes while his writes are under way is told that they may take effect.
func TestSetManyThatIsGivenUp(t *testing.T) {
	c := nodetest.Start(t, 2)
	n := c.Node(0)
	var items []node.SetItem
	for i := 0; len(items) < 3; i++ {
		if k := fmt.Sprint("k", i); n.Locate(k).Owner == n.Name() {
			items = append(items, node.SetItem{Key: k})
		}
	}
	c.Isolate(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan []error, 1)
	go func() { ended <- n.SetMany(ctx, items) }()
	eventually(t, "the owner has them", func() bool { return n.Stats().Entries == len(items) })
	cancel()
	for i, err := range <-ended {
		if !errors.Is(err, node.ErrUnconfirmed) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want ErrUnconfirmed", items[i].Key, err)
		}
	}
}

// More than a session takes at a time, in large values, neither breaks it nor fails.
func TestManyLargeValues(t *testing.T) {
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) {
		cfg.MaxBytes, cfg.ExpelAfter = 512<<20, 30*time.Second // a machine that is busy with so much is not to be taken for dead
	}))
	view := c.Node(0).Stats().View
	const n, size = 80, 1 << 20
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	items := make([]node.SetItem, n)
	for i := range items {
		items[i] = node.SetItem{Key: fmt.Sprint("many", i), Value: make([]byte, size)}
	}
	for i, err := range c.Node(0).SetMany(ctx, items) {
		if err != nil {
			t.Fatalf("SetMany %d: %v", i, err)
		}
	}
	ops := make([]node.Op, n)
	for i := range ops {
		ops[i] = node.Op{Kind: node.OpSet, Key: fmt.Sprint("begun", i), Value: make([]byte, size), Timeout: 2 * time.Minute}
	}
	for i, o := range begun(t, c.Node(1), ops) {
		if o.Err != nil {
			t.Fatalf("Begin %d: %v", i, o.Err)
		}
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := c.Node(2).Set(ctx, fmt.Sprint("set", i), make([]byte, size)); err != nil {
				t.Errorf("Set %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if now := c.Node(0).Stats().View; now != view {
		t.Errorf("view %d, before %d", now, view)
	}
}

// Large values to an owner out of reach hold up nothing else, and nobody for longer than his time.
func TestLargeValuesToALostOwner(t *testing.T) {
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) {
		cfg.Replicas, cfg.MaxBytes, cfg.ExpelAfter, cfg.WriteTimeout = 1, 256<<20, time.Minute, 2*time.Second
	}))
	n := c.Node(0)
	var far, near []string
	for i := 0; len(far) < 80 || len(near) < 5; i++ {
		switch k := fmt.Sprint("k", i); n.Locate(k).Owner {
		case c.Node(2).Name():
			far = append(far, k)
		case n.Name():
			near = append(near, k)
		}
	}
	c.Isolate(2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stuck sync.WaitGroup
	for _, k := range far[:40] {
		stuck.Go(func() {
			if err := n.Set(ctx, k, make([]byte, 1<<20)); err == nil {
				t.Error("a Set at an owner that is cut off succeeds")
			}
		})
	}
	for n.Set(ctx, near[0], []byte("v")) != nil { // its view lease is there
		if ctx.Err() != nil {
			t.Fatal("no node but the one cut off can write")
		}
	}
	items := []node.SetItem{{Key: near[1], Value: []byte("v")}, {Key: near[2], Value: make([]byte, 1<<20)}}
	for _, k := range far[40:] {
		items = append(items, node.SetItem{Key: k, Value: make([]byte, 1<<20)})
	}
	items = append(items, node.SetItem{Key: near[3], Value: make([]byte, 1<<20)})
	short, cancelShort := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancelShort()
	for i, err := range n.SetMany(short, items) {
		if mine := i < 2 || i == len(items)-1; mine && err != nil || !mine && err == nil {
			t.Errorf("item %d: %v", i, err)
		}
	}
	if err := n.Set(ctx, near[4], make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	cancel()
	stuck.Wait()
	begun := time.Now()
	if err := n.Set(context.Background(), far[0], make([]byte, 1<<20)); err == nil || time.Since(begun) > time.Minute {
		t.Errorf("without a deadline: %v after %v", err, time.Since(begun))
	}
}

// A revocation that goes on after its caller is of the tags that he gave, whatever he does with his slice.
func TestTagsOfARevocationThatGoesOn(t *testing.T) {
	c := nodetest.Start(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := c.Node(0)
	if err := n.Set(ctx, "k", []byte("v"), node.WithTags("user:7")); err != nil {
		t.Fatal(err)
	}
	c.Isolate(2)
	short, end := context.WithTimeout(ctx, 50*time.Millisecond)
	defer end()
	tags := []string{"user:7"}
	if err := n.InvalidateTags(short, tags...); !errors.Is(err, node.ErrUnconfirmed) {
		t.Fatalf("a node is out of reach: %v", err)
	}
	tags[0] = "changed"
	c.Heal()
	for n.Stats().Late == 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if _, found, err := n.Get(ctx, "k"); found || err != nil {
		t.Errorf("after the revocation was confirmed: %v, %v", found, err)
	}
}

// GetMany says of a key that cannot be what Get says.
func TestGetManyOfInvalidKeys(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	ctx := ctxT(t)
	keys := []string{"", strings.Repeat("k", 1025), "absent"}
	for i, got := range n.GetMany(ctx, keys) {
		_, found, err := n.Get(ctx, keys[i])
		if got.Found != found || fmt.Sprint(got.Err) != fmt.Sprint(err) {
			t.Errorf("key of %d bytes: %v, %v; Get says %v, %v", len(keys[i]), got.Found, got.Err, found, err)
		}
	}
}
