package scenario

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/ring"
)

// A cluster grows and shrinks under load: all new nodes at the same moment and all that go at the same moment, as an orchestrator
// does it, then one after the other. Nobody who asks a node that is ready gets an error, and little more is moved than has to be.
//
// How long a read takes is compared with what it takes at rest, with few nodes or with many, over stages of the same length. What it
// takes until all has settled is told too: then many processes have work at the same time, which keeps a small machine busy, whatever
// they are. What that does to reads is seen from a control: as many nodes of another cluster.
func TestGrowAndShrinkUnderLoad(t *testing.T) {
	few, many := 3, sized(6, 12)
	n, rest := sized(1000, 20_000), sized(time.Second, 10*time.Second)
	w := start(t, cluster.Options{Nodes: many, First: few})
	s := newSessions("c", n, 500)
	w.fill(s, 0, n)
	l := w.begin(s, sized(4, 8), 10*time.Millisecond)
	stage := func(about string, do func()) (p99 time.Duration) {
		l.reads.Reset()
		l.writes.Reset()
		begun := time.Now()
		do()
		p99 = l.reads.Quantile(0.99)
		t.Logf("%s, %v: %v", about, time.Since(begun).Round(time.Millisecond), l)
		return p99
	}
	atRest := stage("at rest", func() { wait(t, rest) })
	var controlStart, controlStop time.Duration
	if *full {
		t.Run("control", func(t *testing.T) {
			controlStart = stage("others start", func() { start(t, cluster.Options{Nodes: many - few}) })
			l.reads.Reset()
		})
		controlStop = l.reads.Quantile(0.99)
		t.Logf("others end: reads p99 %v", controlStop)
	}

	var pulled uint64
	atOnce := func(change func(*load, int, int, int, time.Duration) uint64) func() {
		return func() {
			begun := time.Now()
			pulled = change(l, few, many, many-few, 0)
			t.Logf("settled after %v: %v", time.Since(begun).Round(time.Millisecond), l)
			wait(t, rest/10*time.Duration(many-few)) // as long as one after the other takes, at least
		}
	}
	growing := stage("all start", atOnce(w.grow))
	w.moved("growing at once", s, []int{few, many}, pulled)
	atRestMany := stage("many at rest", func() { wait(t, rest) })
	shrinking := stage("all leave", atOnce(w.shrink))
	w.moved("shrinking at once", s, []int{many, few}, pulled)

	var up, down []int
	for i := few; i <= many; i++ {
		up, down = append(up, i), append([]int{i}, down...)
	}
	growingSlowly := stage("one after the other starts", func() { pulled = w.grow(l, few, many, 1, rest/10) })
	w.moved("growing one by one", s, up, pulled)
	shrinkingSlowly := stage("one after the other leaves", func() { pulled = w.shrink(l, few, many, 1, rest/10) })
	w.moved("shrinking one by one", s, down, pulled)
	again := stage("at rest again", func() { wait(t, rest) })
	l.end()
	w.auditAll(s)

	t.Logf("p99 of reads: at rest %v, later %v, many at rest %v; others start %v, end %v; growing at once %v, shrinking %v; one by one %v, %v",
		atRest, again, atRestMany, controlStart, controlStop, growing, shrinking, growingSlowly, shrinkingSlowly)
	if failed := l.failedReads.Load() + l.failedWrites.Load(); failed > 0 {
		t.Errorf("%d operations failed: %v", failed, l)
	}
	base := max(atRest, again, atRestMany)
	if *full && (max(growingSlowly, shrinkingSlowly) > 3*base || growing > 3*max(base, controlStart) || shrinking > 3*max(base, controlStop)) {
		t.Error("p99 of reads was more than three times as long as at rest")
	}
}

// grow starts nodes few to many, so many at a time, opens their doors when they are ready, and waits until all has settled and some
// time after each group. It returns how much has been pulled.
func (w *world) grow(l *load, few, many, atOnce int, pause time.Duration) uint64 {
	w.t.Helper()
	pulled := func(s stats) uint64 { return s.PulledBytes }
	before := w.total(pulled)
	for from := few; from < many; from += atOnce {
		for i := from; i < from+atOnce; i++ {
			w.start(i)
		}
		w.ready(2 * time.Minute)
		for i := from; i < from+atOnce; i++ {
			l.open(i)
		}
		w.settled(2 * time.Minute)
		wait(w.t, pause)
	}
	return w.total(pulled) - before
}

// shrink lets all nodes but the first few leave, so many at a time, and returns how much has been pulled meanwhile, also by those
// that go.
func (w *world) shrink(l *load, few, many, atOnce int, pause time.Duration) uint64 {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var watching sync.WaitGroup
	first, last := make([]uint64, many), make([]uint64, many)
	for i := range many {
		first[i] = w.stats(i).PulledBytes
		last[i] = first[i]
		watching.Go(func() {
			for ctx.Err() == nil {
				if st, err := w.c.Nodes()[i].Client().Status(ctx, false); err == nil {
					last[i] = st.PulledBytes
				}
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	for to := many; to > few; to -= atOnce {
		var leaving sync.WaitGroup
		for i := to - atOnce; i < to; i++ {
			l.close(i)
			leaving.Go(func() { w.leave(i, 2*leaveWithin) })
		}
		leaving.Wait()
		w.settled(2 * time.Minute)
		wait(w.t, pause)
	}
	cancel()
	watching.Wait()
	sum := uint64(0)
	for i := range many {
		if i < few {
			last[i] = w.stats(i).PulledBytes
		}
		sum += last[i] - first[i]
	}
	return sum
}

// moved compares what was pulled with what the differences between the rings of those sizes say, one after the other.
func (w *world) moved(what string, s *sessions, sizes []int, pulled uint64) {
	w.t.Helper()
	must := uint64(0)
	var before *ring.Table
	for _, size := range sizes {
		var names []string
		for _, n := range w.c.Nodes()[:size] {
			names = append(names, n.Name)
		}
		table, err := ring.Build(names, 2, ring.Params{})
		if err != nil {
			w.t.Fatal(err)
		}
		if before != nil {
			must += gained(w.t, before, table, s)
		}
		before = table
	}
	w.t.Logf("%s: %d bytes pulled, %d had to be by the rings' difference: %.2f times", what, pulled, must, float64(pulled)/float64(must))
	if pulled > must*3/2 {
		w.t.Errorf("%s moved %d bytes, more than 1.5 times the %d that have to be", what, pulled, must)
	}
}

// gained is what members get between two rings, in bytes of sessions.
func gained(t *testing.T, before, after *ring.Table, s *sessions) uint64 {
	t.Helper()
	d, err := ring.Diff(before, after)
	if err != nil {
		t.Fatal(err)
	}
	holders := make(map[int]int)
	for _, c := range d.Changes {
		holders[c.Partition] = len(c.Gained())
	}
	sum := uint64(0)
	for i := range s.len() {
		sum += uint64(holders[after.Partition(s.key(i))] * s.bytes())
	}
	return sum
}

// wait lets the load go on for a while.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
