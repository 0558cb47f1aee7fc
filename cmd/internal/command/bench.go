package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/app"
	"github.com/huddle-cache/huddle/cmd/internal/bench"
	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
)

type benchCmd struct {
	Workload []string `default:"read-mostly" placeholder:"LIST" help:"What is called: read (Gets only), read-mostly (95 %), write-heavy (50 %), write (Sets only), login (storm of new sessions), logout (storm of ended ones). Default: ${default}."`
	Callers  []int    `default:"64" placeholder:"LIST" help:"How many calls are under way at a time; each number given is a run of its own. Default: ${default}."`
	Keys     int      `default:"100000" placeholder:"N" help:"How many sessions there are. Default: ${default}."`
	Dist     string   `default:"zipf" enum:"zipf,uniform" placeholder:"LAW" help:"How keys are drawn: zipf (few are asked for often) or uniform. Log-ins and log-outs take each once. Default: ${default}."`
	Skew     float64  `default:"1.05" placeholder:"S" help:"Exponent of Zipf's law, above 1. Default: ${default}."`
	Value    byteSize `default:"512B" placeholder:"SIZE" help:"Size of a value. Default: ${default}."`
	Seed     uint64   `default:"1" placeholder:"N" help:"Seed that keys are drawn from. Default: ${default}."`

	For      time.Duration `default:"5s" placeholder:"TIME" help:"How long each run goes on; 0: until --requests are done. Default: ${default}."`
	Requests int64         `default:"0" placeholder:"N" help:"How many calls each run makes; 0: as many as fit into --for. Default: ${default}."`
	Warm     time.Duration `default:"1s" placeholder:"TIME" help:"How long each run goes on before anything counts. Default: ${default}."`

	Resp         []string `placeholder:"LIST" help:"Redis protocol ports of the nodes of a cluster that runs, host:port or unix:/path; calls go to one after the other. Default: 127.0.0.1:7379."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of --resp; of several, one in each line, the first. Default: none."`

	SelfContained bool     `help:"Start a cluster of real processes on loopback instead of --resp. Default: no."`
	Nodes         *int     `placeholder:"N" help:"With --self-contained: how many nodes, 1 to 20. Default: 3."`
	Replicas      *int     `placeholder:"N" help:"With --self-contained: copies of each entry in all, 1 to the number of nodes. Default: 2, or 1 for one node."`
	Via           []string `placeholder:"LIST" help:"With --self-contained: resp (the ports), node (node.Get and Set in this process, which takes the place of a node), owner (the same, of the keys that it owns), strategy (sessions, in this process), shared (the same, WithSharedUsers), remote (node.Get of what only other nodes hold). Default: resp,node,strategy."`

	Compare string `placeholder:"URL" help:"Put the same load on a Redis too, redis://host:port or unix:///path, and print both side by side. Default: none."`
	JSON    bool   `name:"json" help:"Print JSON. Default: no."`
}

// Help is the long form of the help.
func (benchCmd) Help() string {
	return "Callers call one after the other, each as fast as it gets answers; latency over throughput is had from several numbers of --callers. " +
		"Keys begin with \"huddle-bench:\" and are removed at the end; a cluster where that would be final for them (--delete=revoke) is left alone. ^C ends the run and prints what there is. In this process every " +
		"16th Get is timed, elsewhere all are, and each key has been read once before, so that near copies are there. The load, this process, takes its share of the machine: what is printed is not what nodes could do alone."
}

// Run measures.
func (c *benchCmd) Run(io *streams) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if cfg.Password, err = app.Secret("--password-file", c.PasswordFile); err != nil {
		return err
	}
	ctx, stop := io.lasting()
	defer stop()
	cfg.Out, cfg.Err = io.out, io.err
	return bench.Run(ctx, cfg)
}

