package protocol

import (
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/ring"
)

var simScale = flag.String("sim.scale", "3,10,50", "sizes of clusters of TestScale, separated by commas")

// TestScale measures what membership costs, over the size of the cluster, on a network without faults. The times are virtual: they say
// how many rounds the protocol takes. A cluster that does not come to rest fails. DESIGN.md has the figures for up to 1,000 nodes.
func TestScale(t *testing.T) {
	for _, field := range strings.Split(*simScale, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 3 {
			t.Fatalf("-sim.scale %q: want sizes of at least 3, as in 3,10,50", *simScale)
		}
		t.Run(field, func(t *testing.T) { scale(t, n) })
	}
}

// scale starts n nodes at once, lets one join, kills one, lets one leave, and measures each.
func scale(t *testing.T, n int) {
	// The ring's figures do not show here, so it is small where it would only take time.
	params := ring.Params{Partitions: 1021, VirtualNodes: 20, Load: 1.25}
	s := newSim(simConfig{seed: 1, nodes: n, replicas: 2, memory: 1 << 20, calm: true, ring: params})
	s.at(0, nil, s.gossip)
	// step waits until all that are not gone are in one settled view of so many members, and says what that took.
	step := func(name string, members int) {
		t.Helper()
		began, wall := s.now, time.Now()
		next := s.now
		s.play(s.now+120*sec, func() bool {
			if s.now < next {
				return false
			}
			next = s.now + 20*ms
			return s.atRest(members)
		})
		if !s.atRest(members) {
			t.Fatalf("%s: not at rest after %.0f s", name, f(s.now-began))
		}
		msgs, bytes, busiest := s.sentSince()
		t.Logf("%4d nodes: %-13s %5.2f s, %5d messages and %7d bytes a node, %6d messages of the busiest; %5.1f s on this machine",
			n, name, f(s.now-began), msgs/members, bytes/members, busiest, time.Since(wall).Seconds())
	}
	step("cold start", n)
	wall := time.Now()
	s.play(s.now+2*sec, func() bool { return false })
	msgs, bytes, _ := s.sentSince()
	t.Logf("%4d nodes: at rest, a node and second: %d messages, %d bytes; %.2f ms on this machine",
		n, msgs/n/2, bytes/n/2, time.Since(wall).Seconds()*1000/float64(n)/2)

	s.procs = append(s.procs, nil)
	s.start(n)
	step("one joins", n+1)
	s.kill(s.procs[n/2], false)
	step("one is killed", n)
	s.procs[n-1].m.Leave()
	step("one leaves", n-1)
}

// sentSince sums what all processes have sent since it was last asked, and what the busiest of them has.
func (s *sim) sentSince() (msgs, bytes, busiest int) {
	for _, p := range s.procs {
		msgs += p.sent
		bytes += p.bytes
		busiest = max(busiest, p.sent)
		p.sent, p.bytes = 0, 0
	}
	return msgs, bytes, busiest
}

// atRest tells whether all processes that are not gone are in sync in one settled view of so many members.
func (s *sim) atRest(members int) bool {
	var first *layout
	n := 0
	for _, p := range s.procs {
		if p.gone {
			continue
		}
		if first == nil {
			first = p.m.lay
		}
		if p.m.lay == nil || p.m.lay.number() != first.number() || len(p.m.lay.ids) != members || len(p.m.lay.view.History) > 0 || !p.m.inSyncNow() {
			return false
		}
		n++
	}
	return n == members && len(first.view.Leaving) == 0
}
