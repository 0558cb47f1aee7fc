// Package load puts a closed loop of callers on a cache and measures what each call took. Every caller begins its next call
// when the last one has returned; so latency over throughput is had by changing how many callers there are.
//
// It knows no cache and imports none: the drivers of other caches are measured by the very same code.
package load

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Target is a cache under load. Its methods are called concurrently, and must be bounded in time by themselves: a run waits for
// the calls that are under way at its end.
type Target interface {
	// Get tells whether the key was there.
	Get(ctx context.Context, key string) (bool, error)
	// Set must not keep value.
	Set(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// Op is a kind of call.
type Op int

// The kinds of calls.
const (
	Get Op = iota
	Set
	Delete
	ops
)

// String is the name of the kind.
func (o Op) String() string { return [...]string{"get", "set", "delete"}[o] }

// Run is one measurement.
type Run struct {
	// Workload says which calls are made.
	Workload Workload
	// Keys are the sessions that the workload goes about.
	Keys *Keys
	// Callers is how many calls are under way at a time.
	Callers int
	// ValueBytes is the size of the values written.
	ValueBytes int
	// For and Requests bound the run, whichever comes first; 0 is no bound, and one of them must be set.
	For      time.Duration
	Requests int64
	// Warm is how long the load goes on before anything counts.
	Warm time.Duration
	// Sample takes the time of every Sample-th Get, and of all other calls: where a call takes less than the reading of two
	// clocks, timing all of them would measure the clocks. 0 and 1: all.
	Sample int
	// Progress, if set, is called about five times a second.
	Progress func(done int64, elapsed time.Duration)
}

// Do runs the load on targets. Successive calls of a caller go to one target after the other, as a load balancer would have
// it. When ctx ends the run ends too, and what was measured until then is the result.
func (r Run) Do(ctx context.Context, targets ...Target) Result {
	if r.Warm > 0 {
		warm := r
		warm.For, warm.Requests = r.Warm, 0
		warm.phase(ctx, targets)
	}
	if ctx.Err() != nil {
		return Result{Workload: r.Workload.String(), Callers: r.Callers}
	}
	return r.phase(ctx, targets)
}

// caller is one of those who call. Only its counters are read by others while it runs.
type caller struct {
	done, missed, failed atomic.Int64
	_                    [64]byte // its counters share no cache line with another's
	err                  error
	times                [ops]*hdrhistogram.Histogram
	targets              []Target
	next                 int
	value                []byte
	sample, skipped      int
}

const (
	shortest = 1
	longest  = int64(time.Minute)
	digits   = 2 // 1 % exact
)

func (r Run) phase(ctx context.Context, targets []Target) Result {
	var stop atomic.Bool
	callers := make([]*caller, r.Callers)
	for i := range callers {
		c := &caller{targets: targets, next: i, value: make([]byte, r.ValueBytes), sample: max(r.Sample, 1)}
		for b := range c.value {
			c.value[b] = "0123456789abcdef"[rand.IntN(16)]
		}
		for op := range c.times {
			c.times[op] = hdrhistogram.New(shortest, longest, digits)
		}
		callers[i] = c
	}
	limit := func(i int) int64 {
		if r.Requests <= 0 {
			return 1 << 62
		}
		n := int64(r.Callers)
		return (r.Requests + n - 1 - int64(i)) / n
	}
	clockTime() // not within the first call
	begun := time.Now()
	var wg sync.WaitGroup
	for i, c := range callers {
		step, left := r.Workload.steps(r.Keys, i, r.Callers)
		wg.Go(func() {
			defer func() { r.Keys.leave(left()) }()
			most := limit(i)
			for !stop.Load() && c.done.Load() < most {
				step(ctx, c)
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	r.watch(ctx, callers, begun, ended)
	stop.Store(true)
	<-ended
	return r.result(callers, time.Since(begun))
}

// watch returns when the run is over.
func (r Run) watch(ctx context.Context, callers []*caller, begun time.Time, ended <-chan struct{}) {
	var over <-chan time.Time
	if r.For > 0 {
		timer := time.NewTimer(r.For)
		defer timer.Stop()
		over = timer.C
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-ended:
			return
		case <-tick.C:
		}
		if r.Progress != nil {
			done := int64(0)
			for _, c := range callers {
				done += c.done.Load()
			}
			r.Progress(done, time.Since(begun))
		}
	}
}

// at returns the target of the next call.
func (c *caller) at() Target {
	if len(c.targets) == 1 {
		return c.targets[0]
	}
	c.next++
	return c.targets[c.next%len(c.targets)]
}

func (c *caller) get(ctx context.Context, key string) {
	c.skipped++
	timed := c.skipped >= c.sample
	var begun time.Time
	if timed {
		begun = time.Now()
		c.skipped = 0
	}
	found, err := c.at().Get(ctx, key)
	if timed && err == nil {
		c.record(Get, begun, c.sample)
	}
	if !found && err == nil {
		c.missed.Add(1)
	}
	c.count(ctx, err)
}

func (c *caller) set(ctx context.Context, key string) {
	// Values differ, so that nothing can be won by comparing them.
	if n := len(c.value); n > 0 {
		c.value[rand.IntN(n)] = "0123456789abcdef"[rand.IntN(16)]
	}
	begun := time.Now()
	err := c.at().Set(ctx, key, c.value)
	if err == nil {
		c.record(Set, begun, 1)
	}
	c.count(ctx, err)
}

func (c *caller) delete(ctx context.Context, key string) {
	begun := time.Now()
	err := c.at().Delete(ctx, key)
	if err == nil {
		c.record(Delete, begun, 1)
	}
	c.count(ctx, err)
}

// record counts a time that stands for n calls. What the two readings of the clock take themselves is taken off.
func (c *caller) record(op Op, begun time.Time, n int) {
	took := min(max(int64(time.Since(begun)-clockTime()), shortest), longest)
	_ = c.times[op].RecordValues(took, int64(n)) // it is in the range
}

// clockTime is what is measured when nothing is done: a good part of a call that takes a few hundred nanoseconds.
var clockTime = sync.OnceValue(func() time.Duration {
	took := make([]time.Duration, 1001)
	for i := range took {
		begun := time.Now()
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	return took[len(took)/2]
})

// count counts a call. One that failed because the run was ended meanwhile tells nothing about the target.
func (c *caller) count(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	c.done.Add(1)
	if err != nil {
		c.failed.Add(1)
		c.err = err
	}
}
