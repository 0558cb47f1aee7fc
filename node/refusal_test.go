package node

import (
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/transport"
)

// What a node that is refused says of itself does not change to what keeps another out.
func TestWhoIsRefusedSaysWhyByTheCluster(t *testing.T) {
	first := start(t, Config{Name: "first"})
	<-first.Ready()
	second := start(t, Config{Name: "second", Replicas: 3, Expect: 3, Join: []string{first.Addr()}})
	eventually(t, "the second is refused by the cluster", func() bool {
		r := second.refusal.Load()
		return r != nil && second.tells(r.peer) == ofAClusters
	})
	h := (*handler)(second)
	h.Refused(0, "127.0.0.1:1", "it is a stranger")
	h.Unreachable(1, &transport.RefusedError{Reason: "it is a stranger"})
	if said := second.Stats().Waiting; !strings.Contains(said, "this node has 3, the other 2") {
		t.Errorf("says %q", said)
	}
	old := *second.refusal.Load()
	old.at = old.at.Add(-refusalLife)
	second.refusal.Store(&old)
	h.Refused(0, "127.0.0.1:1", "it is a stranger")
	if second.refusal.Load() == &old {
		t.Error("what tells more stays for ever")
	}
}
