package nodetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// refuses checks that a node without a majority confirms no write, whether it keeps the key itself or another node does.
func refuses(t *testing.T, n *node.Node) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := n.Set(t.Context(), fmt.Sprint("refused", i), []byte("x"))
			if !errors.Is(err, node.ErrUnavailable) && !errors.Is(err, node.ErrUnconfirmed) {
				t.Errorf("Set on %s, which is cut off = %v; want ErrUnavailable or ErrUnconfirmed", n.Name(), err)
			}
		})
	}
	wg.Wait()
}

// fill sets keys on each node in turn.
func fill(t *testing.T, nodes []*node.Node, what string, keys int) {
	t.Helper()
	for i := range keys {
		if err := nodes[i%len(nodes)].Set(within(t, 10*time.Second), fmt.Sprint(what, i), []byte(what)); err != nil {
			t.Fatalf("Set %s%d: %v", what, i, err)
		}
	}
}

// check reads the keys on every node.
func check(t *testing.T, nodes []*node.Node, what string, keys int) {
	t.Helper()
	for _, n := range nodes {
		for i := range keys {
			if v, found, err := n.Get(within(t, 10*time.Second), fmt.Sprint(what, i)); string(v) != what || !found || err != nil {
				t.Fatalf("%s: Get %s%d = %q, %v, %v", n.Name(), what, i, v, found, err)
			}
		}
	}
}

// refused is how long a write without a majority waits for one.
const refused = 300 * time.Millisecond

func TestFaults(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "with a key": []byte("0123456789abcdef0123456789abcdef")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Key = key }))
			if got := len(c.Nodes()); got != 3 || c.Len() != 3 {
				t.Fatalf("%d nodes of %d run", got, c.Len())
			}
			fill(t, c.Nodes(), "a", 60)
			check(t, c.Nodes(), "a", 60)

			c.Kill(0)
			if _, _, err := c.Node(0).Get(t.Context(), "a0"); err == nil {
				t.Error("a killed node answers")
			}
			check(t, c.Nodes(), "a", 60)
			c.WaitSettled()
			fill(t, c.Nodes(), "b", 60)

			again := c.Restart(0)
			if again.Name() != "node-0" || again != c.Node(0) {
				t.Errorf("restarted as %s", again.Name())
			}
			c.WaitSettled()
			check(t, c.Nodes(), "b", 60)

			c.Leave(2)
			c.Add()
			c.WaitSettled()
			if got := len(c.Nodes()); got != 3 || c.Len() != 4 {
				t.Fatalf("%d nodes of %d run", got, c.Len())
			}
			check(t, c.Nodes(), "a", 60)
		})
	}
}

func TestIsolate(t *testing.T) {
	t.Parallel()
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.WriteTimeout = refused }))
	fill(t, c.Nodes(), "a", 60)
	check(t, c.Nodes(), "a", 60) // all know all: there are near copies

	c.Isolate(0)
	lone, rest := c.Node(0), c.Nodes()[1:]
	for i := range 60 { // returns when the lone node cannot serve the old value any more
		if err := rest[i%2].Set(within(t, 15*time.Second), fmt.Sprint("a", i), []byte("new")); err != nil {
			t.Fatalf("Set on the majority: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if v, found, err := lone.Get(ctx, fmt.Sprint("a", i)); found || !errors.Is(err, node.ErrUnsure) {
			t.Fatalf("Get on the node that is cut off = %q, %v, %v; want ErrUnsure", v, found, err)
		}
		cancel()
	}
	refuses(t, lone)
	c.WaitSettled()
	if got := rest[0].Stats().Members; got != 2 {
		t.Errorf("%d members in the majority, want 2", got)
	}

	c.Heal(0)
	c.WaitSettled()
	for i := range 60 {
		if v, _, err := lone.Get(within(t, 10*time.Second), fmt.Sprint("a", i)); string(v) != "new" || err != nil {
			t.Fatalf("Get after the cut = %q, %v; want the new value", v, err)
		}
	}
}

// Two halves: the larger goes on, and the smaller comes back.
func TestSplit(t *testing.T) {
	t.Parallel()
	// Three copies, so that none of the entries is on the two nodes alone.
	c := nodetest.Start(t, 5, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Replicas, cfg.WriteTimeout = 3, refused }))
	fill(t, c.Nodes(), "a", 50)
	c.Isolate(1, 3)
	c.WaitSettled()
	fill(t, []*node.Node{c.Node(0), c.Node(2), c.Node(4)}, "b", 50)
	refuses(t, c.Node(1))
	c.Heal()
	c.WaitSettled()
	check(t, c.Nodes(), "a", 50)
	check(t, c.Nodes(), "b", 50)
}

// failing is a test whose failure is expected.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

func TestMistakes(t *testing.T) {
	c := nodetest.Start(t, 1)
	c.Kill(0)
	c.Kill(0) // not running: nothing to do
	for what, do := range map[string]func(t *failing){
		"a cluster of 0 nodes": func(f *failing) { nodetest.Start(f, 0) },
		"Replicas is 99": func(f *failing) {
			nodetest.Start(f, 1, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Replicas = 99 }))
		},
		"node 1 of 1": func(f *failing) { nodetest.Start(f, 1).Isolate(1) },
		"has not settled": func(f *failing) {
			c := nodetest.Start(f, 3, nodetest.WithWait(3*time.Second))
			c.Isolate(0)
			c.Isolate(1) // nobody has a majority
			c.Kill(2)
			c.WaitSettled()
		},
	} {
		t.Run(what, func(t *testing.T) {
			f := &failing{TB: t}
			defer func() {
				if p := recover(); p != any(f) || !strings.Contains(f.said, what) {
					t.Errorf("recovered %v, the test said %q", p, f.said)
				}
			}()
			do(f)
		})
	}
}
