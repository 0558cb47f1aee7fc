package node

import (
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
)

// run is the node's ticker. At rest, what a node takes is mostly for being woken: then it ticks only as often as it renews its leases, and
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
		if quiet++; !met || !n.m.AtRest() {
			quiet = 0
		}
		n.resting = quiet > quietTicks
		next := tickEvery
		if n.resting {
			next = untilBeat(time.Now(), n.slow)
		}
		n.m.Tick(int64(next))
		up := n.m.InSync()
		n.unlock()
		t.Reset(next)
		if up && !n.isUp {
			n.isUp = true
			close(n.ready)
			n.publish(Event{Time: time.Now(), Kind: "ready", View: n.view.Load(), Text: "in sync with the cluster"})
		}
		if n.store.Sweep(int(sweepBudget*next/tickEvery)) > sweepBudget/10 {
			quiet = 0 // entries end faster than a node at rest frees them
		}
	}
}

// slowTick is how often a node at rest ticks.
func slowTick(lease time.Duration) time.Duration {
	return min(max(lease/protocol.LeasesRenewed, tickEvery), slowestTick)
}

// untilBeat is how long it is until the wall clock shows a multiple of every. All nodes at rest tick at these moments, as far as their clocks
// agree: then a node is woken once for what all the others send it. Nothing depends on it.
func untilBeat(now time.Time, every time.Duration) time.Duration {
	const early = time.Millisecond                                              // a timer may fire a little before a beat, and means that one
	since := time.Duration(uint64(now.UnixNano()+int64(early)) % uint64(every)) // before 1970 there are beats too
	return every - since + early
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
