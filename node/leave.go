package node

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// leaveAtLeast is what a departure without a deadline may take beside the transfer of all that a node may hold.
const leaveAtLeast = 30 * time.Second

// Leave hands everything over, then leaves the cluster and closes the node. Operations go on during the hand-over, from then on they fail with
// ErrClosed; those under way, and deletions that go on after their callers, are carried out before the node is closed. It is bounded by ctx: at its
// end the node is closed in any case, and the error says what was not complete: also of a node that the others have expelled meanwhile, for they did
// not hear it, if what it held had no other copy, and of one whose cluster was given up. Without a deadline the bound is 30 s and the time that
// Config.MaxBytes takes at Config.RepairRate: so it ends too where there is no majority, and nobody to hand over to.
func (n *Node) Leave(ctx context.Context) error {
	if n.left.Load() {
		return n.depart() // with another caller, who may still be at it
	}
	ctx, cancel := n.leaveWithin(ctx)
	defer cancel()
	incomplete := n.HandOver(ctx)
	if incomplete != nil && !errors.As(incomplete, new(expelledError)) {
		return errors.Join(incomplete, n.Close())
	}
	err := n.attain(ctx, "leave: operations under way have not ended", func() bool {
		n.m.Part()
		return n.m.Left()
	})
	if errors.Is(err, ErrClosed) {
		return errors.Join(err, n.Close())
	}
	if err == nil {
		n.left.Store(true)
	}
	return errors.Join(incomplete, err, n.depart())
}

// expelledError says that a node was expelled, or its cluster given up, before it had handed over, and how many entries only it held.
type expelledError int

func (lost expelledError) Error() string {
	return fmt.Sprintf("leave: hand-over not complete: this node was expelled, for it was not heard, or its cluster was given up; entries that only it held: %d", int(lost))
}

// depart tells the others that the node has gone, and closes it.
func (n *Node) depart() error {
	if g := n.gossip.Load(); g != nil {
		g.Leave()
	}
	return n.Close()
}

// HandOver is the first part of Leave, for who has a front of its own to end between the two: it returns nil once everything is handed
// over and the node is no member any more. The node is not in sync from the beginning of it, and does not close: until Leave or Close, one of which is
// to follow, it has what it is asked for done by the members. The bound is as of Leave, and the error says that the hand-over was not complete.
func (n *Node) HandOver(ctx context.Context) error {
	ctx, cancel := n.leaveWithin(ctx)
	defer cancel()
	if n.left.Load() {
		return nil
	}
	n.lock()
	n.m.Leave()
	n.unlock()
	n.outMu.Lock()
	n.meta.Leaving = true // nobody is to look for it when it is gone
	if g := n.gossip.Load(); g != nil {
		g.Announce(n.meta)
	}
	n.outMu.Unlock()
	lost := 0
	err := n.attain(ctx, "leave: hand-over not complete", func() bool {
		lost = n.m.Lost()
		return n.m.HandedOver()
	})
	if err == nil && lost > 0 {
		return expelledError(lost)
	}
	return err
}

func (n *Node) leaveWithin(ctx context.Context) (context.Context, context.CancelFunc) {
	transfer := float64(n.cfg.MaxBytes) / float64(n.cfg.RepairRate) * float64(time.Second)
	return within(ctx, leaveAtLeast+time.Duration(min(transfer, float64(maxTTL))))
}

// within returns ctx, with an end after d if it has none of its own.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// attain waits until done, which is called under the lock, is true; not is what the error says otherwise.
func (n *Node) attain(ctx context.Context, not string, done func() bool) error {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		n.lock()
		ok := done()
		n.unlock()
		switch {
		case n.left.Load(): // with another caller
			return nil
		case n.isClosed(): // who is closed has given up what it was at
			return ErrClosed
		case ok:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", not, ctx.Err())
		case <-n.closed:
		case <-t.C:
		}
	}
}
