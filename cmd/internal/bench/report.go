package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// Measured is a run with the way it took.
type Measured struct {
	Via Via `json:"via"`
	load.Result
}

// kinds are the kinds of calls there were, in the order of their numbers.
func (m Measured) kinds() []string {
	var out []string
	for _, op := range []load.Op{load.Get, load.Set, load.Delete} {
		if _, ok := m.Ops[op.String()]; ok {
			out = append(out, op.String())
		}
	}
	return out
}

// Report is the whole measurement as JSON.
type Report struct {
	Date          time.Time    `json:"date"`
	Machine       Machine      `json:"machine"`
	SelfContained bool         `json:"self_contained"`
	Nodes         int          `json:"nodes"`
	Replicas      int          `json:"replicas,omitempty"` // 0: not known, the cluster is not ours
	Keys          int          `json:"keys"`
	Zipf          float64      `json:"zipf"` // 0: uniform
	ValueBytes    int          `json:"value_bytes"`
	Interrupted   bool         `json:"interrupted"`
	Runs          []Measured   `json:"runs"`
	Compared      []Comparison `json:"compared,omitempty"`
}

// Machine is what was measured on.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu,omitempty"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// ThisMachine describes the machine.
func ThisMachine() Machine {
	return Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuName(), CPUs: runtime.NumCPU(), Go: runtime.Version()}
}

// cpuName is what Linux says; elsewhere it is empty.
func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Comparison sets a run beside the same one on Redis. Ratios above 1 are in favour of huddle.
type Comparison struct {
	Workload   string  `json:"workload"`
	Callers    int     `json:"callers"`
	PerSecond  float64 `json:"per_second"`
	Redis      float64 `json:"redis_per_second"`
	Throughput float64 `json:"throughput_ratio"`
	P50        float64 `json:"p50_ratio"`
	P99        float64 `json:"p99_ratio"`

	ours, theirs load.Latency
}

// compare pairs the runs over the Redis protocol with those on Redis.
func compare(runs []Measured) []Comparison {
	var out []Comparison
	for _, theirs := range runs {
		if theirs.Via != Redis {
			continue
		}
		i := slices.IndexFunc(runs, func(m Measured) bool {
			return m.Via == RESP && m.Workload == theirs.Workload && m.Callers == theirs.Callers
		})
		if i < 0 {
			continue
		}
		ours := runs[i]
		out = append(out, Comparison{
			Workload: ours.Workload, Callers: ours.Callers, PerSecond: ours.PerSecond, Redis: theirs.PerSecond,
			Throughput: ratio(ours.PerSecond, theirs.PerSecond), P50: ratio(float64(theirs.All.P50), float64(ours.All.P50)),
			P99: ratio(float64(theirs.All.P99), float64(ours.All.P99)), ours: ours.All, theirs: theirs.All,
		})
	}
	return out
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func (b *bench) report(interrupted bool) error {
	b.show.end()
	compared := compare(b.runs)
	if !b.cfg.JSON {
		if interrupted {
			b.show.live.Println(b.show.style.Yellow("interrupted: the last run is shorter than it should be"))
		}
		for _, line := range comparisonLines(compared, b.show.style) {
			b.show.live.Println(line)
		}
		return nil
	}
	r := Report{
		Date: b.show.begun.UTC().Truncate(time.Second), Machine: ThisMachine(), SelfContained: b.cfg.SelfContained, Nodes: b.cfg.Nodes,
		Replicas: b.cfg.Replicas, Keys: b.cfg.Keys, Zipf: b.cfg.Skew, ValueBytes: b.cfg.ValueBytes, Interrupted: interrupted,
		Runs: b.runs, Compared: compared,
	}
	if !b.cfg.SelfContained {
		r.Nodes, r.Replicas = len(b.cfg.Addrs), 0
	}
	if r.Runs == nil {
		r.Runs = []Measured{}
	}
	enc := json.NewEncoder(b.cfg.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func comparisonLines(compared []Comparison, s term.Style) []string {
	if len(compared) == 0 {
		return nil
	}
	table := term.NewTable("WORKLOAD", ">CALLERS", ">OPS/S", ">REDIS", ">×", ">P50", ">REDIS", ">×", ">P99", ">REDIS", ">×")
	times := func(r float64) string {
		text := fmt.Sprintf("%.2f", r)
		if r >= 1 {
			return s.Green(text)
		}
		return s.Yellow(text)
	}
	for _, c := range compared {
		table.Row(c.Workload, term.Count(c.Callers), term.Count(int64(c.PerSecond)), term.Count(int64(c.Redis)), times(c.Throughput),
			Time(c.ours.P50), Time(c.theirs.P50), times(c.P50), Time(c.ours.P99), Time(c.theirs.P99), times(c.P99))
	}
	return append([]string{"", s.Bold("huddle over the Redis protocol beside Redis") + s.Dim("; above 1 huddle is better"), ""}, table.Lines(s)...)
}
