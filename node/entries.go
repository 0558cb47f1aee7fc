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
	// Memo is a place to keep what has been made of the value, such as what it decodes to, with the entry in this node's memory: it is of just
	// this version. It is nil where another node had to be asked.
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
	entry.Value, entry.Version, entry.TTL, entry.Tags, entry.Memo = value, e.Version, remains(e, now), e.Tags, &e.Memo
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
		entry.Memo = &e.Memo
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
	return Entry{Value: value, Version: e.Version, TTL: remains(e, now), Tags: slices.Clone(e.Tags)}, nil
}

// opened is the value of an entry.
func (n *Node) opened(key string, e *store.Entry) ([]byte, error) {
	if n.tokens == nil {
		return e.Bytes(), nil
	}
	return n.tokens.open(key, e.Bytes())
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
	case r.Status == pb.Status_OK:
		return r.Entry, Ticket{}, nil
	case r.Status == pb.Status_ABSENT:
		return nil, Ticket{r.Ticket, r.Chain}, nil
	}
	return nil, Ticket{}, fmt.Errorf("get: %w", ErrUnsure)
}

// waiter is where one caller waits for the end of an operation. It is used again and again: its channel and its function
// are made once.
type waiter struct {
	result protocol.Result
	ready  chan struct{}
	done   func(protocol.Result)
}

func newWaiter() *waiter {
	w := &waiter{ready: make(chan struct{}, 1)}
	w.done = func(r protocol.Result) {
		w.result = r
		w.ready <- struct{}{}
	}
	return w
}

// wait submits under the lock and waits without it: also when ctx has ended, for a revocation goes on without its caller. ErrClosed is that nothing has
// been submitted; what has been, Close ends.
func (n *Node) wait(ctx context.Context, submit func(done func(protocol.Result))) (protocol.Result, error) {
	w, ok := n.waiters.Get().(*waiter)
	if !ok {
		w = newWaiter()
	}
	n.lock()
	select {
	case <-n.closed:
		n.unlock()
		n.waiters.Put(w)
		return protocol.Result{}, ErrClosed
	default:
	}
	submit(w.done)
	n.unlock()
	select {
	case <-w.ready:
		return n.take(w), nil
	default:
	}
	// A waiter that is given up is not used again: its end may still come.
	select {
	case <-w.ready:
		return n.take(w), nil
	case <-ctx.Done():
		n.lock()
		defer n.unlock()
		return protocol.Result{Tried: true, NoMajority: n.m.NoMajority()}, ctx.Err()
	}
}

// take returns the result and keeps the waiter for the next caller.
func (n *Node) take(w *waiter) protocol.Result {
	r := w.result
	w.result = protocol.Result{}
	n.waiters.Put(w)
	return r
}

// Set writes key. Once it has returned nil no node serves an older value.
func (n *Node) Set(ctx context.Context, key string, value []byte, opts ...SetOption) error {
	w, err := n.newSet(key, value, opts)
	if err == nil {
		_, err = n.write(ctx, "set", w)
	}
	return err
}

// newSet makes the write of a Set.
func (n *Node) newSet(key string, value []byte, opts []SetOption) (*pb.Write, error) {
	var o setOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	switch {
	case len(value) > n.cfg.MaxValueBytes:
		return nil, fmt.Errorf("set: %w: value of %d bytes, at most %d", ErrTooLarge, len(value), n.cfg.MaxValueBytes)
	case o.hasTTL && o.ttl <= 0:
		return nil, fmt.Errorf("set: %w: TTL %v", ErrInvalid, o.ttl)
	case o.hasTick && o.ticket.Clock == 0:
		return nil, fmt.Errorf("set: %w", ErrStaleFill)
	}
	if err := checkTags(o.tags); err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	sealed, err := n.tokens.seal(key, value)
	if err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	w := &pb.Write{
		Key: n.tokens.key(key), Value: sealed, Tags: o.tags, Ttl: int64(min(o.ttl, maxTTL)), KeepTtl: o.keepTTL, IfAbsent: o.ifAbsent,
		IfPresent: o.ifPresent, IfVersion: o.ifVersion, Ticket: o.ticket.Clock, TicketChain: o.ticket.Chain,
	}
	if w.Ttl == 0 && !o.noEnd { // with WithKeepTTL it is for a key that is absent
		w.Ttl = int64(n.cfg.DefaultTTL)
	}
	return w, nil
}

// Delete removes key; an absent key is no error. A caller whose ctx ends gets ErrUnconfirmed, and the deletion goes on, as
// that says. What was set before it is done goes too; DeleteIfVersion spares that.
func (n *Node) Delete(ctx context.Context, key string, opts ...DeleteOption) error {
	_, err := n.Remove(ctx, key, opts...)
	return err
}

// Remove is Delete and tells whether the key was present. If the deletion had to be sent again, because a session between nodes broke, it tells what
// was found the second time: false, where the first time had deleted it already.
func (n *Node) Remove(ctx context.Context, key string, opts ...DeleteOption) (bool, error) {
	w, err := n.newRemove(key, opts)
	if err != nil {
		return false, err
	}
	r, err := n.write(ctx, "delete", w)
	return r.Existed, err
}

