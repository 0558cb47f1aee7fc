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
	"github.com/huddle-cache/huddle/cmd/internal/client"
	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
)

// Options describes a cluster.
type Options struct {
	// Executable is the binary to run with "serve". Default: this one.
	Executable string
	// Nodes is how many there are. Default 3.
	Nodes int
	// First is how many of them Start starts and the cluster is founded with; the others are down until their own Start.
	// Default: all.
	First int
	// Args are further flags of serve, given to every node.
	Args []string
	// NodeArgs, if not nil, are further flags of the node with that number, counted from 0.
	NodeArgs func(node int) []string
	// Dir is a folder that keeps the nodes' logs. Default: one that Close removes.
	Dir string
	// Namespaces gives each node a network of its own, so that Cut works; see CheckNamespaces. Default: all are on loopback.
	Namespaces bool
}

// Cluster is a set of processes. It is made by Start and ended by Close.
type Cluster struct {
	nodes    []*Node
	dir      string // removed by Close; empty: none
	launcher *launcher
	network  *network // nil: loopback
	blocks   *blocks  // of ports, on loopback
}

// Start starts the processes and returns without waiting for them to be ready. On an error nothing is left behind.
func Start(opts Options) (*Cluster, error) {
	if opts.Nodes == 0 {
		opts.Nodes = 3
	}
	if opts.Nodes < 1 {
		return nil, fmt.Errorf("a cluster of %d nodes is none", opts.Nodes)
	}
	if opts.First == 0 {
		opts.First = opts.Nodes
	}
	if opts.First < 1 || opts.First > opts.Nodes {
		return nil, fmt.Errorf("%d of %d nodes cannot be the first", opts.First, opts.Nodes)
	}
	exe := opts.Executable
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("the binary cannot tell where it is: %w", err)
		}
	}
	c := &Cluster{launcher: newLauncher(), blocks: &blocks{}}
	if err := c.prepare(opts, exe); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, n := range c.nodes[:opts.First] {
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// prepare makes what the nodes need: a folder for their logs, addresses, command lines.
func (c *Cluster) prepare(opts Options, exe string) (err error) {
	logs := opts.Dir
	if logs == "" || opts.Namespaces {
		if c.dir, err = os.MkdirTemp("", "huddle-cluster-"); err != nil {
			return fmt.Errorf("there is no place for the nodes' logs (the variable TMPDIR can name one): %w", err)
		}
	}
	if logs == "" {
		logs = c.dir
	} else if err := os.MkdirAll(logs, 0o700); err != nil {
		return err
	}
	extra := opts.Args
	if opts.Namespaces {
		path := filepath.Join(c.dir, "key")
		key, err := keyfile.New()
		if err == nil {
			err = key.Create(path)
		}
		if err != nil {
			return err
		}
		extra = append([]string{"--key-file", path, "--insecure"}, extra...) // insecure: the Redis port has no password
		if c.network, err = newNetwork(opts.Nodes); err != nil {
			return err
		}
	}
	addrs, err := c.addresses(opts.Nodes)
	if err != nil {
		return err
	}
	var join []string
	for _, a := range addrs {
		join = append(join, a[0])
	}
	if opts.Nodes > 1 {
		extra = append([]string{"--join", strings.Join(join, ","), "--expect", strconv.Itoa(opts.First)}, extra...)
	}
	for i, a := range addrs {
		name := "node-" + strconv.Itoa(i+1)
		n := &Node{Name: name, Listen: a[0], RESP: a[1], Admin: a[2], log: filepath.Join(logs, name+".log"), launcher: c.launcher, blocks: c.blocks}
		n.client = client.New(n.Admin, "")
		n.args = append([]string{exe, "serve", "--name", n.Name, "--listen", n.Listen, "--resp", n.RESP, "--admin", n.Admin}, extra...)
		if opts.NodeArgs != nil {
			n.args = append(n.args, opts.NodeArgs(i)...)
		}
		if c.network != nil {
			n.args = c.network.inside(i, n.args)
		}
		c.nodes = append(c.nodes, n)
	}
	return nil
}

// addresses are those of each node for its peers, its Redis clients, and its admin interface.
func (c *Cluster) addresses(nodes int) ([][3]string, error) {
	out := make([][3]string, nodes)
	if c.network != nil {
		for i := range out {
			host := c.network.host(i)
			out[i] = [3]string{host + ":7400", host + ":7379", host + ":7480"}
		}
		return out, nil
	}
	for i := range out {
		b, err := c.blocks.take()
		if err != nil {
			return nil, err
		}
		out[i] = [3]string{b.addr(1), b.addr(0), b.addr(2)}
	}
	return out, nil
}

// Cut lets the system of node from refuse to send anything to node to, both counted from 0, until Mend: the sender is told. It
// needs Options.Namespaces.
func (c *Cluster) Cut(from, to int) error { return c.link((*network).cut, from, to) }

// Mend undoes Cut.
func (c *Cluster) Mend(from, to int) error { return c.link((*network).mend, from, to) }

// Lose lets what node from sends to node to vanish on the way, until Find: the sender is not told. It needs Options.Namespaces.
func (c *Cluster) Lose(from, to int) error { return c.link((*network).lose, from, to) }

// Find undoes Lose.
func (c *Cluster) Find(from, to int) error { return c.link((*network).find, from, to) }

func (c *Cluster) link(do func(n *network, from, to int) error, from, to int) error {
	if c.network == nil {
		return errors.New("the nodes have no networks of their own")
	}
	return do(c.network, from, to)
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
				return true, fmt.Errorf("%s has ended before it was ready; its log says:\n%s", n.Name, n.LogTail(6))
			}
		}
		for _, n := range nodes {
			if !n.client.Ready(ctx) {
				return false, fmt.Errorf("%s is not ready; its log says:\n%s", n.Name, n.LogTail(6))
			}
		}
		return true, nil
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
				return false, fmt.Errorf("%s: view %d with %d members, in sync %v, settled %v, %d partitions to be pulled",
					n.Name, st.View, st.Stats.Members, st.InSync, st.Settled, st.Pending)
			}
			view = st.View
		}
		return true, nil
	})
}

func settled(st api.Status, members int) bool {
	return st.InSync && st.Settled && st.Pending == 0 && st.Stats.Members == members
}

// poll asks until the answer is final, and returns its error. When ctx ends first it returns the last reason why not.
func poll(ctx context.Context, ask func() (final bool, err error)) error {
	for {
		final, err := ask()
		switch {
		case final:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err)
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
	c.blocks.free()
	var err error
	if c.network != nil {
		err = c.network.close()
	}
	if c.dir != "" {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
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
