package node

import (
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
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

// A node outside says what it waits for after it has been expelled, and that it is for ever where nothing is forgotten.
func TestTheExpelledSaysWhatItWaitsFor(t *testing.T) {
	for _, c := range []struct {
		forget     time.Duration
		status     protocol.Status
		want, hold string
	}{
		{0, protocol.Status{Knows: true, Paused: true, Exiled: true}, "the cluster has expelled this node soon after it had come in", ""},
		{0, protocol.Status{Knows: true, Exiled: true}, "there is a cluster, and it has not let this node in yet", ""},
		{0, protocol.Status{Exiled: true, Reached: true}, "a cluster that has left this node out, or had yet to let it in, may still be there", ", or when this has lasted for 10m0s"},
		{-1, protocol.Status{Exiled: true, Reached: true}, "a cluster that has left this node out, or had yet to let it in, may still be there", "a node that is started anew"},
	} {
		n := start(t, Config{ForgetAfter: c.forget})
		if said := n.waiting(c.status); !strings.HasPrefix(said, c.want) || !strings.HasSuffix(said, c.hold) {
			t.Errorf("%+v: says %q", c.status, said)
		}
	}
}