func (c *benchCmd) config() (cfg bench.Config, err error) {
	for _, name := range c.Workload {
		w, err := load.ParseWorkload(name)
		if err != nil {
			return cfg, usage("--workload: %v", err)
		}
		cfg.Workloads = append(cfg.Workloads, w)
	}
	if err := c.checkAlone(); err != nil {
		return cfg, err
	}
	via := c.Via
	if len(via) == 0 {
		via = []string{"resp", "node", "strategy"}
	}
	if cfg.Via, err = bench.ParseVias(via); err != nil {
		return cfg, usage("--via: %v", err)
	}
	cfg.Callers, cfg.Keys, cfg.ValueBytes, cfg.Seed = c.Callers, c.Keys, int(c.Value), c.Seed
	cfg.For, cfg.Requests, cfg.Warm = c.For, c.Requests, c.Warm
	cfg.SelfContained, cfg.Nodes, cfg.Replicas = c.SelfContained, 3, 2
	if c.Nodes != nil {
		cfg.Nodes = *c.Nodes
	}
	cfg.Replicas = max(1, min(cfg.Replicas, cfg.Nodes))
	if c.Replicas != nil {
		cfg.Replicas = *c.Replicas
	}
	cfg.Addrs, cfg.Compare, cfg.JSON = c.Resp, c.Compare, c.JSON
	if cfg.Addrs == nil {
		cfg.Addrs = []string{"127.0.0.1:7379"}
	}
	if c.Dist == "zipf" {
		cfg.Skew = c.Skew
	}
	return cfg, c.check(cfg)
}

// checkAlone refuses flags that only a cluster of its own heeds, and with such a one those that only another heeds.
func (c *benchCmd) checkAlone() error {
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--nodes", c.Nodes != nil}, {"--replicas", c.Replicas != nil}, {"--via", len(c.Via) > 0},
	} {
		if f.given && !c.SelfContained {
			return usage("%s is for a cluster of its own: give --self-contained too", f.flag)
		}
	}
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--resp", c.Resp != nil}, {"--password-file", c.PasswordFile != ""},
	} {
		if f.given && c.SelfContained {
			return usage("%s is for a cluster that runs, and --self-contained starts one of its own: leave one of them out", f.flag)
		}
	}
	return nil
}

func (c *benchCmd) check(cfg bench.Config) error {
	tooMany := func(n int) bool { return n < 1 || n > bench.MaxCallers }
	if cfg.Compare != "" {
		if err := bench.CheckURL(cfg.Compare); err != nil {
			return usage("--compare: %v", err)
		}
	}
	switch {
	case len(cfg.Workloads) == 0:
		return usage("--workload names none")
	case len(cfg.Callers) == 0 || slices.ContainsFunc(cfg.Callers, tooMany):
		return usage("--callers %s is not usable: each number is 1 to %d", strings.Trim(fmt.Sprint(cfg.Callers), "[]"), bench.MaxCallers)
	case cfg.Keys < 100 || cfg.Keys > bench.MaxKeys:
		return usage("--keys %d is not usable: 100 to %d", cfg.Keys, bench.MaxKeys)
	case c.Value > bench.MaxValue:
		return usage("--value %s is not usable: at most 1MB", sizeText(c.Value))
	case c.Dist == "zipf" && !(c.Skew > 1 && c.Skew <= 10):
		return usage("--skew %v is not usable: above 1, to 10", c.Skew)
	case cfg.For < 0 || cfg.Requests < 0 || cfg.Warm < 0:
		return usage("--for, --requests and --warm must not be negative")
	case cfg.For == 0 && cfg.Requests == 0:
		return usage("--for 0 and --requests 0 together would never end")
	case cfg.SelfContained && (cfg.Nodes < 1 || cfg.Nodes > bench.MaxNodes):
		return usage("--nodes %d is not usable: 1 to %d", cfg.Nodes, bench.MaxNodes)
	case cfg.SelfContained && (cfg.Replicas < 1 || cfg.Replicas > min(16, cfg.Nodes)):
		return usage("--replicas %d is not usable: 1 to %d, with as many --nodes", cfg.Replicas, min(16, cfg.Nodes))
	case cfg.SelfContained && slices.Contains(cfg.Via, bench.Remote) && cfg.Nodes <= cfg.Replicas:
		return usage("--via remote with %d nodes and %d copies: every node holds every key, nothing is remote", cfg.Nodes, cfg.Replicas)
	case !cfg.SelfContained && (len(cfg.Addrs) == 0 || slices.ContainsFunc(cfg.Addrs, func(a string) bool { return !strings.Contains(a, ":") })):
		return usage("--resp %s is not usable: host:port or unix:/path", strings.Join(cfg.Addrs, ","))
	}
	return nil
}
