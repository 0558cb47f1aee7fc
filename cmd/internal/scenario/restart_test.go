package scenario

import (
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// leaveWithin is longer than a node takes to leave by itself (--leave-timeout).
const leaveWithin = 30 * time.Second

// With a single copy of each session, nodes that leave hand over all they have.
func TestRollingRestartWithOneCopy(t *testing.T) {
	together(t)
	n := sized(1000, 20_000)
	w := start(t, cluster.Options{Nodes: 3, Args: []string{"--replicas", "1"}})
	s := newSessions("b", n, 100)
	w.fill(s, 0, n)
	for round := range 2 {
		begun := time.Now()
		for i := range w.c.Nodes() {
			w.leave(i, leaveWithin)
			w.start(i)
			w.ready(60 * time.Second)
		}
		t.Logf("round %d took %v", round+1, time.Since(begun).Round(time.Millisecond))
		w.auditAll(s)
	}
}

// The same while callers write, also through the node that is leaving: what it has acknowledged is kept.
func TestRollingRestartWithOneCopyUnderWrites(t *testing.T) {
	together(t)
	n := sized(1000, 20_000)
	w := start(t, cluster.Options{Nodes: 3, Args: []string{"--replicas", "1"}})
	s := newSessions("w", n, 100)
	w.fill(s, 0, n)
	l := w.begin(s, 12, 4*time.Millisecond)
	for round := range 2 {
		begun := time.Now()
		for i := range w.c.Nodes() {
			w.leave(i, leaveWithin)
			l.close(i) // it is down: there is nobody to ask
			w.start(i)
			w.ready(60 * time.Second)
			l.open(i)
		}
		t.Logf("round %d took %v", round+1, time.Since(begun).Round(time.Millisecond))
	}
	l.end()
	w.settled(60 * time.Second)
	w.auditAll(s)
	t.Log(l)
}

// A node that comes back under its name at another address is the same place on the ring, after a crash and after a leave.
func TestRestartAtAnotherAddress(t *testing.T) {
	together(t)
	n := sized(500, 5000)
	w := start(t, cluster.Options{Nodes: 3})
	s := newSessions("e", n, 100)
	w.fill(s, 0, n)
	for _, i := range []int{1, 2} { // the first keeps its address, which the others are told to join
		w.c.Nodes()[i].Kill()
		w.relocate(i)
		w.start(i)
		w.ready(60 * time.Second)
		w.settled(60 * time.Second)
		w.auditAll(s)
		w.leave(i, leaveWithin)
		w.relocate(i)
		w.start(i)
		w.ready(60 * time.Second)
		w.settled(60 * time.Second)
		w.auditAll(s)
	}
	w.oneCluster()
}

// A crash and a start at once, before anybody could suspect the node: it comes back empty, and nobody takes it for its former self.
func TestRestartWithinTheSuspicionTime(t *testing.T) {
	together(t)
	n, times := sized(500, 5000), sized(2, 9)
	w := start(t, cluster.Options{Nodes: 3})
	s := newSessions("f", n, 100)
	w.fill(s, 0, n)
	for k := range times {
		i := k % 3
		before := w.id(i)
		w.c.Nodes()[i].Kill()
		w.start(i)
		began := time.Now()
		w.gone(before, began)
		w.settled(60 * time.Second)
		took := time.Since(began)
		w.auditAll(s)
		t.Logf("%s: all settled %v after the start", w.c.Nodes()[i].Name, took.Round(time.Millisecond))
	}
	w.oneCluster()
}

func TestSeveralJoinAtOnce(t *testing.T) {
	together(t)
	n := sized(500, 20_000)
	w := start(t, cluster.Options{Nodes: 6, First: 2})
	s := newSessions("j", n, 100)
	w.fill(s, 0, n)
	began := time.Now()
	for i := 2; i < 6; i++ {
		w.start(i)
	}
	w.ready(60 * time.Second)
	w.settled(60 * time.Second)
	t.Logf("four nodes beside two were in sync after %v", time.Since(began).Round(time.Millisecond))
	w.oneCluster()
	w.auditAll(s)
}

// Nodes that are started at the same moment, each told of all, found one cluster; also when none is told how many there will be.
func TestAllStartAtOnce(t *testing.T) {
	together(t)
	for range sized(1, 5) {
		for _, expect := range []string{"0", "5"}[:sized(1, 2)] {
			t.Run("expect="+expect, func(t *testing.T) {
				w := launch(t, cluster.Options{Nodes: 5, Args: []string{"--expect", expect}})
				began := time.Now()
				w.ready(60 * time.Second)
				w.settled(60 * time.Second)
				t.Logf("one cluster after %v", time.Since(began).Round(time.Millisecond))
				w.oneCluster()
				s := newSessions("s", 200, 100)
				w.fill(s, 0, 200)
				w.auditAll(s)
			})
		}
	}
}

func (w *world) relocate(i int) {
	w.t.Helper()
	if err := w.c.Nodes()[i].Relocate(); err != nil {
		w.t.Fatal(err)
	}
}

// oneCluster fails the test unless the nodes that run are in one chain of views.
func (w *world) oneCluster() {
	w.t.Helper()
	chain := ""
	for _, i := range w.up() {
		st := w.stats(i)
		if chain == "" {
			chain = st.Chain
		}
		if st.Chain != chain || st.Members != len(w.up()) {
			w.t.Errorf("%s is in chain %s of %d members, the first in %s", w.c.Nodes()[i].Name, st.Chain, st.Members, chain)
		}
	}
}
