package scenario

import (
	"slices"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// outWithin bounds how long a killed node may stay in the view.
const outWithin = 3 * time.Second

// Nodes are killed one after the other, the next one as soon as all say that they are ready. In between a part of the sessions is
// written anew, so that an old copy would show.
func TestCrashesOneAfterTheOther(t *testing.T) {
	const nodes = 5
	crashes, n := sized(3, 10), sized(2000, 50_000)
	w := start(t, cluster.Options{Nodes: nodes})
	s := newSessions("a", n, 100)
	t.Logf("%d sessions set in %v", n, w.fill(s, 0, n).Round(time.Millisecond))
	var out []time.Duration
	for k := range crashes {
		victim := k % nodes
		w.fill(s, k*n/crashes, (k+1)*n/crashes)
		id := w.id(victim)
		w.c.Nodes()[victim].Kill()
		killed := time.Now()
		out = append(out, w.gone(id, killed).Round(time.Millisecond))
		w.ready(60 * time.Second)
		repaired := time.Since(killed)
		audited := w.audit(s, w.up()...)
		w.start(victim)
		began := time.Now()
		w.ready(60 * time.Second)
		t.Logf("crash %d: out of all views after %v, the rest ready after %v, %d sessions read in %v, back and all ready in %v", k+1,
			out[k], repaired.Round(time.Millisecond), n, audited.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}
	w.settled(60 * time.Second)
	w.auditAll(s)
	t.Logf("a killed node was out of all views after %v at most, of %v", slices.Max(out), out)
	if worst := slices.Max(out); worst > outWithin {
		t.Errorf("a killed node was in a view for %v; %v is promised", worst, outWithin)
	}
}

// Whichever of three nodes is killed, the two that are left have everything at once.
func TestAnyOfThreeMayBeKilled(t *testing.T) {
	together(t)
	n := sized(1000, 5000)
	w := start(t, cluster.Options{Nodes: 3})
	s := newSessions("h", n, 100)
	w.fill(s, 0, n)
	for victim := range 3 {
		w.c.Nodes()[victim].Kill()
		killed := time.Now()
		rounds := 0
		for ; time.Since(killed) < sized(2*time.Second, outWithin); rounds++ { // not waiting for anything: reads wait for certainty
			for _, i := range w.up() {
				w.audit(s, i)
			}
		}
		t.Logf("%s killed: %d sessions read %d times through each of the others within %v of it", w.c.Nodes()[victim].Name, n,
			rounds, time.Since(killed).Round(time.Millisecond))
		w.start(victim)
		w.settled(60 * time.Second)
	}
	w.auditAll(s)
}
