package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/huddle-cache/huddle/node/protocol"
	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Entry is what a Lookup finds.
type Entry struct {
	Value   []byte        // not to be modified
	Version uint64        // grows with every write of the key
	TTL     time.Duration // what remains; 0: no end
	Tags    []string      // of a Peek not to be modified
	Age     uint64        // the version of the value: a Touch gives a new Version, and not a new value; for WithAge
	// Memo is a place to keep what has been made of the value, such as what it decodes to, with the entry in this node's memory: it is of just
	// this version. It is nil where another node had to be asked, and with Config.HashTokens: then this node's memory is to hold no value in clear.
	Memo *Memo
}

// Memo is a place beside an entry, see Entry.Memo.
type Memo = store.Memo

// Note is what a Memo holds.
type Note = store.Note

// Notes are notes whose entries are gone, see Note.Left.
type Notes = store.Notes

func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: empty key", ErrInvalid)
	case len(key) > maxKeyBytes:
		return fmt.Errorf("%w: key of %d bytes, at most %d", ErrTooLarge, len(key), maxKeyBytes)
	}
	return nil
}

func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return fmt.Errorf("%w: %d tags, at most %d", ErrTooLarge, len(tags), maxTags)
	}
	for _, t := range tags {
		switch {
		case t == "":
			return fmt.Errorf("%w: empty tag", ErrInvalid)
		case len(t) > maxTagBytes:
			return fmt.Errorf("%w: tag of %d bytes, at most %d", ErrTooLarge, len(t), maxTagBytes)
		case !utf8.ValidString(t):
			return fmt.Errorf("%w: a tag is not UTF-8", ErrInvalid)
		}
	}
	return nil
}

// Get returns the value of key. Absent is (nil, false, nil); not known just now is ErrUnsure.
// The value is shared and must not be modified.
func (n *Node) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, stored, out, _ := n.read(key)
	switch out {
	case protocol.Hit:
		return n.value(key, e)
	case protocol.Absent:
		return nil, false, checkKey(key)
	}
	e, _, err := n.ask(ctx, key, stored, forValue)
	if e == nil {
		return nil, false, err
	}
	return n.value(key, e)
}

// read answers from this node's memory, as Machine.ReadAt does, and returns what the key is stored under. A key that hits as it is
// has been checked when it was set.
func (n *Node) read(key string) (e *store.Entry, stored string, out protocol.Outcome, now int64) {
	if n.tokens == nil && key != "" && key[0] != binaryMark[0] {
		if e, out, now = n.m.ReadAt(key); out == protocol.Hit {
			return e, key, out, now
		}
	}
	if stored = n.tokens.key(key); stored != key || now == 0 {
		e, out, now = n.m.ReadAt(stored)
	}
	return e, stored, out, now
}

// value opens the value of an entry that was found.
func (n *Node) value(key string, e *store.Entry) ([]byte, bool, error) {
	value, err := n.tokens.open(key, e.Bytes())
	if err != nil {
		return nil, false, fmt.Errorf("get: %w", err)
	}
	return value, true, nil
}

// Peek is Lookup without asking anybody: ok tells whether this node's memory alone could answer.
func (n *Node) Peek(key string) (entry Entry, found, ok bool) {
	e, _, out, now := n.read(key)
	if out != protocol.Hit {
		return Entry{}, false, out == protocol.Absent
	}
	value, err := n.opened(key, e)
	if err != nil {
		return Entry{}, false, false
	}
	// It is filled where it is returned: a copy would take as long as all else here.
	entry.Value, entry.Version, entry.TTL, entry.Tags, entry.Age, entry.Memo = value, e.Version, remains(e, now), e.Tags, e.Age(), n.memo(e)
	return entry, true, true
}

// Lookup is Get with version, TTL and tags.
func (n *Node) Lookup(ctx context.Context, key string) (Entry, bool, error) {
	if e, found, ok := n.Peek(key); found {
		e.Tags = slices.Clone(e.Tags) // the store's own, by which InvalidateTags finds the entry
		return e, true, nil
	} else if ok {
		return Entry{}, false, checkKey(key)
	}
	e, _, err := n.ask(ctx, key, n.tokens.key(key), forValue)
	if e == nil {
		return Entry{}, false, err
	}
	entry, err := n.entry(key, e, n.clock.Now())
	return entry, err == nil, err
}

