package scenario

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/ring"
)

// A cluster grows and shrinks under load, all new nodes at the same time and all that go at the same time, as an orchestrator
// does it. Nobody who asks a node that is ready gets an error, and little more is moved than has to be.
func TestGrowAndShrinkUnderLoad(t *testing.T) {
	few, many := 3, sized(6, 12)
	n, rest := sized(1000, 20_000), sized(time.Second, 15*time.Second)
	w := start(t, cluster.Options{Nodes: many, First: few})
	s := newSessions("c", n, 500)
	w.fill(s, 0, n)
	l := w.begin(s, sized(4, 8), 10*time.Millisecond)
	wait(t, rest)
	atRest := l.reads.Quantile(0.99)
	t.Logf("at rest: %v", l)

	l.reads.Reset()
	began := time.Now()
	before := w.total(func(s stats) uint64 { return s.PulledBytes })
	for i := few; i < many; i++ {
		w.start(i)
	}
	w.ready(2 * time.Minute)
	for i := few; i < many; i++ {
		l.open(i)
	}
	w.settled(2 * time.Minute)
	took := time.Since(began)
	grown := w.total(func(s stats) uint64 { return s.PulledBytes }) - before
	growing := l.reads.Quantile(0.99)
	t.Logf("%d to %d: %v; %v", few, many, took.Round(time.Millisecond), l)
	w.moved("growing", s, few, many, grown)

	l.reads.Reset()
	wait(t, rest)
	t.Logf("with %d at rest: %v", many, l)
	l.reads.Reset()
	began = time.Now()
	shrunk := w.shrink(l, few, many)
	w.settled(2 * time.Minute)
	took = time.Since(began)
	shrinking := l.reads.Quantile(0.99)
	t.Logf("%d to %d: %v; %v", many, few, took.Round(time.Millisecond), l)
	w.moved("shrinking", s, many, few, shrunk)

	l.reads.Reset()
	wait(t, rest)
	t.Logf("with %d again: %v", few, l)
	l.end()
	w.auditAll(s)
	t.Logf("p99 of reads: at rest %v, growing %v, shrinking %v", atRest, growing, shrinking)
	if failed := l.failedReads.Load() + l.failedWrites.Load(); failed > 0 {
		t.Errorf("%d operations failed: %v", failed, l)
	}
	if *full && max(growing, shrinking) > 3*atRest {
		t.Errorf("p99 of reads was %v while growing and %v while shrinking, at rest %v", growing, shrinking, atRest)
	}
}

// shrink lets all nodes but the first few leave at once, and returns how much has been pulled meanwhile, also by those that go.
func (w *world) shrink(l *load, few, many int) uint64 {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var watching, leaving sync.WaitGroup
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
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	for i := few; i < many; i++ {
		l.close(i)
		leaving.Go(func() { w.leave(i, 2*leaveWithin) })
	}
	leaving.Wait()
	w.settled(2 * time.Minute)
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

// moved compares what was pulled with what the difference between the rings of two sizes says.
func (w *world) moved(what string, s *sessions, from, to int, pulled uint64) {
	w.t.Helper()
	var tables [2]*ring.Table
	for k, size := range []int{from, to} {
		var names []string
		for _, n := range w.c.Nodes()[:size] {
			names = append(names, n.Name)
		}
		table, err := ring.Build(names, 2, ring.Params{})
		if err != nil {
			w.t.Fatal(err)
		}
		tables[k] = table
	}
	d, err := ring.Diff(tables[0], tables[1])
	if err != nil {
		w.t.Fatal(err)
	}
	gained := make(map[int]int)
	for _, c := range d.Changes {
		gained[c.Partition] = len(c.Gained())
	}
	must := uint64(0)
	for i := range s.len() {
		must += uint64(gained[tables[0].Partition(s.key(i))] * s.bytes())
	}
	w.t.Logf("%s: %d bytes pulled, %d had to be by the rings' difference: %.2f times", what, pulled, must, float64(pulled)/float64(must))
	if pulled > must*3/2 {
		w.t.Errorf("%s moved %d bytes, more than 1.5 times the %d that have to be", what, pulled, must)
	}
}

// wait lets the load go on for a while.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
