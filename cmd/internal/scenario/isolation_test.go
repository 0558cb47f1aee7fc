package scenario

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// isolated is longer than gossip remembers the dead (30 s).
const isolated = 35 * time.Second

// split cuts every link between the two groups, or mends it.
func (w *world) split(do func(from, to int) error, a, b []int) {
	w.t.Helper()
	for _, i := range a {
		for _, j := range b {
			if err := errors.Join(do(i, j), do(j, i)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// Parts that were out of touch for so long that gossip has forgotten the other side find each other by themselves. The side with
// the majority goes on, the other refuses; with no majority anywhere, all refuse. Nothing is lost.
func TestLongIsolation(t *testing.T) {
	together(t)
	cases := []struct {
		about string
		nodes int
		a, b  []int // b has no majority
		lose  bool  // packets vanish; else the sender is told
		kept  int   // copies: more than a majority expels, so that all is kept
	}{
		{"one of three", 3, []int{0, 1}, []int{2}, true, 2},
		{"two of five", 5, []int{0, 2, 4}, []int{1, 3}, false, 3},
		{"two halves of four", 4, []int{0, 1}, []int{2, 3}, true, 2},
	}
	for _, c := range cases[:sized(1, len(cases))] {
		t.Run(c.about, func(t *testing.T) {
			const n = 1000
			w := start(t, cluster.Options{Nodes: c.nodes, Namespaces: true, Args: []string{"--replicas", fmt.Sprint(c.kept)}})
			s := newSessions("i", n, 100)
			w.fill(s, 0, n)
			cut, mend := w.c.Cut, w.c.Mend
			if c.lose {
				cut, mend = w.c.Lose, w.c.Find
			}
			w.split(cut, c.a, c.b)
			began := time.Now()
			majority := 2*len(c.a) > c.nodes
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			for i := 0; majority && i < n/2; i++ { // the majority goes on
				for s.write(ctx, w.at[c.a[i%len(c.a)]], i) != nil && ctx.Err() == nil {
				}
			}
			if err := ctx.Err(); err != nil {
				t.Fatalf("the majority does not take writes again: %v", err)
			}
			t.Logf("after %v the majority (there is one: %v) had taken %d writes", time.Since(began).Round(time.Millisecond), majority, n/2)
			wait(t, 3*time.Second-time.Since(began)) // no lease runs any more
			for _, i := range c.b {
				short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				if err := s.write(short, w.at[i], n-1); err == nil {
					t.Errorf("%s has no majority and took a write", w.c.Nodes()[i].Name)
				}
				cancel()
			}
			wait(t, isolated-time.Since(began))
			for _, i := range c.b {
				w.judgeOne(s, i, 0)
				w.judgeOne(s, i, n-1)
			}
			s.report(t)
			mended := time.Now()
			w.split(mend, c.a, c.b)
			took := w.settled(60 * time.Second)
			t.Logf("cut for %v; one settled cluster %v after the cut was mended", mended.Sub(began).Round(time.Second), took.Round(time.Millisecond))
			w.oneCluster()
			w.auditAll(s)
		})
	}
}

// judgeOne reads one session through node i. No answer is right for who is cut off; an old one is not.
func (w *world) judgeOne(s *sessions, i, session int) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
	defer cancel()
	acked := s.acked[session].Load()
	if value, err := w.at[i].Get(ctx, s.key(session)).Result(); err == nil {
		s.judge(session, acked, value, true)
	}
}

// goesOnWithin bounds how long a majority whose members hear each other may refuse writes after another node was cut off: the
// expulsion, the lease of a dead owner, and some room.
const goesOnWithin = 6 * time.Second

// While a node is cut off in some direction, the two others, which hear each other well, take writes again soon and keep on.
func TestTheMajorityGoesOnDuringACut(t *testing.T) {
	together(t)
	w := start(t, cluster.Options{Nodes: 3, Namespaces: true})
	s := newSessions("g", 60, 100)
	w.fill(s, 0, s.len())
	for k := range sized(2, 36) {
		victim, vanish, out, in := k%3, k/9%2 == 0, (k/3+k)%3 != 0, (k/3+k)%3 != 1
		do, undo := w.c.Cut, w.c.Mend
		if vanish {
			do, undo = w.c.Lose, w.c.Find
		}
		about := fmt.Sprintf("cycle %d: %s cut off (vanish %v, nothing gets out %v, nothing gets in %v)", k, w.c.Nodes()[victim].Name, vanish, out, in)
		links := func(do func(from, to int) error) {
			for j := range 3 {
				if j == victim {
					continue
				}
				var errs []error
				if out {
					errs = append(errs, do(victim, j))
				}
				if in {
					errs = append(errs, do(j, victim))
				}
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
			}
		}
		links(do)
		began := time.Now()
		for i := range s.len() {
			ctx, cancel := context.WithTimeout(t.Context(), goesOnWithin-time.Since(began))
			for s.write(ctx, w.at[(victim+1+i%2)%3], i) != nil && ctx.Err() == nil {
				wait(t, 20*time.Millisecond)
			}
			cancel()
		}
		took := time.Since(began)
		t.Logf("%s: the others had taken %d writes after %v", about, s.len(), took.Round(time.Millisecond))
		if took > goesOnWithin {
			for _, j := range w.up() {
				st := w.stats(j)
				t.Logf("%s: view %d of %d, acting %v", w.c.Nodes()[j].Name, st.View, st.Members, st.Acting)
			}
			t.Errorf("%s: the majority did not go on within %v", about, goesOnWithin)
		}
		links(undo)
		w.settled(60 * time.Second)
		w.auditAll(s)
	}
}
