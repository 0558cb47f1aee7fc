package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/chaos"
	"github.com/huddle-cache/huddle/cmd/internal/demo"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

type demoCmd struct {
	Nodes int           `default:"3" placeholder:"N" help:"How many nodes to start, 1 to 20. Default: ${default}."`
	For   time.Duration `default:"0" placeholder:"TIME" help:"How long it goes on once the nodes are ready, at least 3s; the last look at all sessions comes on top. Default: 0, until ^C."`
	Open  *bool         `negatable:"" help:"Open the status page in a browser; its address is printed in any case. Default: on a terminal where there is a desktop."`
}

// Help is the long form of the help.
func (demoCmd) Help() string {
	return "Starts nodes as processes on free loopback ports. Visitors of a shop log in, browse and log out through whichever " +
		"node a load balancer picks; a node is killed and comes back. Every answer is checked: the exit code is 0 only if all were right."
}

// Run shows the demonstration.
func (c *demoCmd) Run(io *streams) error {
	if c.Nodes < 1 || c.Nodes > demo.MaxNodes {
		return usage("--nodes %d is not usable: 1 to %d", c.Nodes, demo.MaxNodes)
	}
	if c.For < 0 || c.For > 0 && c.For < demo.MinFor {
		return usage("--for %v is too short to see anything: at least %v, or 0 for no end", c.For, demo.MinFor)
	}
	ctx, stop := io.lasting()
	defer stop()
	return demo.Run(ctx, demo.Config{Nodes: c.Nodes, For: c.For, Open: c.opens(io.out, runtime.GOOS, os.Getenv), Out: io.out})
}

// opens tells whether a browser is opened: when told so, else where somebody looks on who would see it.
func (c *demoCmd) opens(out io.Writer, system string, getenv func(string) string) bool {
	switch {
	case c.Open != nil:
		return *c.Open
	case !term.IsTerminal(out):
		return false
	case system == "darwin" || system == "windows":
		return getenv("SSH_CONNECTION") == "" // else the desktop is another's
	}
	return getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != ""
}

type chaosCmd struct {
	Seed     uint64        `default:"0" placeholder:"N" help:"Seed that the faults are drawn from (a number). Default: 0, a random one, which is printed."`
	For      time.Duration `default:"60s" placeholder:"TIME" help:"How long faults go on. Default: ${default}."`
	Nodes    int           `default:"3" placeholder:"N" help:"How many nodes to start, 3 to 20. Default: ${default}."`
	Replicas int           `default:"2" placeholder:"N" help:"Copies of each entry, 2 to the number of nodes; up to one less fail at once. Default: ${default}."`
	Faults   []string      `default:"kill,pause,restart" placeholder:"LIST" help:"What is done to nodes: kill (SIGKILL), pause (SIGSTOP), restart (graceful), partition (the network is cut; needs root and iproute2). Default: ${default}."`
	Logs     string        `placeholder:"DIR" help:"Folder that keeps the nodes' logs. Default: they are removed."`
}

// Help is the long form of the help.
func (chaosCmd) Help() string {
	return "Checked are: after an acknowledged DEL or SET no later GET on any node returns an older value; an acknowledged SET is " +
		"not lost while fewer nodes than there are copies fail at once and the cluster was settled before the next fault; the " +
		"cluster heals by itself. The exit code is 0 only if every promise was kept, and that was seen: with at least one fault, and a last look at the end."
}

// Run breaks things.
func (c *chaosCmd) Run(io *streams) error {
	faults, err := chaos.ParseFaults(c.Faults)
	if err != nil {
		return usage("%v", err)
	}
	if c.Seed == 0 {
		c.Seed = 1 + rand.Uint64N(1_000_000)
	}
	ctx, stop := io.lasting()
	defer stop()
	cfg := chaos.Config{Seed: c.Seed, For: c.For, Nodes: c.Nodes, Replicas: c.Replicas, Faults: faults, Logs: c.Logs, Out: io.out}
	if err := cfg.Check(); err != nil {
		return usage("%v", err)
	}
	err = chaos.Run(ctx, cfg)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the first fault: nothing was checked")
	}
	if errors.Is(err, chaos.ErrBroken) {
		return fmt.Errorf("%w; see again with: huddle chaos --seed %d --for %v --nodes %d --replicas %d --faults %s",
			err, c.Seed, c.For, c.Nodes, c.Replicas, strings.Join(c.Faults, ","))
	}
	return err
}
