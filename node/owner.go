package node

import (
	"context"
	"fmt"
)

// An owner that evicts an entry tells nobody. The copies keep theirs and serve it under their leases, although the owner calls the key absent.
// What is here looks at a key as its owner sees it, by which conditions are judged, and ends what is left of one that its owner has not.

// LookupAtOwner is LookupOrTicket that always asks the owner of the key, whatever this node's memory holds. A hit has a ticket, too, unless a copy has
// answered in the owner's place: for a Set with WithTicket that is to be void if what it puts in the place of the entry was cut meanwhile. Such a
// Set fails with ErrStaleFill as well if the entry has gone.
func (n *Node) LookupAtOwner(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	e, t, err := n.ask(ctx, key, n.tokens.key(key), forTicket)
	if e == nil {
		return Entry{}, false, t, err
	}
	entry, err := n.entry(key, e, n.clock.Now())
	return entry, err == nil, t, err
}

// DeleteAbsent removes what copies still serve of an entry that its owner has evicted. t is the ticket with which LookupAtOwner found the
// key absent. Once it has returned nil no node serves the key. It fails with ErrCondition when the key is there again, and with ErrStaleFill when it
// was written or deleted since and is absent, or everything was deleted, or another node has become its owner.
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
