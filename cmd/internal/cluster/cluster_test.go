package cluster

import (
	"slices"
	"testing"
)

func TestPortsAreDistinctAndBelowTheEphemeralRange(t *testing.T) {
	ports, err := freePorts(30)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 30 || ports[0] < firstPort || ports[29] >= lastPort {
		t.Fatalf("got %v", ports)
	}
}

func TestNodesDoNotInheritOurVariables(t *testing.T) {
	got := plainEnv([]string{"HOME=/x", "HUDDLE_JOIN=a:1", "HUDDLE=kept"})
	if !slices.Equal(got, []string{"HOME=/x", "HUDDLE=kept"}) {
		t.Fatalf("got %q", got)
	}
}
