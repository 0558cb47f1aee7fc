package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Numbers of callers that tables show.
const one, many = 1, 64

// span prints ns with three figures.
func span(ns float64) string {
	for _, unit := range []string{"ns", "µs", "ms"} {
		switch {
		case ns < 10 && unit != "ns":
			return fmt.Sprintf("%.2f %s", ns, unit)
		case ns < 100 && unit != "ns":
			return fmt.Sprintf("%.1f %s", ns, unit)
		case ns < 1000:
			return fmt.Sprintf("%.0f %s", ns, unit)
		}
		ns /= 1000
	}
	return fmt.Sprintf("%.2f s", ns)
}

// rate prints a number a second: 940, 12.3 k, 1.85 M.
func rate(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + " M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'f', 1, 64) + " k"
	}
	return fmt.Sprintf("%.0f", v)
}

// markdown is the whole of RESULTS.md.
func (r results) markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Side by side\n")
	say("%s, %s, %d cores (%s/%s), %s. %s. Command: `%s`.\n", r.Date.Format("2 January 2006"), r.Machine.CPU, r.Machine.CPUs, r.Machine.OS,
		r.Machine.Arch, r.Machine.Go, r.Versions, r.Command)
	say("%d nodes, %d copies, %d keys by Zipf's law of %.4g, values of %d bytes. All processes and the load share the machine: compare within one run only.",
		r.Nodes, r.Replicas, r.Keys, r.Zipf, r.ValueBytes)
	say("Every caller calls again as soon as it has its answer, so a percentile with %d callers is mostly waiting for a core. The text of its key is in the processor's cache before a call begins, as a token is that a request has just brought.\n", many)
	if r.Rounds > 1 {
		say("All but clusters of other sizes and `redis-benchmark` was measured %d times, in turns; each figure is of the run that got the most done, for others on the machine can only make one slower.\n", r.Rounds)
	}
	if r.LoadBefore > float64(r.Machine.CPUs)/4 {
		say("**The machine was busy with other work: its load average before the measurement was %.1f.**\n", r.LoadBefore)
	}
	if r.Stolen > 0 {
		say("It is a virtual one, and its host gave %.1f %% of the processors' time to others meanwhile.\n", 100*r.Stolen)
	}
	r.table(say, "read", "Get")
	r.table(say, "write", "Set")
	r.wireTable(say)
	r.goals(say)
	say("![Gets: latency over throughput](latency-reads.svg)")
	say("![Sets: latency over throughput](latency-writes.svg)")
	say("![Gets: throughput over callers](callers-reads.svg)")
	say("![Sets: throughput over callers](callers-writes.svg)")
	say("![Throughput over nodes](nodes.svg)")
	return b.String()
}

func (r results) table(say func(string, ...any), workload, what string) {
	say("| %s | p50, %d caller | p99 | a second, %d callers | p50 | p99 | misses or errors |", what, one, many)
	say("|---|--:|--:|--:|--:|--:|--:|")
	for _, n := range names {
		a, ok1 := r.find(n.via, workload, one)
		b, ok2 := r.find(n.via, workload, many)
		if !ok1 || !ok2 {
			continue
		}
		name := n.name
		if n.ours {
			name = "**" + name + "**"
		}
		say("| %s | %s | %s | %s | %s | %s | %d |", name, span(float64(a.All.P50)), span(float64(a.All.P99)), rate(b.PerSecond),
			span(float64(b.All.P50)), span(float64(b.All.P99)), a.Misses+b.Misses+a.Errors+b.Errors)
	}
	say("")
}

func (r results) wireTable(say func(string, ...any)) {
	if len(r.Wire) == 0 {
		return
	}
	say("`redis-benchmark` against one node of a cluster, and against Redis, 50 connections. All keys are there and have been read before, so that the node has them in its memory. Both were measured %d times, in turns: these are the medians, and that of what each turn's rate was to Redis's in the same turn:\n", r.Wire[0].Turns)
	say("| | huddle, a second | Redis, a second | huddle / Redis | p99 huddle | p99 Redis |")
	say("|---|--:|--:|--:|--:|--:|")
	for _, w := range r.Wire {
		other, ok := r.wired("redis", w.Test, w.Pipeline)
		if w.Server != "huddle" || !ok {
			continue
		}
		say("| %s, pipeline of %d | %s | %s | %.2f | %.2f ms | %.2f ms |", w.Test, w.Pipeline, rate(w.PerSecond), rate(other.PerSecond),
			w.OverRedis, w.P99, other.P99)
	}
	say("")
}

func (r results) wired(server, test string, pipeline int) (wire, bool) {
	i := slices.IndexFunc(r.Wire, func(w wire) bool { return w.Server == server && w.Test == test && w.Pipeline == pipeline })
	if i < 0 {
		return wire{}, false
	}
	return r.Wire[i], true
}

