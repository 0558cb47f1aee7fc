package scenario

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// Many small sessions: how long the repair takes after a crash, what it costs, and what it takes of memory.
func TestManySessions(t *testing.T) {
	together(t)
	n := sized(20_000, 1_000_000)
	w := start(t, cluster.Options{Nodes: 3, Args: []string{"--max-memory", "2GB"}})
	s := newSessions("d", n, 64)
	t.Logf("%d sessions of %d bytes, keys included, set in %v", n, s.bytes(), w.fill(s, 0, n).Round(time.Millisecond))
	w.memory("filled")
	sent := func(s stats) uint64 { return s.SentBytes }
	pulled := func(s stats) uint64 { return s.PulledBytes }

	id := w.id(1)
	w.c.Nodes()[1].Kill()
	killed := time.Now()
	sentBefore, pulledBefore := w.total(sent), w.total(pulled)
	out := w.gone(id, killed)
	w.settled(5 * time.Minute)
	repaired := time.Since(killed)
	t.Logf("killed: out of the views after %v, all copies restored after %v; %d MB pulled, %d MB sent", out.Round(time.Millisecond),
		repaired.Round(time.Millisecond), (w.total(pulled)-pulledBefore)>>20, (w.total(sent)-sentBefore)>>20)
	w.memory("repaired")
	t.Logf("all read in %v", w.audit(s, w.up()...).Round(time.Millisecond))

	sentBefore, pulledBefore = w.total(sent), w.total(pulled)
	w.start(1)
	began := time.Now()
	w.ready(5 * time.Minute)
	w.settled(5 * time.Minute)
	t.Logf("started again: settled after %v; %d MB pulled, %d MB sent", time.Since(began).Round(time.Millisecond),
		(w.total(pulled)-pulledBefore)>>20, (w.total(sent)-sentBefore)>>20)
	w.memory("back")
	w.audit(s, w.up()...)
	for _, i := range w.up() {
		if st := w.stats(i); st.Evictions > 0 {
			t.Errorf("%s has evicted %d entries", w.c.Nodes()[i].Name, st.Evictions)
		}
	}
}

// memory logs what each node takes, by its own count and by the system's.
func (w *world) memory(when string) {
	w.t.Helper()
	for _, i := range w.up() {
		st := w.stats(i)
		w.t.Logf("%s: %s has %d entries, %d near copies, %d MB by its own count; resident %s", when, w.c.Nodes()[i].Name, st.Entries, st.Near,
			st.Bytes>>20, resident(w.c.Nodes()[i].PID()))
	}
}

// resident is the memory of a process that is in RAM, and its peak, as Linux tells it.
func resident(pid int) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown: " + err.Error()
	}
	defer f.Close()
	var now, peak string
	for in := bufio.NewScanner(f); in.Scan(); {
		if v, ok := strings.CutPrefix(in.Text(), "VmRSS:"); ok {
			now = strings.TrimSpace(v)
		} else if v, ok := strings.CutPrefix(in.Text(), "VmHWM:"); ok {
			peak = strings.TrimSpace(v)
		}
	}
	return now + ", at most " + peak
}
