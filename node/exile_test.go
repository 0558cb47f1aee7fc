package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/nodetest"
)

// A node that learns that it has been expelled, and is cut off again before it is let in, says what it waits for, and founds no cluster beside the one
// that lives.
func TestAnExpelledNodeSaysWhatItWaitsFor(t *testing.T) {
	c := nodetest.Start(t, 3)
	n := c.Node(2)
	events, cancel := n.Subscribe(1000)
	defer cancel()
	within := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not in time: %s; it waits: %s", what, n.Stats().Waiting)
			}
		}
	}
	c.Isolate(2)
	within("the others go on without it", func() bool { return len(c.Node(0).Members()) == 2 })
	c.Heal()
	for e := range events {
		if e.Kind == "started-over" {
			break
		}
	}
	c.Isolate(2)
	within("it says that it was left out", func() bool {
		s := n.Stats()
		if s.Acting {
			t.Fatalf("it acts, in a cluster of %d", s.Members)
		}
		return strings.HasPrefix(s.Waiting, "a cluster that has left this node out") && strings.Contains(s.Waiting, "10m0s")
	})
	c.Heal()
	c.WaitSettled()
}