// goals says what is reached and where another is better.
func (r results) goals(say func(string, ...any)) {
	say("| goal | reached | |")
	say("|---|--:|---|")
	mark := func(what, got string, ok bool) {
		say("| %s | %s | %s |", what, got, map[bool]string{true: "yes", false: "**no**"}[ok])
	}
	atLeast := func(what string, a, b, want float64) {
		if b > 0 {
			mark(fmt.Sprintf("%s: at least %.4g×", what, want), fmt.Sprintf("%.2f×", a/b), a/b >= want)
		}
	}
	atMost := func(what string, a, b, want float64) {
		if b > 0 {
			mark(fmt.Sprintf("%s: at most %.4g×", what, want), fmt.Sprintf("%.2f×", a/b), a/b <= want)
		}
	}
	rateOf := func(via, workload string) float64 { x, _ := r.find(via, workload, many); return x.PerSecond }
	p50 := func(via, workload string) float64 { x, _ := r.find(via, workload, one); return float64(x.All.P50) }
	p99 := func(via, workload string) float64 { x, _ := r.find(via, workload, many); return float64(x.All.P99) }
	if v := p50("node", "read"); v > 0 {
		mark("Get of what is here: p50 at most 250 ns", span(v), v <= 250)
		mark("Get of what is here: at least 3 M a second", rate(rateOf("node", "read")), rateOf("node", "read") >= 3e6)
	}
	atMost("Get of what is here, p50 over maps and locks of this process alone", p50("node", "read"), p50("map", "read"), 2.5)
	for _, x := range []struct{ via, what string }{{"strategy", "the caller's own"}, {"shared", "with a shared user"}} {
		if v := p50(x.via, "read"); v > 0 {
			mark("Get of a decoded session, "+x.what+": p50 at most 400 ns", span(v), v <= 400)
		}
	}
	atLeast("Get from another node, 64 callers, over gRPC unary", rateOf("remote", "read"), rateOf("grpc-unary", "read"), 2.5)
	atLeast("Get from another node, 64 callers, over Redis on TCP", rateOf("remote", "read"), rateOf("redis-tcp", "read"), 1.5)
	atLeast("Get from another node, 64 callers, over Olric", rateOf("remote", "read"), rateOf("olric-remote", "read"), 4)
	atLeast("Get from another node, 64 callers, over Redis with automatic pipeline", rateOf("remote", "read"), rateOf("redis-autopipeline", "read"), 1)
	atMost("Get from another node, one caller, p50 over the bare stream", p50("remote", "read"), p50("grpc-stream", "read"), 1.15)
	if v := p99("remote", "read"); v > 0 {
		mark("Get from another node, 64 callers: p99 at most 5 ms", span(v), v <= 5e6)
	}
	atLeast("Set on 2 copies, 64 callers, over Redis with WAIT 1", rateOf("node", "write"), rateOf("redis-wait-1", "write"), 2)
	if v := p99("node", "write"); v > 0 {
		mark("Set on 2 copies, 64 callers: p99 at most 7 ms", span(v), v <= 7e6)
	}
	atMost("Set on 2 copies, one caller, p50 over the bare stream", p50("node", "write"), p50("grpc-stream", "read"), 2.5)
	atMost("Set on 2 copies, one caller, on the owner, p50 over the bare stream", p50("owner", "write"), p50("grpc-stream", "read"), 1.3)
	for _, test := range []string{"GET", "SET"} {
		for _, pipeline := range []int{1, 16} {
			if w, ok := r.wired("huddle", test, pipeline); ok && w.OverRedis > 0 {
				atLeast(fmt.Sprintf("Redis protocol, %s, pipeline of %d, over Redis", test, pipeline), w.OverRedis, 1, 1)
			}
		}
	}
	say("")
}

// of returns the runs of each way, by callers.
func (r results) of(workload string, to func(run) point) []series {
	var out []series
	for _, n := range names {
		s := series{name: n.name, ours: n.ours}
		for _, x := range r.Runs {
			if x.Via == n.via && x.Workload == workload && x.PerSecond > 0 && x.All.P50 > 0 {
				s.points = append(s.points, to(x))
			}
		}
		if len(s.points) > 0 {
			out = append(out, s)
		}
	}
	return out
}

var verbs = map[string]string{"read": "Gets", "write": "Sets"}

func (r results) latency(workload string) string {
	return plot{
		title: verbs[workload] + ": median latency over throughput, from few callers to many", x: "a second", y: "p50", xText: rate, yText: span,
		series: r.of(workload, func(x run) point { return point{x.PerSecond, float64(x.All.P50)} }),
	}.svg()
}

func (r results) callers(workload string) string {
	s := r.of(workload, func(x run) point { return point{float64(x.Callers), x.PerSecond} })
	var ticks []float64
	for _, one := range s {
		for _, p := range one.points {
			if !slices.Contains(ticks, p.x) {
				ticks = append(ticks, p.x)
			}
		}
	}
	return plot{
		title: verbs[workload] + ": throughput over callers", x: "callers", y: "a second", xText: func(v float64) string { return fmt.Sprint(v) }, yText: rate,
		xTicks: ticks, series: s,
	}.svg()
}

// nodes is of huddle alone: all of its nodes share the cores of one machine, so more of them cannot bring more.
func (r results) nodes() string {
	p := plot{
		title: "huddle on one machine: throughput over nodes", x: "nodes", y: "a second", xText: func(v float64) string { return fmt.Sprint(v) }, yText: rate,
	}
	for _, n := range names {
		for workload, verb := range map[string]string{"read": "Get", "write": "Set"} {
			s := series{name: verb + ": " + n.name, ours: workload == "read"}
			for _, c := range r.ByNodes {
				for _, x := range c.Runs {
					if x.Via == n.via && x.Workload == workload && x.PerSecond > 0 {
						s.points = append(s.points, point{float64(c.Nodes), x.PerSecond})
					}
				}
			}
			if len(s.points) > 0 {
				p.series = append(p.series, s)
			}
		}
	}
	slices.SortStableFunc(p.series, func(a, b series) int { return strings.Compare(a.name, b.name) })
	for _, c := range r.ByNodes {
		p.xTicks = append(p.xTicks, float64(c.Nodes))
	}
	return p.svg()
}
