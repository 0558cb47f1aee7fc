package node

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// within waits for what is asked under the node's lock.
func within(t *testing.T, n *Node, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n.mu.Lock()
		holds := ok()
		n.mu.Unlock()
		if holds {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s", what)
		}
	}
}

// A node at rest ticks seldom, and at once again when something is under way.
func TestTicksOfANodeAtRest(t *testing.T) {
	n, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	resting := func() bool { return n.resting }
	for i := range 3 {
		n.lock()
		n.slow = slowestTick
		n.unlock()
		within(t, n, "at rest", resting)
		n.lock()
		n.slow = time.Hour // what it begins now it does not see for itself
		n.unlock()
		within(t, n, "without a lease", func() bool { return !n.m.InSync() }) // for want of ticks
		stranger := &pb.Member{Name: fmt.Sprint("stranger", i), Id: uint64(i) + 1, Addr: "127.0.0.1:1"}
		n.lock()
		n.m.Found(stranger, 0, 0, 0)
		n.unlock()
		within(t, n, "ticking again", n.m.InSync)
		n.lock()
		n.m.Gone(stranger.GetId())
		n.unlock()
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// What ends by its TTL is freed as fast as it ends, also by a node that nothing else keeps awake.
func TestManyExpireAtRest(t *testing.T) {
	n, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	within(t, n, "at rest", func() bool { return n.resting })
	for i := range 5000 {
		if err := n.Set(t.Context(), fmt.Sprint(i), nil, WithTTL(10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, n, "awake", func() bool { return !n.resting })
	within(t, n, "empty", func() bool { return n.store.Stats().Entries == 0 })
	within(t, n, "at rest again", func() bool { return n.resting })
}

func TestSlowTick(t *testing.T) {
	for lease, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: tickEvery, time.Second: time.Second/12 + time.Millisecond, time.Minute: slowestTick,
	} {
		if got := slowTick(lease); got != want {
			t.Errorf("lease %v: %v, want %v", lease, got, want)
		}
	}
}
