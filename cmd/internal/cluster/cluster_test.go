package cluster

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPortsAreDistinctAndBelowTheEphemeralRange(t *testing.T) {
	held := &blocks{}
	defer held.free()
	var ports []int
	for range 200 { // none is given out twice while it is held, though nothing listens on it
		b, err := held.take()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, b.ports[:]...)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 600 || ports[0] < firstPort || ports[599] >= lastPort {
		t.Fatalf("got %v", ports)
	}
}

func TestNodesDoNotInheritOurVariables(t *testing.T) {
	got := plainEnv([]string{"HOME=/x", "HUDDLE_JOIN=a:1", "HUDDLE=kept"})
	if !slices.Equal(got, []string{"HOME=/x", "HUDDLE=kept"}) {
		t.Fatalf("got %q", got)
	}
}

// In a container there is often no /tmp, or none that can be written to.
func TestNowhereToKeepLogs(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	c, err := Start(Options{Nodes: 1, First: 1, Executable: "/none"})
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("%v", err)
	}
}
