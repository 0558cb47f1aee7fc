package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// For the tests that look inside a node. The others, of package node_test, use nodetest too, which imports this package.
var (
	StartInTest      = start
	ContextInTest    = ctxT
	EventuallyInTest = eventually
)

// start starts a node with a small ring, closed at the end of the test.
func start(t testing.TB, cfg Config) *Node {
	t.Helper()
	if cfg.Partitions == 0 {
		cfg.Partitions, cfg.VirtualNodes = 257, 40
	}
	cfg.Settle = 200 * time.Millisecond
	if os.Getenv("HUDDLE_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	n, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// cluster starts count nodes that find each other through the first, and waits until all are in sync in one view.
func cluster(t testing.TB, count int, cfg Config) []*Node {
	t.Helper()
	var ns []*Node
	for i := range count {
		c := cfg
		c.Name = fmt.Sprintf("n%d", i)
		if i > 0 {
			c.Join = []string{ns[0].Addr()}
		}
		ns = append(ns, start(t, c))
	}
	settled(t, ns...)
	return ns
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func settled(t testing.TB, ns ...*Node) {
	t.Helper()
	eventually(t, "all nodes in sync in one view", func() bool {
		for _, n := range ns {
			s := n.Stats()
			if !s.InSync || !s.Settled || s.Members != len(ns) || s.View != ns[0].Stats().View {
				return false
			}
		}
		return true
	})
}

// ctxT is a context for the calls of a test, which must not take longer.
func ctxT(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Start ends when its context does, also while a name is looked up and nobody answers.
func TestStartIsBoundedByItsContext(t *testing.T) {
	const alone = "HUDDLE_TEST_ALONE"
	if os.Getenv(alone) == "" { // in a process of its own: goroutines of memberlist outlast the nodes of earlier tests, and read net.DefaultResolver
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
		again.Env = append(os.Environ(), alone+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for what, cfg := range map[string]Config{
		"listen":    {Listen: "name.invalid:0", Insecure: true},
		"advertise": {Advertise: "name.invalid:0"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(dial context.Context, _, _ string) (net.Conn, error) {
			cancel()
			<-dial.Done()
			return nil, dial.Err()
		}}
		began := time.Now()
		n, err := Start(ctx, cfg)
		if n != nil {
			_ = n.Close()
		}
		if took := time.Since(began); !errors.Is(err, context.Canceled) || took > 3*time.Second {
			t.Errorf("%s: %v after %v", what, err, took)
		}
	}
}
