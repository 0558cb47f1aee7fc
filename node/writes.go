package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/huddle-cache/huddle/node/protocol"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

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
		Origin: o.age,
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
		var cancel context.CancelFunc
		ctx, cancel = within(ctx, n.cfg.WriteTimeout) // the wait for room counts
		defer cancel()
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

// InvalidateTags removes every entry that has one of the tags: at most 64, which are as WithTags says. Without any it does nothing.
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
