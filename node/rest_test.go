package node

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// locked asks under the node's lock.
func locked(n *Node, ok func() bool) func() bool {
	return func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return ok()
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
		eventually(t, "at rest", locked(n, resting))
		n.lock()
		n.slow = time.Hour // what it begins now it does not see for itself
		n.unlock()
		eventually(t, "without a lease", locked(n, func() bool { return !n.m.InSync() })) // for want of ticks
		stranger := &pb.Member{Name: fmt.Sprint("stranger", i), Id: uint64(i) + 1, Addr: "127.0.0.1:1"}
		n.lock()
		n.m.Found(stranger, 0, 0)
		n.unlock()
		eventually(t, "ticking again", locked(n, n.m.InSync))
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
	eventually(t, "at rest", locked(n, func() bool { return n.resting }))
	for i := range 5000 {
		if err := n.Set(t.Context(), fmt.Sprint(i), nil, WithTTL(10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "awake", locked(n, func() bool { return !n.resting }))
	eventually(t, "empty", locked(n, func() bool { return n.store.Stats().Entries == 0 }))
	eventually(t, "at rest again", locked(n, func() bool { return n.resting }))
}

// Nodes at rest tick at the same moments.
func TestUntilBeat(t *testing.T) {
	const every = time.Second / 3
	beat := time.Unix(0, int64(5_000_000_000*every))
	for _, c := range []struct{ at, want time.Duration }{
		{0, every},
		{time.Nanosecond, every - 1},
		{every / 2, every - every/2},
		{every - 2*time.Millisecond, 2 * time.Millisecond},
		{every - time.Millisecond/2, every + time.Millisecond/2}, // a timer that fired too early has fired for this beat
		{every + 7*time.Millisecond, every - 7*time.Millisecond},
	} {
		if got := untilBeat(beat.Add(c.at), every); got != c.want {
			t.Errorf("%v after a beat: %v, want %v", c.at, got, c.want)
		}
	}
	for _, odd := range []time.Time{{}, time.Unix(-1, 0), time.Unix(-1000, 7e8), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, 0)} {
		if got := untilBeat(odd, every); got <= 0 || got > every+time.Millisecond {
			t.Errorf("%v: %v", odd, got)
		}
	}
}

func TestSlowTick(t *testing.T) {
	for lease, want := range map[time.Duration]time.Duration{
		30 * time.Millisecond: tickEvery, time.Second: time.Second / 3, time.Minute: slowestTick,
	} {
		if got := slowTick(lease); got != want {
			t.Errorf("lease %v: %v, want %v", lease, got, want)
		}
	}
}
