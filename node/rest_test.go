package node

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A node at rest ticks seldom, and often again once something is under way.
func TestTicksOfANodeAtRest(t *testing.T) {
	n, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	until := func(what string, ok func() bool) {
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
	resting := func() bool { return n.resting }
	until("at rest", resting)
	for i := range 3 {
		stranger := &pb.Member{Name: fmt.Sprint("stranger", i), Id: uint64(i) + 1, Addr: "127.0.0.1:1"}
		n.lock()
		n.m.Found(stranger, 0, 0, 0)
		n.unlock()
		n.lock()
		if n.resting {
			t.Error("it rests while there is somebody new")
		}
		n.m.Gone(stranger.GetId())
		n.unlock()
		until("at rest again", resting)
	}
	if err := n.Set(t.Context(), "k", []byte("v")); err != nil { // of a node alone: over at once
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