// newRemove makes the write of a Remove.
func (n *Node) newRemove(key string, opts []DeleteOption) (*pb.Write, error) {
	var o deleteOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	w := &pb.Write{Key: n.tokens.key(key), Kind: pb.Kind_TOMBSTONE, IfVersion: o.ifVersion}
	if o.revoke {
		w.Kind = pb.Kind_REVOKED
	}
	return w, nil
}

// Touch gives key a new TTL (0: no end; at most 100 years) and tells whether it was present.
func (n *Node) Touch(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return n.touch(ctx, key, ttl, 0)
}

// TouchIfVersion is Touch that fails with ErrCondition unless the present entry has version v. No entry has version 0.
func (n *Node) TouchIfVersion(ctx context.Context, key string, ttl time.Duration, v uint64) error {
	_, err := n.touch(ctx, key, ttl, versionOf(v))
	return err
}

func (n *Node) touch(ctx context.Context, key string, ttl time.Duration, ifVersion uint64) (bool, error) {
	if err := checkKey(key); err != nil {
		return false, fmt.Errorf("touch: %w", err)
	}
	if ttl < 0 {
		return false, fmt.Errorf("touch: %w: TTL %v", ErrInvalid, ttl)
	}
	r, err := n.write(ctx, "touch", &pb.Write{Key: n.tokens.key(key), Touch: true, Ttl: int64(min(ttl, maxTTL)), IfVersion: ifVersion})
	return err == nil && r.Status == pb.Status_OK, err
}

func (n *Node) write(ctx context.Context, what string, w *pb.Write) (protocol.Result, error) {
	if err := ctx.Err(); err != nil && w.Kind == pb.Kind_LIVE {
		return protocol.Result{}, fmt.Errorf("%s: %w", what, err) // nothing has been tried
	}
	room := n.roomFor(w)
	if room.of != nil {
		if _, bounded := ctx.Deadline(); !bounded { // the wait for room counts
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, n.cfg.WriteTimeout)
			defer cancel()
		}
		if err := room.take(ctx); err != nil {
			return protocol.Result{}, fmt.Errorf("%s: %w", what, err)
		}
	}
	submitted := false
	r, err := n.wait(ctx, func(done func(protocol.Result)) {
		submitted = true
		n.m.Write(w, n.deadline(ctx, n.cfg.WriteTimeout), n.giveUp(w), room.giving(done))
	})
	if !submitted {
		room.give()
	}
	return r, writeError(what, w.Kind != pb.Kind_LIVE, r, err)
}

// giveUp is when the work on a write ends that goes on after its caller has given up: only a deletion does.
func (n *Node) giveUp(w *pb.Write) int64 {
	if w.Kind == pb.Kind_LIVE {
		return 0
	}
	return n.goOn()
}

// goOn is until when a deletion or a cut that begins now is pursued: for as long as a revoked key stays dead, and at least a minute.
func (n *Node) goOn() int64 { return n.clock.Now() + int64(max(n.cfg.Retention, goOnAtLeast)) }

// writeError is what a write returns that has come to r, or that was not waited for because of err; goesOn tells that it is carried on until it is
// confirmed.
func writeError(what string, goesOn bool, r protocol.Result, err error) error {
	switch {
	case err == nil:
		err = statusError(r, goesOn)
	case errors.Is(err, ErrClosed):
	case goesOn && r.NoMajority:
		err = fmt.Errorf("%w: %w: %w", ErrUnconfirmed, ErrUnavailable, err)
	default:
		err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// statusError is the error that belongs to the end of a write; goesOn tells that it is carried on until it is confirmed.
func statusError(r protocol.Result, goesOn bool) error {
	switch r.Status {
	case pb.Status_OK, pb.Status_ABSENT:
		return nil
	case pb.Status_CONDITION:
		return ErrCondition
	case pb.Status_GONE:
		return ErrRevoked
	case pb.Status_STALE_FILL:
		return ErrStaleFill
	case pb.Status_TOO_LARGE:
		return ErrTooLarge
	case pb.Status_FULL:
		return ErrOverload
	}
	switch {
	case r.Closed && r.Tried:
		return fmt.Errorf("%w: %w", ErrClosed, ErrUnconfirmed)
	case r.Closed:
		return ErrClosed
	case goesOn && r.NoMajority:
		return fmt.Errorf("%w: %w", ErrUnconfirmed, ErrUnavailable)
	case goesOn, r.Tried:
		return ErrUnconfirmed
	case r.NoMajority:
		return ErrUnavailable
	}
	return errNoOwner
}

// Clear removes every entry of the cluster.
func (n *Node) Clear(ctx context.Context) error { return n.cut(ctx, "clear", nil) }

// InvalidateTags removes every entry that has one of the tags.
func (n *Node) InvalidateTags(ctx context.Context, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	if err := checkTags(tags); err != nil {
		return fmt.Errorf("invalidate: %w", err)
	}
	return n.cut(ctx, "invalidate", slices.Clone(tags)) // it may go on after its caller
}

func (n *Node) cut(ctx context.Context, what string, tags []string) error {
	r, err := n.wait(ctx, func(done func(protocol.Result)) {
		n.m.Cut(tags, n.deadline(ctx, n.cfg.WriteTimeout), n.goOn(), done)
	})
	return writeError(what, true, r, err)
}
