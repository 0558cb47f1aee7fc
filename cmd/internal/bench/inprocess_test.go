package bench

import (
	"fmt"
	"slices"
	"testing"

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
