// Package scenario holds tests on clusters of real processes that last longer and are larger than those beside the command: crashes
// one after the other, rolling restarts, growing and shrinking under load, isolation, revocations while a node is stopped or cut
// off, and what all that costs. They are small by default; with -full they have the size that is promised.
package scenario

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/command"
)

var (
	full  = flag.Bool("full", false, "run the scenarios at their full size: with -timeout 2h, and without -race")
	lanes = flag.Int("lanes", 2, "clusters that revoke at the same time")
)

// TestMain lets the test binary be the nodes too. Where it has the race detector in it, a plain one is built for them: dozens of
// processes that are ten times as slow would show the machine's bounds, not ours.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	cluster.QuietRedis()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// binaryVar names the binary that the nodes run, for the tests of this process.
const binaryVar = "SCENARIO_BINARY"

func run(m *testing.M) (code int, err error) {
	if err := flag.Set("test.parallel", "4"); err != nil { // they mostly wait; a flag given by hand goes first
		return 0, err
	}
	if raced {
		dir, err := os.MkdirTemp("", "huddle-scenario-")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(dir)
		binary := filepath.Join(dir, "huddle")
		if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "github.com/huddle-cache/huddle/cmd/huddle").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("go build: %w\n%s", err, out)
		}
		if err := os.Setenv(binaryVar, binary); err != nil {
			return 0, err
		}
	}
	return m.Run(), nil
}

// together lets a small scenario run beside others. At their full size they are measured, so each has the machine for itself.
func together(t *testing.T) {
	if !*full {
		t.Parallel()
	}
}

// sized is small, or with -full large.
func sized[T any](small, large T) T {
	if *full {
		return large
	}
	return small
}

const answerWait = 8 * time.Second // longer than a node tries

// world is a cluster under test with a Redis client for each node.
type world struct {
	t  *testing.T
	c  *cluster.Cluster
	at []*redis.Client
}

// start runs a cluster until the test ends. Its first nodes are ready and settled.
func start(t *testing.T, opts cluster.Options) *world {
	t.Helper()
	w := launch(t, opts)
	w.settled(60 * time.Second)
	return w
}

// launch is start without the wait.
func launch(t *testing.T, opts cluster.Options) *world {
	t.Helper()
	if opts.Namespaces {
		if err := cluster.CheckNamespaces(); err != nil {
			t.Skip(err)
		}
	}
	opts.Executable = os.Getenv(binaryVar) // empty: this one
	c, err := cluster.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, c: c}
	t.Cleanup(func() {
		if t.Failed() {
			w.tell()
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, n := range c.Nodes() {
		cl := n.Redis(answerWait)
		t.Cleanup(func() { _ = cl.Close() })
		w.at = append(w.at, cl)
	}
	return w
}

// tell logs what the nodes have said last about their views.
func (w *world) tell() {
	w.t.Helper()
	for _, n := range w.c.Nodes() {
		var said []string
		for line := range strings.Lines(n.LogTail(200)) {
			if strings.Contains(line, "event=") || strings.Contains(line, "session down") || strings.Contains(line, "session up") {
				said = append(said, strings.TrimSpace(line))
			}
		}
		if n.State() == cluster.Down { // perhaps it said why
			said = append(said, n.LogTail(5))
		}
		w.t.Logf("%s is %s; it said last:\n%s", n.Name, n.State(), strings.Join(said[max(0, len(said)-20):], "\n"))
	}
}

// settled waits until the nodes that are up are in sync in one view, and returns how long that took.
func (w *world) settled(within time.Duration) time.Duration {
	w.t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	if err := w.c.WaitSettled(ctx); err != nil {
		w.t.Fatalf("not settled after %v: %v", time.Since(begun), err)
	}
	return time.Since(begun)
}

// up lists the nodes that run, as numbers from 0.
func (w *world) up() []int {
	var out []int
	for i, n := range w.c.Nodes() {
		if n.State() == cluster.Up {
			out = append(out, i)
		}
	}
	return out
}

// ready waits until every node that runs answers its readiness check.
func (w *world) ready(within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	var nodes []*cluster.Node
	for _, i := range w.up() {
		nodes = append(nodes, w.c.Nodes()[i])
	}
	if err := w.c.WaitReady(ctx, nodes...); err != nil {
		w.t.Fatal(err)
	}
}

// start starts node i anew.
func (w *world) start(i int) {
	w.t.Helper()
	if err := w.c.Nodes()[i].Start(); err != nil {
		w.t.Fatal(err)
	}
}

// leave ends node i as SIGTERM does.
func (w *world) leave(i int, within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	n := w.c.Nodes()[i]
	if err := n.Leave(ctx); err != nil {
		w.t.Fatal(err)
	}
	if tail := n.LogTail(5); !strings.Contains(tail, "msg=left ") {
		w.t.Errorf("%s did not leave as it should: %s", n.Name, tail)
	}
}

// id is the identity of node i in its present life.
func (w *world) id(i int) string {
	w.t.Helper()
	m, err := w.c.Nodes()[i].Client().Members(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range m.Members {
		if m.Self {
			return m.ID
		}
	}
	w.t.Fatalf("%s is no member of its own view", w.c.Nodes()[i].Name)
	return ""
}

// gone waits until the member with that id is in the view of no node that runs, and returns how long after since the last of
// them had the new view.
func (w *world) gone(id string, since time.Time) time.Duration {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var errs [64]error
	for k, i := range w.up() {
		wg.Go(func() { errs[k] = w.without(ctx, i, id) })
	}
	wg.Wait()
	took := time.Since(since)
	if err := errors.Join(errs[:]...); err != nil {
		w.t.Fatalf("%v after the crash: %v", took, err)
	}
	return took
}

// without waits until the view of node i lacks the member with that id.
func (w *world) without(ctx context.Context, i int, id string) error {
	for {
		m, err := w.c.Nodes()[i].Client().Members(ctx)
		there := err != nil
		for _, m := range m.Members {
			there = there || m.ID == id
		}
		if !there {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s still has it in its view: %w", w.c.Nodes()[i].Name, errors.Join(ctx.Err(), err))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// total adds up a figure of all nodes that run.
func (w *world) total(of func(s stats) uint64) uint64 {
	w.t.Helper()
	sum := uint64(0)
	for _, i := range w.up() {
		sum += of(w.stats(i))
	}
	return sum
}
