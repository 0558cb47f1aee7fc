package node

import (
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
)

// run is the node's ticker. At rest, what a node takes is mostly for being woken: then it ticks four times for each renewal of the leases, and
// as soon as something is under way again as often as ever.
func (n *Node) run() {
	t := time.NewTimer(tickEvery)
	defer t.Stop()
	met := false // somebody, or nobody is to be met
	quiet := 0
	for {
		select {
		case <-n.closed:
			return
		case <-n.stirred:
			quiet = 0
			t.Reset(tickEvery)
			continue
		case <-t.C:
		}
		n.lock()
		if !met && n.gossip.Load().Reached() {
			met = true
			n.m.Reached()
		}
		n.m.Tick()
		up := n.m.InSync()
		if quiet++; !met || !n.m.AtRest() {
			quiet = 0
		}
		n.resting = quiet > quietTicks
		pace := tickEvery
		if n.resting {
			pace = n.slow
		}
		n.unlock()
		t.Reset(pace)
		if up && !n.isUp {
			n.isUp = true
			close(n.ready)
			n.publish(Event{Time: time.Now(), Kind: "ready", View: n.view.Load(), Text: "in sync with the cluster"})
		}
		if n.store.Sweep(int(sweepBudget*pace/tickEvery)) > sweepBudget/10 {
			quiet = 0 // entries end faster than a node at rest frees them
		}
	}
}

// slowTick is how often a node at rest ticks.
func slowTick(lease time.Duration) time.Duration {
	return min(max(lease/(4*protocol.LeasesRenewed)+time.Millisecond, tickEvery), slowestTick)
}

// lock and unlock go around every step of the machine. What the step sends goes out together at its end.
func (n *Node) lock() { n.mu.Lock() }

func (n *Node) unlock() {
	if n.resting && n.m.Busy() {
		n.resting = false
		select {
		case n.stirred <- struct{}{}:
		default: // run has yet to see an earlier one
		}
	}
	n.mu.Unlock()
	n.transport.Flush()
}
