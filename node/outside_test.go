package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// A node that does not come in says why.
func TestWhatANodeWaitsFor(t *testing.T) {
	key := func(b byte) []byte { return []byte(strings.Repeat(string(b), 32)) }
	for _, c := range []struct {
		about         string
		first, second node.Config
		want          []string
	}{
		{"too few", node.Config{Expect: 3, Join: []string{"127.0.0.1:1"}}, node.Config{Expect: 3}, []string{"2 of the 3 nodes"}},
		{"nobody there", node.Config{}, node.Config{Join: []string{"127.0.0.1:1"}}, []string{"nobody has been reached", "127.0.0.1:1"}},
		{"another label", node.Config{Cluster: "shop"}, node.Config{Cluster: "stop"}, []string{"nobody has been reached", "another cluster label"}},
		{"another lease", node.Config{}, node.Config{Lease: 2 * time.Second}, []string{`this node has "lease 2s", the other "lease 1s"`}},
		{"other replicas", node.Config{}, node.Config{Replicas: 3}, []string{"replicas differ: this node has 3, the other 2"}},
		{"another key", node.Config{Key: key(1)}, node.Config{Key: key(2)}, []string{"nobody has been reached", "another key"}},
		{"no key", node.Config{Key: key(1)}, node.Config{}, []string{"nobody has been reached"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			c.first.Name, c.second.Name = "first", "second"
			first := start(t, c.first)
			if len(c.second.Join) == 0 {
				c.second.Join = []string{first.Addr()}
			}
			second := start(t, c.second)
			said := func() string { return second.Stats().Waiting }
			holds := func() bool {
				for _, want := range c.want {
					if !strings.Contains(said(), want) {
						return false
					}
				}
				return true
			}
			for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("says %q, want %q", said(), c.want)
				}
			}
		})
	}
	n := start(t, node.Config{})
	<-n.Ready()
	if w := n.Stats().Waiting; w != "" {
		t.Errorf("in a cluster, and waits: %q", w)
	}
}
