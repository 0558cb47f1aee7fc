package protocol

import (
	"flag"
	"iter"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/huddle-cache/huddle/ring"
)

var (
	simSchedules = flag.Int("sim.schedules", 40, "simulated schedules of TestPromises")
	simSeed      = flag.Int64("sim.seed", 1, "first seed")
	simMutant    = flag.String("sim.mutant", "", "rule to switch off")
	simTrace     = flag.Bool("sim.trace", false, "print the schedule of -sim.seed")
	simToken     = flag.String("sim.token", "", "with -sim.trace: print the messages about this token")
	simNodes     = flag.Int("sim.nodes", 0, "number of nodes; 0: 3 to 7 by the seed")
)

func partOf(key string) int { return ring.PartitionOf(key, simRing.Partitions) }

// schedule derives a schedule's shape from its seed.
func schedule(seed int64) simConfig {
	cfg := simConfig{
		seed: seed, nodes: 3 + int(seed%5), replicas: 2, duration: 20 * sec, quiet: 20 * sec, opEvery: 60 * ms,
		mutant: *simMutant, keys: 8, tags: 2, revoked: 3, memory: 1 << 20,
		faults: map[string]float64{"crash": 1, "pause": 1.5, "oneway": 1.5, "split": 0.7, "isolate": 0.7, "break": 2, "leave": 0.7, "tether": 0.7, "twin": 0.4},
	}
	if *simNodes > 0 {
		cfg.nodes = *simNodes
	}
	if seed/2%3 == 1 { // revocations end
		cfg.retention = sec << (seed / 4 % 3)
	}
	if seed%9 == 4 { // owners refuse what is more than a write or two
		cfg.pending = 1 + int(seed/9%3)
	}
	switch seed % 4 {
	case 0: // near copies are recalled all the time
		cfg.holders = 1 + int(seed/4%3)
	case 1:
		cfg.replicas = 3
	case 2:
		cfg.replicas = 1 + int(seed/4%2)
		cfg.faults = map[string]float64{"pause": 1, "break": 1, "oneway": 1, "twin": 0.2}
	case 3:
		cfg.highWater = 1 + int(seed/4%4)
	}
	return cfg
}

// careful is a schedule under the premise of P2: at most Replicas-1 nodes die at a time, and the next when all is in sync again.
func careful(seed int64) simConfig {
	cfg := schedule(seed)
	cfg.replicas = 2
	cfg.careful = true
	cfg.duration = 40 * sec
	cfg.faults = map[string]float64{"crash": 2, "leave": 1, "break": 1, "pause": 1, "isolate": 1, "twin": 0.5}
	if seed%2 == 1 && cfg.nodes >= 5 { // two die at once, and the majority lives
		cfg.replicas = 3
	}
	if seed%5 == 0 { // room for a tombstone or two
		cfg.graves = 400
	}
	if seed%3 == 0 {
		cfg.replicas = 1
		cfg.faults = map[string]float64{"leave": 1, "break": 0.5, "twin": 0.2}
	}
	return cfg
}

// sharp is a schedule that strikes as views change, with dense operations on few keys. In a third of them most members
// join at once, so that quorums of two views need not meet.
func sharp(seed int64) simConfig {
	cfg := schedule(seed)
	cfg.sharp, cfg.provoke = true, true
	cfg.keys, cfg.tags, cfg.revoked = 3, 1, 1
	cfg.duration, cfg.quiet = 14*sec, 22*sec
	cfg.faults = map[string]float64{"crash": 0.7, "pause": 1, "pair": 2, "oneway": 1, "slow": 1.5, "split": 0.5, "break": 1, "leave": 0.5, "tether": 1, "twin": 0.5}
	if seed%2 == 0 { // hand-overs take their time
		if cfg.repair = []int64{300, 600, 1500, 5000}[seed/2%4]; cfg.repair == 300 { // three that leave at once have been seen to need half a minute
			cfg.quiet *= 2
		}
	}
	if seed%7 == 5 { // hundreds of cuts, that come in several pieces
		cfg.cuts, cfg.repair = 0.1, 20_000
	}
	if seed%5 == 0 { // no room: a few entries, one or two tombstones
		cfg.memory, cfg.padding = 2400, 100
	}
	if seed%3 == 0 {
		cfg.nodes, cfg.late = 4, 3
	}
	return cfg
}

