package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// breath is the time that a reader has for a line.
const breath = 350 * time.Millisecond

// story is what happens, in order.
type story struct {
	cfg     Config
	cluster *cluster.Cluster
	shop    *shop
	teller  *teller
	begun   time.Time
	open    atomic.Bool // to visitors
}

// play runs the story until ctx ends, which is no error.
func (st *story) play(ctx context.Context, crowd *sync.WaitGroup) error {
	st.tour(ctx)
	if ctx.Err() != nil {
		return nil
	}
	st.teller.say("%s regulars log in.", term.Count(regulars))
	st.shop.enrol(ctx, regulars)
	st.shop.open(ctx, crowd)
	st.open.Store(true)
	st.teller.say("%s regulars have logged in and gone away%s; %d visitors log in, browse and log out from now on, through whichever node the balancer picks. Every answer is checked.",
		term.Count(len(st.shop.regulars)), st.spread(ctx), len(st.shop.visitors))
	total, killAt, backAt := cycle, cycle/4, cycle/2
	if st.cfg.For > 0 {
		total, killAt, backAt = st.cfg.For, st.cfg.For*3/10, st.cfg.For*6/10
	}
	switch {
	case st.cfg.Nodes < 3:
		st.teller.say("No node will be killed: of %s, the rest would be no majority. Take --nodes 3 to see that.", term.Counted(st.cfg.Nodes, "node", "nodes"))
		<-ctx.Done()
		return nil
	case st.cfg.For > 0 && st.cfg.For < 10*time.Second:
		st.teller.say("No node will be killed: there is too little time to see it come back. Take --for 10s or more.")
		<-ctx.Done()
		return nil
	}
	for round := 0; ; round++ {
		base := time.Duration(round) * total
		if !st.until(ctx, base+killAt) {
			return nil
		}
		victim := st.kill(ctx)
		if victim == nil || !st.until(ctx, base+backAt) {
			return nil
		}
		if err := st.bringBack(ctx, victim); err != nil {
			return unlessEnded(ctx, err)
		}
		if !st.until(ctx, base+total) {
			return nil
		}
	}
}

// spread tells how many of the regulars' sessions each node holds, where there are several.
func (st *story) spread(ctx context.Context) string {
	nodes := st.cluster.Nodes()
	status, err := nodes[0].Client().Status(ctx, false)
	if err != nil || len(nodes) < 2 {
		return ""
	}
	copies := min(status.Replicas, len(nodes))
	return fmt.Sprintf(" (%d copies of each session on %d nodes: about %s on each)", copies, len(nodes), term.Count(len(st.shop.regulars)*copies/len(nodes)))
}

// until waits until so long after the beginning, and tells whether the story goes on.
func (st *story) until(ctx context.Context, after time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(st.begun.Add(after))):
		return ctx.Err() == nil
	}
}

// tour follows one visitor.
func (st *story) tour(ctx context.Context) {
	t, s := st.teller, st.shop
	anna := s.visitors[0]
	anna.mu.Lock()
	defer anna.mu.Unlock()
	r, ok := s.login(ctx, anna)
	if !ok || !st.breathe(ctx) {
		return
	}
	t.say("%s logs in through %s (%s).", t.who(anna.name), t.node(r.by.node.Name), term.Duration(r.took))
	if place, err := st.cluster.Nodes()[0].Client().Locate(ctx, key(anna.token)); err == nil && st.breathe(ctx) {
		copies := "no further copy"
		if len(place.Copies) > 0 {
			copies = "copy on " + t.node(strings.Join(place.Copies, ", "))
		}
		t.say("Her session is in partition %d of %d: owner %s, %s.", place.Partition, place.Partitions, t.node(place.Owner), copies)
	}
	shown := s.b.replicas[:min(3, len(s.b.replicas))]
	for _, each := range append(slices.Clone(shown), shown[len(shown)-1]) {
		if !st.breathe(ctx) {
			return
		}
		own := ""
		before, err := each.node.Client().Status(ctx, false)
		r, ok := s.browse(ctx, anna, each)
		if after, errAfter := each.node.Client().Status(ctx, false); err == nil && errAfter == nil {
			switch {
			case after.Hits > before.Hits:
				own = ", out of its own memory"
			case after.Remote > before.Remote:
				own = ", which asked another node"
			}
		}
		if ok {
			t.say("She browses through %s: %s in %s%s.", t.node(each.node.Name), t.good("hit"), term.Duration(r.took), own)
		}
	}
	if !st.breathe(ctx) {
		return
	}
	if r, ok := s.logout(ctx, anna); ok {
		t.say("She logs out through %s (%s). All nodes were asked at once: %s everywhere.", t.node(r.by.node.Name), term.Duration(r.took), t.good("gone"))
	}
}

