package strategy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// maxKey is the node's bound for a key.
const maxKey = 1024

// core is what PeerToPeer and Typed share: reads that take unsure as a miss, and loads that never store a stale value.
type core struct {
	options
	on      backend
	flights flights[[]byte]

	lastLog atomic.Int64  // when, in Unix nanoseconds
	unsaid  atomic.Uint64 // failures since
}

// keyOf returns the key of a token. It fails where there can be no such entry, as a write of it does: to a read that is a miss. The key shares no
// memory with the token: web servers reuse that of a request.
func keyOf(prefix, token string) (string, error) {
	switch {
	case token == "":
		return "", fmt.Errorf("%w: empty token", ErrInvalid)
	case len(prefix)+len(token) > maxKey:
		return "", fmt.Errorf("%w: token of %d bytes, at most %d", ErrTooLarge, len(token), maxKey-len(prefix))
	case prefix == "":
		return strings.Clone(token), nil
	}
	return prefix + token, nil
}

// lookup reads a key: from the node's memory, which needs no context, or from another node within the wait for reads.
func (c *core) lookup(ctx context.Context, key string) (node.Entry, bool, error) {
	if e, found, ok := c.on.Peek(key); ok {
		return e, found, nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	return c.on.Lookup(ctx, key)
}

func (c *core) lookupOrTicket(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	return c.on.LookupOrTicket(ctx, key)
}

func (c *core) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.readWait == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.readWait)
}

// missed turns the error of a read into what Get returns: nothing, or ErrUnsure with WithUnsureError.
func (c *core) missed(ctx context.Context, err error) error {
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrInvalid) {
		return nil // no such key can be stored: certainly absent
	}
	if !errors.Is(ctx.Err(), context.Canceled) || c.unsureError { // who has gone away is not told anything
		c.failed(ctx, "session cache: read failed, taken as a miss", err)
	}
	if !c.unsureError {
		return nil
	}
	if !errors.Is(err, ErrUnsure) {
		err = fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return fmt.Errorf("session cache: get: %w", err)
}

// failed logs, at most once a second.
func (c *core) failed(ctx context.Context, what string, err error) {
	now, last := time.Now().UnixNano(), c.lastLog.Load()
	if now-last < int64(time.Second) && now >= last || !c.lastLog.CompareAndSwap(last, now) {
		c.unsaid.Add(1)
		return
	}
	c.logger.ErrorContext(ctx, what, "err", err, "unlogged", c.unsaid.Swap(0))
}

// RevokeUser removes every session of one user on every replica, and voids loads under way, in every cache and store that tags its entries with
// the user's ID, see UserTag: also in an SCSStore or FiberStorage with WithUserOf, which logs the user out. It does not refuse a later Set of
// these tokens, see UserRevoker. userID is the text of the user's ID; an empty one is ErrInvalid.
func (c *core) RevokeUser(ctx context.Context, userID string) error {
	if userID == "" {
		return fmt.Errorf("session cache: revoke user: %w: empty user id", ErrInvalid)
	}
	return wrap("session cache: revoke user", c.on.InvalidateTags(ctx, UserTag(userID)))
}

// remove removes a token for good.
func (c *core) remove(ctx context.Context, key string) error {
	return wrap("session cache: delete", c.on.Delete(ctx, key, true))
}

// put stores what is to be kept under a key, or removes the key if it is over already.
func (c *core) put(ctx context.Context, key string, l loaded) error {
	if l.ttl < 0 {
		return c.on.Delete(ctx, key, false)
	}
	return c.on.Set(ctx, key, l.value, setParams{TTL: l.ttl, Tags: l.tags})
}

// wrap says what has failed, if there is an error.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// lifetime is how long an entry that ends at expires is kept: 0 is the node's default, negative means it is over.
func (c *core) lifetime(expires time.Time) time.Duration {
	ttl := c.defaultTTL
	if !expires.IsZero() {
		if ttl = time.Until(expires); ttl <= 0 {
			return -1
		}
	}
	if c.maxTTL > 0 && (ttl == 0 || ttl > c.maxTTL) {
		ttl = c.maxTTL
	}
	return ttl
}