type outcome struct {
	err    error
	stats  simStats
	faults map[string]int
}

// playEach plays schedules on all cores until there are no more, or each is false.
func playEach(schedules iter.Seq[simConfig], each func(outcome) (goOn bool)) {
	jobs, out, enough := make(chan simConfig), make(chan outcome), make(chan struct{})
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for cfg := range jobs {
				s := newSim(cfg)
				err := s.run()
				out <- outcome{err, s.stats, s.faults}
			}
		})
	}
	go func() {
		defer func() {
			close(jobs)
			wg.Wait()
			close(out)
		}()
		for cfg := range schedules {
			select {
			case jobs <- cfg:
			case <-enough:
				return
			}
		}
	}()
	stopped := false
	for o := range out {
		if !stopped && !each(o) {
			stopped = true
			close(enough)
		}
	}
}

// seeds are n schedules of a shape.
func seeds(n int, seed int64, shape func(int64) simConfig) iter.Seq[simConfig] {
	return func(yield func(simConfig) bool) {
		for i := range n {
			if !yield(shape(seed + int64(i))) {
				return
			}
		}
	}
}

// runSchedules plays n schedules and returns the failures.
func runSchedules(n int, seed int64, shape func(int64) simConfig) (failed []error, stats simStats, faults map[string]int) {
	faults = map[string]int{}
	playEach(seeds(n, seed, shape), func(o outcome) bool {
		if o.err != nil {
			failed = append(failed, o.err)
		}
		stats.Ops += o.stats.Ops
		stats.Hits += o.stats.Hits
		stats.LocalHits += o.stats.LocalHits
		stats.Misses += o.stats.Misses
		stats.Unsure += o.stats.Unsure
		stats.Acked += o.stats.Acked
		stats.Unacked += o.stats.Unacked
		stats.Messages += o.stats.Messages
		stats.Revived += o.stats.Revived
		for k, v := range o.faults {
			faults[k] += v
		}
		return true
	})
	slices.SortFunc(failed, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return failed, stats, faults
}

func report(t *testing.T, n int, failed []error, stats simStats, faults map[string]int) {
	t.Helper()
	t.Logf("%d schedules, %d failed; %+v", n, len(failed), stats)
	for _, k := range slices.Sorted(maps.Keys(faults)) {
		t.Logf("fault %-8s %d", k, faults[k])
	}
	for i, err := range failed {
		if i == 5 {
			break
		}
		t.Log(err)
	}
}

// TestPromises plays random schedules of crashes, pauses, cuts, departures and broken sessions, and checks P1, P4, P5
// and P6 on the recorded history of each, and that there is one chain of views.
func TestPromises(t *testing.T) { play(t, *simSchedules, schedule) }

// play plays n schedules of a shape, or prints the one of -sim.seed.
func play(t *testing.T, n int, shape func(int64) simConfig) {
	if *simTrace {
		cfg := shape(*simSeed)
		cfg.trace = os.Stdout
		if err := newSim(cfg).run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	failed, stats, faults := runSchedules(n, *simSeed, shape)
	report(t, n, failed, stats, faults)
	if len(failed) > 0 {
		t.Fatalf("%d of %d schedules broke a promise", len(failed), n)
	}
	if stats.LocalHits == 0 || stats.Acked == 0 {
		t.Fatal("nothing was checked")
	}
}

// TestPromisesAsViewsChange plays schedules whose faults strike just as views are accepted and adopted.
func TestPromisesAsViewsChange(t *testing.T) { play(t, max(1, *simSchedules/2), sharp) }

// lingering is a sharp schedule of small clusters in which machines go without a word, so that what is left of their sessions meets
// their successors, and in which rings take long, so that views are known well before they are gone by.
func lingering(seed int64) simConfig {
	cfg := sharp(seed)
	cfg.nodes, cfg.late, cfg.quiet = 2+int(seed%4), 0, 30*sec
	if seed%7 == 3 {
		cfg.late = 2
	}
	cfg.faults["off"], cfg.faults["rings"], cfg.faults["twin"] = 1.5, 2, 2
	return cfg
}

// TestPromisesAsSessionsLinger plays schedules in which the end of a process, and the next view, are long in coming round.
func TestPromisesAsSessionsLinger(t *testing.T) { play(t, max(1, *simSchedules/4), lingering) }

// TestNoLoss plays schedules under the premise of P2.
func TestNoLoss(t *testing.T) { play(t, max(1, *simSchedules/4), careful) }

// parted is a schedule in which parts that are cut off for long start over, and later meet. All nodes hold all, for a part keeps what its members have.
func parted(seed int64) simConfig {
	cfg := schedule(seed)
	cfg.nodes, cfg.replicas, cfg.holders, cfg.highWater = 3+int(seed%3), 5, 0, 0
	cfg.forget, cfg.duration, cfg.retention = sec, 40*sec, 0 // a revocation made anew lasts for longer
	cfg.faults = map[string]float64{"split": 2, "isolate": 2, "break": 0.5, "pause": 0.5}
	return cfg
}

// TestRevocationsOutliveParts plays schedules in which parts of the cluster start over without the others, and then meet.
func TestRevocationsOutliveParts(t *testing.T) {
	play(t, max(1, *simSchedules/4), parted)
	failed, _, _ := runSchedules(5, 1, func(seed int64) simConfig {
		cfg := parted(seed)
		cfg.mutant = "leave-revocations"
		return cfg
	})
	if len(failed) == 0 {
		t.Error("who starts over leaves its revocations behind, and that does not show")
	}
}

// TestMutants switches one rule off at a time: the checker must see it within the schedules stated.
func TestMutants(t *testing.T) {
	for mutant, within := range mutants {
		t.Run(mutant, func(t *testing.T) {
			played := 0
			var caught error
			playEach(broken(mutant, within), func(o outcome) bool {
				played++
				caught = o.err
				return caught == nil
			})
			if caught == nil {
				t.Fatalf("not caught in %d schedules, of %d seeds", played, within)
			}
			t.Logf("caught in %d schedules: %v", played, caught)
		})
	}
}

// broken are schedules with a rule switched off: of each seed one of the usual shape and a sharp one, and of each second one a careful one. A
// rule of clusters of two has such.
func broken(mutant string, n int) iter.Seq[simConfig] {
	return func(yield func(simConfig) bool) {
		for seed := range int64(n) {
			shapes := []func(int64) simConfig{schedule, sharp, careful}[:2+seed%2]
			if mutant == "twin-proves" { // who decides alone is one of two
				shapes = []func(int64) simConfig{func(seed int64) simConfig { return lingering(4 * seed) }}
			}
			for _, shape := range shapes {
				cfg := shape(seed + 1)
				cfg.mutant = mutant
				if !yield(cfg) {
					return
				}
			}
		}
	}
}

// mutants are the rules that can be switched off, and the number of seeds within which that must show. What random
// schedules seldom show is in TestRules.
var mutants = map[string]int{
	"no-lease-check": 200, "no-view-lease": 200, "serve-unsynced": 200, "no-tombstone-handoff": 200, "forget-holders": 200,
	"drop-early": 40, "skip-near": 200, "ack-before-copies": 200, "near-outlives-session": 400, "no-ticket": 200, "raw-merge": 200,
	"recall-unconfirmed": 200, "forget-ended": 200, "condition-again": 40, "save-is-new": 200, "made-anew": 40, "twin-proves": 200,
	"present-or-not": 40, "ticket-of-any-hit": 40,
	"stopping-clock": 40, // leases counted on a clock that stands still while the process is paused
}