// LookupOrTicket is Lookup; on a miss it returns the ticket for a fill: a Set with WithTicket, which fails with ErrStaleFill if the key was
// written or deleted meanwhile. A hit has a zero Ticket.
func (n *Node) LookupOrTicket(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	e, stored, out, now := n.read(key)
	if out == protocol.Hit {
		entry, err := n.entry(key, e, now)
		entry.Memo = n.memo(e)
		return entry, err == nil, Ticket{}, err
	}
	what := forTicket
	if out == protocol.Absent {
		what = onlyForTicket
	}
	e, t, err := n.ask(ctx, key, stored, what)
	if e == nil {
		return Entry{}, false, t, err
	}
	entry, err := n.entry(key, e, n.clock.Now())
	return entry, err == nil, Ticket{}, err
}

// entry is what callers see of an entry at the time now.
func (n *Node) entry(key string, e *store.Entry, now int64) (Entry, error) {
	value, err := n.opened(key, e)
	if err != nil {
		return Entry{}, fmt.Errorf("get: %w", err)
	}
	return Entry{Value: value, Version: e.Version, TTL: remains(e, now), Tags: slices.Clone(e.Tags), Age: e.Age()}, nil
}

// opened is the value of an entry.
func (n *Node) opened(key string, e *store.Entry) ([]byte, error) {
	if n.tokens == nil {
		return e.Bytes(), nil
	}
	return n.tokens.open(key, e.Bytes())
}

// memo is the memo of an entry that callers may have: none where what they would keep in it is hidden from memory.
func (n *Node) memo(e *store.Entry) *Memo {
	if n.tokens != nil {
		return nil
	}
	return &e.Memo
}

// remains is how long an entry still has at the time now; 0: no end.
func remains(e *store.Entry, now int64) time.Duration {
	if e.Expires == 0 {
		return 0
	}
	return max(time.Duration(e.Expires-now), 1)
}

// deadline turns a context's end into one on the node's clock.
func (n *Node) deadline(ctx context.Context, otherwise time.Duration) int64 {
	if d, ok := ctx.Deadline(); ok {
		return n.until(time.Until(d), 0)
	}
	return n.until(0, otherwise)
}

// until is deadline for a time given as what remains; 0: otherwise.
func (n *Node) until(timeout, otherwise time.Duration) int64 {
	if timeout != 0 {
		// A little earlier, so that the machine can still say how it ended: not tried at all is more than not confirmed.
		otherwise = timeout - min(tickEvery+5*time.Millisecond, timeout/4)
	}
	return n.clock.Now() + int64(min(otherwise, maxTTL)) // a time without end is not one before now
}

// asking is what a read is for that is submitted.
type asking uint8

const (
	forValue      asking = iota
	forTicket            // too, if the key is absent
	onlyForTicket        // this node's memory has just said that the key is absent, and has counted that
)

// ask submits a read of key, which is stored under another name, and waits for it.
func (n *Node) ask(ctx context.Context, key, stored string, what asking) (*store.Entry, Ticket, error) {
	if err := checkKey(key); err != nil {
		return nil, Ticket{}, err
	}
	if err := ctx.Err(); err != nil {
		return n.readResult(protocol.Result{}, err)
	}
	r, err := n.wait(ctx, func(done func(protocol.Result)) {
		get := &pb.Get{Key: stored, Keep: !n.cfg.NoNearCopies, Fill: what != forValue}
		if deadline := n.deadline(ctx, n.cfg.ReadTimeout); what == onlyForTicket {
			n.m.GetAgain(get, deadline, done)
		} else {
			n.m.Get(get, deadline, done)
		}
	})
	return n.readResult(r, err)
}

// readResult is what a read returns that has come to r, or that was not waited for because of err.
func (n *Node) readResult(r protocol.Result, err error) (*store.Entry, Ticket, error) {
	switch {
	case errors.Is(err, ErrClosed):
		return nil, Ticket{}, err
	case r.Closed:
		return nil, Ticket{}, fmt.Errorf("get: %w", ErrClosed)
	case err != nil:
		return nil, Ticket{}, fmt.Errorf("get: %w: %w", ErrUnsure, err)
	case r.Status == pb.Status_OK && r.Ticket == 0:
		return r.Entry, Ticket{}, nil
	case r.Status == pb.Status_OK:
		return r.Entry, Ticket{r.Ticket, r.Chain}, nil
	case r.Status == pb.Status_ABSENT:
		return nil, Ticket{r.Ticket, r.Chain}, nil
	}
	return nil, Ticket{}, fmt.Errorf("get: %w", ErrUnsure)
}
