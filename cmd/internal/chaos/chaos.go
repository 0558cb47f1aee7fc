package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// Ends of a run that are no success.
var (
	ErrBroken = errors.New("a promise was broken")
	// ErrUnchecked: the run made no fault, or ended before the last look, so that it says nothing about the promises.
	ErrUnchecked = errors.New("the promises were not checked")
)

// Bounds of a run.
const (
	startWithin = 60 * time.Second
	healWithin  = 60 * time.Second // longer, and the cluster has not healed
	MaxNodes    = 20
)

// Config describes a run.
type Config struct {
	Seed     uint64
	For      time.Duration
	Nodes    int
	Replicas int
	Faults   []Fault
	Logs     string // folder that keeps the nodes' logs; empty: they are removed
	Out      io.Writer
	// Executable is the binary whose "serve" is run. Default: this one.
	Executable string
}

// Check tells what about cfg cannot work.
func (cfg Config) Check() error {
	switch {
	case cfg.Nodes < 3 || cfg.Nodes > MaxNodes:
		return fmt.Errorf("--nodes %d is not usable: 3 to %d, so that a majority is left when one fails", cfg.Nodes, MaxNodes)
	case cfg.Replicas < 2 || cfg.Replicas > cfg.Nodes:
		return fmt.Errorf("--replicas %d is not usable: 2 to --nodes, since a single copy is lost with its node", cfg.Replicas)
	case cfg.For <= 0:
		return fmt.Errorf("--for %v is not usable: give a time such as 60s", cfg.For)
	}
	return nil
}

// Run runs a cluster under load and faults until cfg.For is over or ctx ends, and prints a report. It leaves no process behind.
// It returns ErrBroken if a promise was broken, and ErrUnchecked if that cannot be told.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	if slices.Contains(cfg.Faults, Partition) {
		if err := cluster.CheckNamespaces(); err != nil {
			return fmt.Errorf("the fault partition cannot be made: %w", err)
		}
	}
	cluster.QuietRedis()
	r := &run{cfg: cfg, live: term.NewLive(cfg.Out), style: term.StyleFor(cfg.Out), begun: time.Now()}
	defer r.live.Close()
	r.say("Starting %d nodes with %d copies of each entry. Seed %d.", cfg.Nodes, cfg.Replicas, cfg.Seed)
	if text := leftOut(cfg.Faults, cluster.CheckNamespaces); text != "" {
		r.say("%s", text)
	}
	c, err := cluster.Start(cluster.Options{
		Executable: cfg.Executable, Nodes: cfg.Nodes, Dir: cfg.Logs, Namespaces: slices.Contains(cfg.Faults, Partition),
		Args: []string{"--when-unsure", "wait", "--cluster", "chaos", "--replicas", fmt.Sprint(cfg.Replicas)},
	})
	if err != nil {
		return err
	}
	err = r.all(ctx, c)
	if errors.Is(err, ErrBroken) && cfg.Logs != "" {
		r.say("The nodes' logs are in %s.", cfg.Logs)
	}
	return errors.Join(err, c.Close())
}

// leftOut says why partitions are not among the faults; empty: they are. They are never made unasked: for them bridges and network
// namespaces are set up on this machine, which stay behind if this process is killed.
func leftOut(faults []Fault, check func() error) string {
	if slices.Contains(faults, Partition) {
		return ""
	}
	if err := check(); err != nil {
		return fmt.Sprintf("Partitions are left out: %v.", err)
	}
	return "Partitions are left out: they set up networks on this machine. To have them: --faults kill,pause,restart,partition"
}

// run is a run under way.
type run struct {
	cfg   Config
	live  *term.Live
	style term.Style
	begun time.Time

	steps     int
	byFault   map[Fault]int
	healed    time.Duration // longest
	unhealed  string        // why the cluster did not heal
	lastLook  bool          // it was made, and answered
	audited   uint64
	unaudited uint64
}

func (r *run) say(format string, args ...any) {
	r.live.Println(r.style.Dim(fmt.Sprintf("%6.1fs  ", time.Since(r.begun).Seconds())) + fmt.Sprintf(format, args...))
}

func (r *run) all(ctx context.Context, c *cluster.Cluster) error {
	start, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := c.WaitReady(start); err != nil {
		return err
	}
	if err := c.WaitSettled(start); err != nil {
		return fmt.Errorf("the cluster does not come to rest: %w", err)
	}
	r.say("All are in sync. %d clients and a prober at each node begin.", workers)
	l := newLoad(c.Nodes())
	defer l.close()
	kept, err := newLasting(ctx, l)
	if err != nil {
		return err
	}
	loading, stopLoad := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoad()
	ended := make(chan struct{})
	go func() { defer close(ended); l.run(loading) }()
	drawn := make(chan struct{})
	go func() { defer close(drawn); r.draw(loading, l) }()

	faulty, cancelFaults := context.WithTimeout(ctx, r.cfg.For)
	defer cancelFaults()
	err = r.breakThings(faulty, c, kept)
	stopLoad()
	<-ended
	<-drawn
	if err == nil && ctx.Err() == nil && r.unhealed == "" {
		r.say("Last look: every lasting entry through every node.")
		before := r.audited
		r.audit(ctx, kept, 1)
		r.lastLook = ctx.Err() == nil && r.audited > before
	}
	verdict := r.report(l, ctx.Err() != nil)
	if err != nil {
		return err
	}
	return verdict
}

// breakThings makes faults until ctx ends or the cluster does not heal.
func (r *run) breakThings(ctx context.Context, c *cluster.Cluster, kept *lasting) error {
	plan := newPlanner(r.cfg.Seed, r.cfg.Faults, r.cfg.Nodes, r.cfg.Replicas)
	r.byFault = make(map[Fault]int)
	for {
		s := plan.next()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.rest):
		}
		r.say("%s", s.tell(c.Nodes()))
		if err := s.do(ctx, c); err != nil {
			return err
		}
		r.steps++
		r.byFault[s.fault]++
		back := time.Now()
		// Healing is part of the promise, also at the end of the run.
		heal, cancel := context.WithTimeout(context.WithoutCancel(ctx), healWithin)
		err := c.WaitSettled(heal)
		cancel()
		if err != nil {
			r.unhealed = fmt.Sprintf("not healed %v after: %s: %v", healWithin, s.tell(c.Nodes()), err)
			return nil
		}
		took := time.Since(back)
		r.healed = max(r.healed, took)
		r.audit(context.WithoutCancel(ctx), kept, 20)
		r.say("%s in one view and settled %s after its end", r.style.Green("healed:"), term.Duration(took))
	}
}

func (r *run) audit(ctx context.Context, kept *lasting, stride int) {
	answered, silent := kept.look(ctx, stride)
	r.audited += answered
	r.unaudited += silent
}
