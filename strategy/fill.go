package strategy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// loaded is what a loader returned, ready to be stored.
type loaded struct {
	value []byte
	ttl   time.Duration // 0: the node's default; negative: not to be stored
	tags  []string
}

// lockPrefix makes the key under which the replicas agree on who loads.
const lockPrefix = "load-lock:"

// fillAttempts bounds how often a load whose fill was overtaken is repeated.
const fillAttempts = 3

// load returns the value of key, or what load returns, which it stores unless something newer happened to the key. usable
// tells whether a stored value can be read; one that cannot is removed.
func (c *core) load(
	ctx context.Context, key string, usable func(node.Entry) bool, load func(context.Context) (loaded, error),
) ([]byte, error) {
	return c.flights.do(ctx, key, func(ctx context.Context) (r result[[]byte]) {
		var unlock func()
		returned := false
		defer func() { // others wait for the lock, so it is given up also if the loader has not returned
			p := recover()
			switch {
			case p != nil:
				r = result[[]byte]{err: loaderPanic{p}}
			case !returned && unlock != nil:
				unlock() // the loader ended its goroutine, and r reaches nobody
			}
			r.after = unlock
		}()
		r = c.fill(ctx, key, usable, load, &unlock)
		returned = true
		return r
	})
}

func (c *core) fill(
	ctx context.Context, key string, usable func(node.Entry) bool, load func(context.Context) (loaded, error), unlock *func(),
) result[[]byte] {
	for attempt := 1; ; attempt++ {
		how, value, found, sure := c.miss(ctx, key, usable)
		if !found && sure && c.loadLock > 0 && *unlock == nil {
			how, value, found, sure = c.lock(ctx, key, usable, how, unlock)
		}
		if found {
			return result[[]byte]{value: value}
		}
		l, err := load(ctx)
		if err != nil {
			return result[[]byte]{err: err}
		}
		r := result[[]byte]{value: l.value}
		revoked := result[[]byte]{err: fmt.Errorf("session cache: load: %w", ErrRevoked)}
		switch {
		case !sure:
			return r // there is no telling what happened to the key meanwhile: not stored
		case l.ttl < 0 && c.revoked(ctx, key):
			return revoked
		case l.ttl < 0:
			return r
		}
		how.TTL, how.Tags = l.ttl, l.tags
		fillCtx, cancel := c.filling(ctx)
		err = c.on.Set(fillCtx, key, l.value, how)
		cancel()
		switch {
		case err == nil:
			return r
		case errors.Is(err, ErrRevoked):
			return revoked
		case errors.Is(err, node.ErrStaleFill) || errors.Is(err, node.ErrCondition):
			if attempt < fillAttempts && ctx.Err() == nil {
				continue // what was loaded may be older than what happened: look and load again
			}
			return r
		case (errors.Is(err, ErrTooLarge) || errors.Is(err, ErrInvalid)) && c.revoked(ctx, key): // that was found before the owner was asked
			return revoked
		default:
			c.failed(ctx, "session cache: loaded value not stored", err)
			return r
		}
	}
}

// revoked asks the owner of a key whether it was deleted for good, by a write whose conditions exclude each other: that comes before them.
func (c *core) revoked(ctx context.Context, key string) bool {
	ctx, cancel := c.filling(ctx)
	defer cancel()
	return errors.Is(c.on.Set(ctx, key, nil, setParams{IfAbsent: true, IfPresent: true}), ErrRevoked)
}

// filling returns the context of a write that goes on when nobody waits for the load any more.
func (c *core) filling(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if c.fillWait == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.fillWait)
}

// miss looks for key. On a sure miss it returns how a fill is to be written, so that it loses to whatever comes between.
func (c *core) miss(ctx context.Context, key string, usable func(node.Entry) bool) (how setParams, value []byte, found, sure bool) {
	e, found, ticket, err := c.lookupOrTicket(ctx, key)
	for attempt := 1; err == nil && found; attempt++ {
		if usable(e) {
			return setParams{}, e.Value, true, true
		}
		if attempt > fillAttempts {
			err = errUnusable
			break
		}
		e, found, ticket, err = c.clearAway(ctx, key, e)
	}
	if err != nil {
		if ctx.Err() == nil {
			c.failed(ctx, "session cache: read failed, loading without storing", err)
		}
		return setParams{}, nil, false, false
	}
	return setParams{Fill: true, Ticket: ticket}, nil, false, true
}

// errUnusable: what cannot be read is stored again and again.
var errUnusable = errors.New("stored value cannot be read")

// clearAway removes an entry that cannot be read, and looks again. Only a miss gives a ticket, and that an entry is still the same does not
// tell whether the user was revoked, or all was cleared, while what is to take its place was loaded: the cut may not concern the entry.
func (c *core) clearAway(ctx context.Context, key string, e node.Entry) (node.Entry, bool, node.Ticket, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.on.DeleteIfVersion(ctx, key, e.Version); err != nil && !errors.Is(err, node.ErrCondition) {
		return node.Entry{}, false, node.Ticket{}, err
	}
	return c.on.LookupAtOwner(ctx, key) // which may have evicted what is still served here
}

// lock makes this replica the one that loads key, or waits until another one has. If that takes too long, or cannot be
// agreed on, this replica loads too: the lock saves queries and nothing depends on it.
func (c *core) lock(
	ctx context.Context, key string, usable func(node.Entry) bool, how setParams, unlock *func(),
) (setParams, []byte, bool, bool) {
	lockKey := lockPrefix + key
	holder := []byte(rand.Text())
	until := time.Now().Add(c.loadLock)
	for pause := time.Millisecond; ; pause = min(2*pause, 16*time.Millisecond) {
		lockCtx, cancel := c.bounded(ctx)
		err := c.on.Set(lockCtx, lockKey, holder, setParams{IfAbsent: true, TTL: c.loadLock})
		cancel()
		switch {
		case err == nil:
			*unlock = func() { c.unlock(ctx, lockKey, holder) }
			return c.miss(ctx, key, usable) // somebody may have filled it while the lock was taken
		case !errors.Is(err, node.ErrCondition):
			return how, nil, false, true
		}
		if !sleep(ctx, pause) {
			return how, nil, false, true
		}
		next, value, found, sure := c.miss(ctx, key, usable)
		if found || !sure || !time.Now().Before(until) {
			return next, value, found, sure
		}
		how = next
	}
}

// unlock gives the lock up if it is still this holder's. It is best effort: the lock ends by itself.
func (c *core) unlock(ctx context.Context, lockKey string, holder []byte) {
	ctx, cancel := c.filling(ctx)
	defer cancel()
	e, found, err := c.on.Lookup(ctx, lockKey)
	if err != nil || !found || string(e.Value) != string(holder) {
		return
	}
	_ = c.on.DeleteIfVersion(ctx, lockKey, e.Version) // an error leaves the lock to its TTL, or to who has taken it meanwhile
}
