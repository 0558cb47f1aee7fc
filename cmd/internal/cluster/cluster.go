// Package cluster runs a cluster of real processes on loopback: for the demonstration, for the chaos run, and for tests.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// Options describes a cluster.
type Options struct {
	// Executable is the binary to run with "serve". Default: this one.
	Executable string
	// Nodes is how many to run. Default 3.
	Nodes int
	// Args are further flags of serve, given to every node.
	Args []string
	// Dir is a folder that keeps the nodes' logs. Default: one that Close removes.
	Dir string
}

// Cluster is a set of processes. It is made by Start and ended by Close.
type Cluster struct {
	nodes    []*Node
	dir      string // removed by Close; empty: none
	launcher *launcher
}

// Start starts the processes and returns without waiting for them to be ready. On an error nothing is left behind.
func Start(opts Options) (*Cluster, error) {
	if opts.Nodes == 0 {
		opts.Nodes = 3
	}
	if opts.Nodes < 1 {
		return nil, fmt.Errorf("a cluster of %d nodes is none", opts.Nodes)
	}
	exe := opts.Executable
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("the binary cannot tell where it is: %w", err)
		}
	}
	ports, err := freePorts(3 * opts.Nodes)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	dir := opts.Dir
	if dir == "" {
		dir, err = os.MkdirTemp("", "huddle-cluster-")
		c.dir = dir
	} else {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, err
	}
	c.launcher = newLauncher()
	addr := func() string {
		port := ports[0]
		ports = ports[1:]
		return "127.0.0.1:" + strconv.Itoa(port)
	}
	var join []string
	for i := range opts.Nodes {
		name := "node-" + strconv.Itoa(i+1)
		n := &Node{
			Name: name, Listen: addr(), RESP: addr(), Admin: addr(),
			exe: exe, log: filepath.Join(dir, name+".log"), launcher: c.launcher,
		}
		join = append(join, n.Listen)
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		n.args = append([]string{
			"serve", "--name", n.Name, "--listen", n.Listen, "--resp", n.RESP, "--admin", n.Admin,
		}, opts.Args...)
		if opts.Nodes > 1 {
			n.args = append(n.args, "--join", strings.Join(join, ","), "--expect", strconv.Itoa(opts.Nodes))
		}
		n.init()
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// Nodes are the nodes in the order of their names.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// WaitReady waits until each of nodes (none given: all) answers its readiness check. It fails at once when one has ended.
func (c *Cluster) WaitReady(ctx context.Context, nodes ...*Node) error {
	if len(nodes) == 0 {
		nodes = c.nodes
	}
	return poll(ctx, func() (bool, error) {
		for _, n := range nodes {
			if n.State() == Down {
				return false, fmt.Errorf("%s has ended before it was ready; its log says:\n%s", n.Name, n.LogTail(6))
			}
			if !n.client.Ready(ctx) {
				return false, fmt.Errorf("%s is not ready; its log says:\n%s", n.Name, n.LogTail(6))
			}
		}
		return true, nil
	}, func() bool {
		for _, n := range nodes {
			if n.State() == Down {
				return true
			}
		}
		return false
	})
}

// WaitSettled waits until every node that is up is in sync, all are in one view with just these members, and no hand-over is
// under way.
func (c *Cluster) WaitSettled(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		var up []*Node
		for _, n := range c.nodes {
			if n.State() == Up {
				up = append(up, n)
			}
		}
		view := uint64(0)
		for _, n := range up {
			st, err := n.client.Status(ctx, false)
			if err != nil {
				return false, fmt.Errorf("%s: %w", n.Name, err)
			}
			if !n.client.Ready(ctx) || !settled(st, len(up)) || view != 0 && st.View != view {
				return false, fmt.Errorf("%s: view %d of %d members, in sync %v, settled %v, %d partitions to be pulled",
					n.Name, st.View, st.Stats.Members, st.InSync, st.Settled, st.Pending)
			}
			view = st.View
		}
		return true, nil
	}, nil)
}

func settled(st api.Status, members int) bool {
	return st.InSync && st.Settled && st.Pending == 0 && st.Stats.Members == members
}

// poll asks until it is true. When ctx ends, or stop says so, it returns the last reason why not.
func poll(ctx context.Context, ask func() (bool, error), stop func() bool) error {
	for {
		ok, why := ask()
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), why)
		case stop != nil && stop():
			return why
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Close ends all processes: it asks them to leave, all at the same time, and kills those that take longer than two seconds.
// Their logs are removed.
func (c *Cluster) Close() error {
	ended := make(chan struct{}, len(c.nodes))
	for _, n := range c.nodes {
		go func() {
			defer func() { ended <- struct{}{} }()
			n.Resume()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := n.Leave(ctx); err != nil {
				n.Kill()
			}
			n.client.Close()
		}()
	}
	for range c.nodes {
		<-ended
	}
	c.launcher.close()
	if c.dir == "" {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// KillAll ends all processes at once.
func (c *Cluster) KillAll() {
	for _, n := range c.nodes {
		n.Kill()
	}
}

// launcher starts processes from one thread that lives as long as they may: on Linux a child is told of the death of the
// thread that made it, not of the process.
type launcher struct {
	work chan func()
	done chan struct{}
}

func newLauncher() *launcher {
	l := &launcher{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		for f := range l.work {
			f()
		}
	}()
	return l
}

func (l *launcher) do(f func() error) error {
	result := make(chan error, 1)
	l.work <- func() { result <- f() }
	return <-result
}

func (l *launcher) close() {
	close(l.work)
	<-l.done
}
