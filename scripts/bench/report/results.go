package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

// run is one measurement of one way of doing it.
type run struct {
	Via string `json:"via"`
	load.Result
}

// wire is what redis-benchmark says of a server: the medians of all turns.
type wire struct {
	Server    string  `json:"server"`
	Test      string  `json:"test"`
	Pipeline  int     `json:"pipeline"`
	Turns     int     `json:"turns"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	OverRedis float64 `json:"over_redis,omitempty"` // the median of what each turn's rate was to that of Redis in the same turn

	turn string
}

// scaled are the runs of a cluster of so many nodes.
type scaled struct {
	Nodes int   `json:"nodes"`
	Runs  []run `json:"runs"`
}

// results is everything, as it is kept in results.json.
type results struct {
	Date    time.Time `json:"date"`
	Command string    `json:"command"`
	Machine struct {
		OS   string `json:"os"`
		Arch string `json:"arch"`
		CPU  string `json:"cpu"`
		CPUs int    `json:"cpus"`
		Go   string `json:"go"`
	} `json:"machine"`
	Versions   string   `json:"versions"`
	LoadBefore float64  `json:"load_before"` // load average when it began: others at work on the machine
	Stolen     float64  `json:"stolen"`      // share of the processors' time that the machine's host gave to others meanwhile
	Rounds     int      `json:"rounds"`      // how often all but ByNodes was measured; what is shown is the better run
	Nodes      int      `json:"nodes"`
	Replicas   int      `json:"replicas"`
	Keys       int      `json:"keys"`
	Zipf       float64  `json:"zipf"`
	ValueBytes int      `json:"value_bytes"`
	Runs       []run    `json:"runs"`
	ByNodes    []scaled `json:"by_nodes"`
	Wire       []wire   `json:"redis_benchmark"`
}

// names are what tables and plots call the ways, in their order; "redis" is the one that "huddle bench" itself measures.
var names = []struct {
	via, name string
	ours      bool
}{
	{"node", "huddle, in this process", true},
	{"strategy", "huddle, decoded session", true},
	{"shared", "huddle, decoded session, shared user", true},
	{"owner", "huddle, on the owner", true},
	{"remote", "huddle, from another node", true},
	{"resp", "huddle, Redis protocol", true},
	{"map", "maps and locks, of this process alone", false},
	{"otter", "otter, of this process alone", false},
	{"redis-tcp", "Redis, TCP", false},
	{"redis-unix", "Redis, unix socket", false},
	{"redis-autopipeline", "Redis, automatic pipeline", false},
	{"redis-wait-1", "Redis, WAIT 1 (2 copies)", false},
	{"grpc-unary", "gRPC unary echo", false},
	{"grpc-stream", "gRPC stream echo, batched", false},
	{"olric-local", "Olric, key of this process", false},
	{"olric-remote", "Olric, key of another", false},
	{"olric", "Olric (2 copies)", false},
	{"groupcache-hot", "groupcache, in this process", false},
	{"groupcache-remote", "groupcache, from another", false},
}

// read collects what the parts of so many rounds of measurement have left in dir.
func read(dir string, rounds int) (results, error) {
	var r results
	var all []run
	for round := 1; round <= rounds; round++ {
		var one results
		if err := readJSON(filepath.Join(dir, fmt.Sprintf("huddle-%d.json", round)), &one); err != nil {
			return r, err
		}
		var peers []run
		if err := readJSON(filepath.Join(dir, fmt.Sprintf("peers-%d.json", round)), &peers); err != nil {
			return r, err
		}
		all = append(append(all, one.Runs...), peers...)
		r = one
	}
	r.Rounds = rounds
	r.Runs = better(slices.DeleteFunc(all, func(x run) bool { return x.Via == "redis" }),
		func(x run) string { return fmt.Sprint(x.Via, x.Workload, x.Callers) }, func(x run) float64 { return x.PerSecond })
	files, err := filepath.Glob(filepath.Join(dir, "nodes-*.json"))
	if err != nil {
		return r, err
	}
	for _, f := range files {
		var s scaled
		if err := readJSON(f, &s); err != nil {
			return r, err
		}
		r.ByNodes = append(r.ByNodes, s)
	}
	slices.SortFunc(r.ByNodes, func(a, b scaled) int { return a.Nodes - b.Nodes })
	wires, err := readWire(dir)
	r.Wire = typical(wires)
	return r, err
}

// typical makes one of all turns of a server and test. Two rates that are close are told apart by turns that followed each other, not by the best
// of each: a moment of the host that favours one would decide.
func typical(turns []wire) []wire {
	var out []wire
	for _, w := range turns {
		same := func(x wire) bool { return x.Server == w.Server && x.Test == w.Test && x.Pipeline == w.Pipeline }
		if slices.ContainsFunc(out, same) {
			continue
		}
		var rates, p50, p99, over []float64
		for _, x := range turns {
			if !same(x) {
				continue
			}
			rates, p50, p99 = append(rates, x.PerSecond), append(p50, x.P50), append(p99, x.P99)
			i := slices.IndexFunc(turns, func(y wire) bool {
				return y.Server == "redis" && y.Test == x.Test && y.Pipeline == x.Pipeline && y.turn == x.turn
			})
			if x.Server != "redis" && i >= 0 {
				over = append(over, x.PerSecond/turns[i].PerSecond)
			}
		}
		w.Turns, w.PerSecond, w.P50, w.P99, w.OverRedis = len(rates), median(rates), median(p50), median(p99), median(over)
		out = append(out, w)
	}
	return out
}

// median is 0 of none.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}

// better keeps of those that measured the same the one that got the most done, in the place of the first.
func better[T any](all []T, what func(T) string, rate func(T) float64) []T {
	var out []T
	at := make(map[string]int)
	for _, x := range all {
		i, again := at[what(x)]
		switch {
		case !again:
			at[what(x)] = len(out)
			out = append(out, x)
		case rate(x) > rate(out[i]):
			out[i] = x
		}
	}
	return out
}

func readJSON(path string, to any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readWire reads the tables of redis-benchmark: wire-SERVER-TEST-PIPELINE-TURN.csv.
func readWire(dir string) ([]wire, error) {
	files, err := filepath.Glob(filepath.Join(dir, "wire-*.csv"))
	if err != nil {
		return nil, err
	}
	var out []wire
	for _, path := range files {
		part := strings.Split(strings.TrimSuffix(filepath.Base(path), ".csv"), "-")
		if len(part) != 5 {
			return nil, fmt.Errorf("%s: wire-SERVER-TEST-PIPELINE-TURN.csv is wanted", path)
		}
		pipeline, err := strconv.Atoi(part[3])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		rows, err := csv.NewReader(f).ReadAll()
		_ = f.Close()
		if err != nil || len(rows) < 2 {
			return nil, errors.Join(fmt.Errorf("%s: no table", path), err)
		}
		at := func(row []string, column string) float64 {
			i := slices.Index(rows[0], column)
			if i < 0 || i >= len(row) {
				return 0
			}
			v, _ := strconv.ParseFloat(row[i], 64) // a column without a number is not shown
			return v
		}
		for _, row := range rows[1:] {
			out = append(out, wire{
				Server: part[1], Test: row[0], Pipeline: pipeline, turn: part[4],
				PerSecond: at(row, "rps"), P50: at(row, "p50_latency_ms"), P99: at(row, "p99_latency_ms"),
			})
		}
	}
	return out, nil
}

// find returns a run.
func (r results) find(via, workload string, callers int) (run, bool) {
	i := slices.IndexFunc(r.Runs, func(x run) bool { return x.Via == via && x.Workload == workload && x.Callers == callers })
	if i < 0 {
		return run{}, false
	}
	return r.Runs[i], true
}

func (r results) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string]string{
		"results.json": string(data) + "\n", "RESULTS.md": r.markdown(),
		"latency-reads.svg": r.latency("read"), "latency-writes.svg": r.latency("write"),
		"callers-reads.svg": r.callers("read"), "callers-writes.svg": r.callers("write"), "nodes.svg": r.nodes(),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), fs.FileMode(0o644)); err != nil {
			return err
		}
	}
	return nil
}
