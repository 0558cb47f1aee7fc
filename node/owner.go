package node

import (
	"context"
	"fmt"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// An owner that evicts an entry tells nobody. The copies keep theirs and serve it under their leases, although the owner calls the key absent.
// What is here looks at a key as its owner sees it, by which conditions are judged, and ends what is left of one that its owner has not.

// LookupAtOwner is LookupOrTicket that always asks the owner of the key, whatever this node's memory holds.
func (n *Node) LookupAtOwner(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	e, t, err := n.ask(ctx, key, n.tokens.key(key), true)
	if e == nil {
		return Entry{}, false, t, err
	}
	entry, err := n.entry(key, e, n.clock.Now())
	return entry, err == nil, Ticket{}, err
}

// DeleteAbsent is Delete of a key that was absent at its owner: once it has returned nil no node serves what the owner may have evicted.
// t is the ticket of that miss. It fails with ErrStaleFill when the key was written or deleted, or everything was, after the miss.
func (n *Node) DeleteAbsent(ctx context.Context, key string, t Ticket) error {
	w, err := n.newRemove(key, nil)
	if err != nil {
		return err
	}
	if t.Clock == 0 {
		return fmt.Errorf("delete: %w", ErrStaleFill)
	}
	w.IfAbsent, w.Ticket, w.TicketChain = true, t.Clock, t.Chain
	_, err = n.write(ctx, "delete", w)
	return err
}

// TouchIfVersion is Touch that fails with ErrCondition unless the present entry has version v, which is not 0.
func (n *Node) TouchIfVersion(ctx context.Context, key string, ttl time.Duration, v uint64) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	if ttl < 0 {
		return fmt.Errorf("touch: %w: TTL %v", ErrInvalid, ttl)
	}
	_, err := n.write(ctx, "touch", &pb.Write{Key: n.tokens.key(key), Touch: true, Ttl: int64(min(ttl, maxTTL)), IfVersion: v})
	return err
}