// breathe leaves the reader time for a line, and tells whether the story goes on.
func (st *story) breathe(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(breath):
		return true
	}
}

// kill kills the owner of some visitor's session, and tells how the others get along.
func (st *story) kill(ctx context.Context) *cluster.Node {
	t, s := st.teller, st.shop
	someone := s.regulars
	if len(someone) == 0 {
		return nil
	}
	asked := st.cluster.Nodes()[0].Client()
	v := someone[int(time.Now().UnixNano()/1000)%len(someone)]
	place, err := asked.Locate(ctx, key(v.token))
	if err != nil {
		return nil
	}
	var victim *cluster.Node
	for _, n := range st.cluster.Nodes() {
		if n.Name == place.Owner {
			victim = n
		}
	}
	if victim == nil {
		return nil
	}
	before, err := asked.Status(ctx, false)
	if err != nil {
		return nil
	}
	pid := victim.PID()
	s.tally.healed.Store(0)
	s.tally.killed.Store(time.Now().UnixNano())
	s.tally.lastSlow.Store(0)
	victim.Kill()
	killed := time.Now()
	t.say("%s  kill -9 %d: %s is dead. It owned %s's session, among %s of all.", t.bad("✗"), pid, t.node(victim.Name), v.name, st.share(ctx, victim.Name))
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() { st.tellNextView(ctx, victim, before.View, killed) })
	v.mu.Lock()
	r, ok := s.browse(ctx, v, nil)
	v.mu.Unlock()
	if ok {
		t.say("%s's session, read through %s: %s, after %s.", v.name, t.node(r.by.node.Name), t.good("still there"), term.Duration(r.took))
	}
	if right, of := s.auditRegulars(ctx, false); ctx.Err() == nil {
		t.say("All regulars looked up, %s after the kill: %s of %s sessions are there.", term.Duration(time.Since(killed)), t.count(right, of), term.Count(of))
	}
	return victim
}

// tellNextView waits until the survivors have agreed on a view after the given one, tells so, and goes on until they have settled in it.
func (st *story) tellNextView(ctx context.Context, victim *cluster.Node, view uint64, killed time.Time) {
	t := st.teller
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	told := false
	for {
		settled := true
		for _, n := range st.cluster.Nodes() {
			if n == victim {
				continue
			}
			status, err := n.Client().Status(ctx, false)
			if next := err == nil && status.View > view; next && !told {
				told = true
				t.say("The others agreed on view %d without %s %s after the kill, and share its part among themselves.", status.View, t.node(victim.Name), term.Duration(time.Since(killed)))
			} else if !next || !status.InSync || !status.Settled {
				settled = false
			}
		}
		if settled && told {
			st.shop.tally.healed.Store(time.Now().UnixNano())
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// share is how large a part of the ring the named node has, as another one sees it.
func (st *story) share(ctx context.Context, name string) string {
	for _, n := range st.cluster.Nodes() {
		if n.Name == name {
			continue
		}
		ring, err := n.Client().Ring(ctx)
		if err != nil {
			continue
		}
		for _, share := range ring.Shares {
			if share.Name == name {
				return term.Percent(share.Share, 1)
			}
		}
	}
	return "a part"
}

// bringBack starts the killed node again and waits until it holds its share.
func (st *story) bringBack(ctx context.Context, n *cluster.Node) error {
	t := st.teller
	begun := time.Now()
	if err := n.Start(); err != nil {
		return err
	}
	t.say("%s is started again (pid %d). It comes back empty, and is given its share.", t.node(n.Name), n.PID())
	wait, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := st.cluster.WaitReady(wait, n); err != nil {
		return err
	}
	status, err := n.Client().Status(ctx, false)
	if err != nil {
		return err
	}
	t.say("%s  %s is in sync after %s: view %d, %s pulled, %s held.", t.good("✓"), t.node(n.Name), term.Duration(time.Since(begun)), status.View,
		term.Bytes(int64(status.PulledBytes)), term.Counted(status.Entries, "entry", "entries"))
	return nil
}

// lastLook checks everything once more, after the visitors have stopped.
func (st *story) lastLook(ctx context.Context) {
	t, s := st.teller, st.shop
	look, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	live, gone := s.auditVisitors(look)
	right, of := s.auditRegulars(look, true)
	t.say("Last look, through every node: %s of %s reads of the regulars' sessions right, %s of visitors checked, %s logged-out ones gone.",
		t.count(right, of), term.Count(of), term.Counted(live, "session", "sessions"), term.Count(gone))
}
