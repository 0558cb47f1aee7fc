// Package demo shows a cluster at work: real processes, visitors of a shop that log in, browse and log out through whichever
// node a balancer picks, a node that is killed and comes back, and a check of every answer.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// ErrWrong: not every answer was right.
var ErrWrong = errors.New("not every answer was right")

// Limits of Config.
const (
	MaxNodes = 20
	MinFor   = 3 * time.Second
	regulars = 1000 // sessions that lie untouched
	cycle    = 30 * time.Second
)

// Config describes a demonstration.
type Config struct {
	Nodes int
	For   time.Duration // 0: until ctx ends
	Open  bool          // open the status page in a browser
	Out   io.Writer
	// Executable is the binary whose "serve" is run. Default: this one.
	Executable string
}

// Run shows the demonstration until cfg.For is over or ctx ends. It leaves no process behind. It returns ErrWrong if an
// answer was wrong.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Nodes < 1 || cfg.Nodes > MaxNodes {
		return fmt.Errorf("--nodes %d is not usable: 1 to %d", cfg.Nodes, MaxNodes)
	}
	if cfg.For != 0 && cfg.For < MinFor {
		return fmt.Errorf("--for %v is too short to see anything: at least %v", cfg.For, MinFor)
	}
	cluster.QuietRedis()
	t := &teller{live: term.NewLive(cfg.Out), style: term.StyleFor(cfg.Out), begun: time.Now()}
	defer t.live.Close()
	t.title(cfg.Nodes, cfg.For)
	c, err := cluster.Start(cluster.Options{
		Executable: cfg.Executable, Nodes: cfg.Nodes,
		Args: []string{"--when-unsure", "wait", "--cluster", "demo", "--log-level", "warn"},
	})
	if err != nil {
		return err
	}
	err = show(ctx, cfg, c, t)
	return errors.Join(err, c.Close())
}

func show(ctx context.Context, cfg Config, c *cluster.Cluster, t *teller) error {
	start, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := c.WaitReady(start); err != nil {
		return unlessEnded(ctx, err)
	}
	if err := c.WaitSettled(start); err != nil {
		return unlessEnded(ctx, err)
	}
	run := ctx
	if cfg.For > 0 {
		var stop context.CancelFunc
		run, stop = context.WithTimeout(ctx, cfg.For)
		defer stop()
	}
	t.introduce(c)
	if cfg.Open {
		openBrowser(c.Nodes()[0].URL())
	}
	b := newBalancer(c.Nodes())
	defer b.close()
	b.warmUp(start)
	s := newShop(b)
	st := &story{cfg: cfg, cluster: c, shop: s, teller: t, begun: time.Now()}

	var crowd, watchers sync.WaitGroup
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	watchers.Go(func() { b.watch(watching) })
	watchers.Go(func() { st.draw(watching) })

	err := st.play(run, &crowd)
	crowd.Wait()
	if err == nil && ctx.Err() == nil {
		// Time is up, not ^C: look at everything once more.
		st.lastLook(ctx)
	}
	stopWatching()
	watchers.Wait()
	t.summary(s, time.Since(st.begun))
	if err == nil && s.tally.wrong.Load() > 0 {
		err = ErrWrong
	}
	return err
}

// unlessEnded takes the end of ctx, which was asked for, as no error.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// openBrowser shows a page, if this system knows how. That it could not is no failure: the address is printed.
func openBrowser(url string) {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.Command("open", url)
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", url)
	default:
		cmd = exec.Command("xdg-open", url)
	}
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }() // reaps it
	}
}
