package node

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/transport/gossip"
)

// A departure without a deadline ends too: after as long as the transfer of all that the node may hold takes, and some time.
func TestADepartureIsBounded(t *testing.T) {
	for _, c := range []struct{ bytes, rate, seconds int64 }{{256 << 20, 64 << 20, 34}, {1 << 20, 1 << 30, 30}, {1 << 60, 1 << 16, int64(maxTTL / time.Second)}} {
		n := &Node{cfg: Config{MaxBytes: c.bytes, RepairRate: c.rate}}
		ctx, cancel := n.leaveWithin(context.Background())
		end, bounded := ctx.Deadline()
		cancel()
		if left := time.Until(end); !bounded || left > time.Duration(c.seconds+31)*time.Second || left < time.Duration(c.seconds-20)*time.Second {
			t.Errorf("%+v: bounded: %v, by %v", c, bounded, left)
		}
		given, cancel := context.WithTimeout(context.Background(), time.Hour)
		ctx, _ = n.leaveWithin(given)
		cancel()
		if ctx != given {
			t.Error("a deadline that was given is another")
		}
	}
}

// Who leaves says so: else the others would take it for lost, and look for it at its address for an hour.
func TestWhoLeavesSaysSo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var nodes []*Node
	for _, name := range []string{"a", "b"} {
		cfg := Config{Name: name, Partitions: 257, VirtualNodes: 40, Profile: "local"}
		if nodes != nil {
			cfg.Join = []string{nodes[0].Addr()}
		}
		n, err := Start(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		<-n.Ready()
		nodes = append(nodes, n)
	}
	if err := nodes[1].HandOver(ctx); err != nil {
		t.Fatal(err)
	}
	said := func() bool {
		return slices.ContainsFunc(nodes[0].gossip.Load().Peers(), func(p gossip.Peer) bool { return p.Leaving && p.Member.GetName() == "b" && p.View > 0 })
	}
	for !said() {
		if ctx.Err() != nil {
			t.Fatal("it has not said that it leaves")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := nodes[1].Leave(ctx); err != nil {
		t.Error(err)
	}
}
