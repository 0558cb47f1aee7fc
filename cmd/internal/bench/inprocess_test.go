package bench

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
	"github.com/huddle-cache/huddle/node/nodetest"
)

func TestKeysAreDrawnByTheWay(t *testing.T) {
	n := nodetest.Start(t, 3).Node(0) // two copies of each key: a third is held elsewhere alone
	drew := make(map[Via]int)
	const keys = 600
	for i := range keys {
		key := fmt.Sprintf("key%d", i)
		at := n.Locate(key)
		owned := at.Owner == n.Name()
		held := owned || slices.Contains(at.Copies, n.Name())
		for via, want := range map[Via]bool{Owner: owned, Remote: !held, Node: true} {
			got := drawn(via, n)(key)
			if got != want {
				t.Fatalf("%s at %+v through %q: drawn %v", key, at, via, got)
			}
			if got {
				drew[via]++
			}
		}
	}
	for via, n := range drew {
		if n == 0 || n == keys && via != Node {
			t.Errorf("of %d keys %d are drawn through %q: what is there to tell apart?", keys, n, via)
		}
	}
	if len(drew) != 3 {
		t.Errorf("drawn: %v", drew)
	}
}

// A session cache revokes what is logged out: what is measured next, by whatever way, has keys that can be written.
func TestLogoutsComeFirst(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	b := newBench(Config{
		Workloads: []load.Workload{load.Logout, load.Logout, load.Read}, Callers: []int{4}, Keys: 50, ValueBytes: 512, Requests: 300, Out: io.Discard, Err: io.Discard,
	})
	for _, via := range []Via{Strategy, Shared, Node} {
		var to load.Target = nodeTarget{n}
		if via.revokes() {
			var err error
			if to, err = newStrategyTarget(n, b.cfg.ValueBytes, via == Shared); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.sweep(t.Context(), via, b.keys, []load.Target{to}); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.runs) != 9 {
		t.Fatalf("%d runs", len(b.runs))
	}
	for _, m := range b.runs {
		if m.Errors > 0 || m.Workload == load.Read.String() && m.Misses > 0 {
			t.Errorf("%s through %s: %d errors, %d misses", m.Workload, m.Via, m.Errors, m.Misses)
		}
	}
}
