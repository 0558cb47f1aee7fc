// Command peers puts the load of "huddle bench" on what one could use instead of huddle: Redis, Olric, groupcache, bare gRPC, and memory of its own.
//
// Those that live inside the service run as here too: this process is one of three, the others are started by it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

// settings are the flags.
type settings struct {
	callers         []int
	keys            *load.Keys
	value           int
	dur, warm       time.Duration
	redisTCP        string
	redisUnix       string
	nodes, replicas int
}

// measured is a run of a peer.
type measured struct {
	Via string `json:"via"`
	load.Result
}

// peer is one way of doing it.
type peer struct {
	name     string
	workload load.Workload
	// open makes it ready; keys may be narrowed to those it is about. close may be nil.
	open func(context.Context, *settings) (t load.Target, keys *load.Keys, close func(), err error)
	// sample: see load.Run.
	sample int
	// fill: the keys must be there before.
	fill bool
}

// peers are all of them, in the order of the tables.
var peers = []peer{
	{name: "map", workload: load.Read, open: openMap, sample: 16, fill: true},
	{name: "otter", workload: load.Read, open: openOtter, sample: 16, fill: true},
	{name: "grpc-unary", workload: load.Read, open: openUnary},
	{name: "grpc-stream", workload: load.Read, open: openStream},
	{name: "redis-tcp", workload: load.Read, open: openRedis(viaTCP), fill: true},
	{name: "redis-unix", workload: load.Read, open: openRedis(viaUnix), fill: true},
	{name: "redis-autopipeline", workload: load.Read, open: openRedis(viaAutoPipeline), fill: true},
	{name: "olric-local", workload: load.Read, open: openOlric(local), fill: true},
	{name: "olric-remote", workload: load.Read, open: openOlric(remote), fill: true},
	{name: "groupcache-hot", workload: load.Read, open: openGroupcache(local), sample: 16},
	{name: "groupcache-remote", workload: load.Read, open: openGroupcache(remote)},
	{name: "redis-tcp", workload: load.Write, open: openRedis(viaTCP)},
	{name: "redis-wait-1", workload: load.Write, open: openRedis(viaWait)},
	{name: "olric", workload: load.Write, open: openOlric(anywhere)},
}

// place narrows keys to those that this process holds, or does not hold.
type place int

const (
	anywhere place = iota
	local
	remote
)

func main() {
	if len(os.Args) > 1 {
		if serve, ok := roles[os.Args[1]]; ok {
			child(serve, os.Args[2:])
			return
		}
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run() error {
	var s settings
	callers := flag.String("callers", "1,64", "how many calls are under way at a time; each number is a run of its own")
	keys := flag.Int("keys", 100_000, "how many keys")
	skew := flag.Float64("skew", 1.05, "exponent of Zipf's law; 0: all keys alike")
	only := flag.String("only", "", "names of the peers to measure; default all")
	flag.IntVar(&s.value, "value", 512, "bytes of a value")
	flag.DurationVar(&s.dur, "for", 3*time.Second, "how long each run goes on")
	flag.DurationVar(&s.warm, "warm", 500*time.Millisecond, "how long before anything counts")
	flag.StringVar(&s.redisTCP, "redis", "127.0.0.1:6379", "host:port of a Redis that has a replica")
	flag.StringVar(&s.redisUnix, "redis-unix", "", "its unix socket")
	flag.IntVar(&s.nodes, "nodes", 3, "processes of Olric and groupcache")
	flag.IntVar(&s.replicas, "replicas", 2, "copies of an entry in Olric")
	flag.Parse()
	for text := range strings.SplitSeq(*callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-callers %s: want positive numbers", *callers)
		}
		s.callers = append(s.callers, n)
	}
	s.keys = load.NewKeys("huddle-bench:", *keys, *skew, 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := []measured{}
	for _, p := range peers {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), p.name) {
			continue
		}
		runs, err := p.measure(ctx, &s)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		out = append(out, runs...)
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (p peer) measure(ctx context.Context, s *settings) ([]measured, error) {
	t, keys, end, err := p.open(ctx, s)
	if end != nil {
		defer end()
	}
	if err != nil {
		return nil, err
	}
	if p.fill {
		if err := load.Fill(ctx, keys, s.value, nil, t); err != nil {
			return nil, err
		}
	}
	var out []measured
	for _, n := range s.callers {
		r := load.Run{Workload: p.workload, Keys: keys, Callers: n, ValueBytes: s.value, For: s.dur, Warm: s.warm, Sample: p.sample}
		m := measured{Via: p.name, Result: r.Do(ctx, t)}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out = append(out, m)
		fmt.Fprintf(os.Stderr, "%-18s  %-5s  %4d callers  %10.0f/s  p50 %9v  p99 %9v  %d misses  %d errors %s\n", m.Via, m.Workload, n,
			m.PerSecond, time.Duration(m.All.P50), time.Duration(m.All.P99), m.Misses, m.Errors, m.FirstError)
	}
	return out, nil
}
