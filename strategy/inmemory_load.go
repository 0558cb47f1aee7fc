package strategy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// errOvertaken says that something happened to the token of a load under way.
var errOvertaken = node.ErrStaleFill

// Load returns the cached session of a token, or calls load and stores what it returns: one load per token at a time.
// It behaves as PeerToPeer.Load does, errors included.
func (c *InMemory) Load(ctx context.Context, token string, load LoadFunc) (CachedSession, error) {
	if session, found, _ := c.Get(ctx, token); found && !c.stale(&session) {
		return session, nil
	}
	token, err := keyOf("", token) // a load may outlive the call, and the caller may reuse the token's memory then
	if err != nil {
		return CachedSession{}, fmt.Errorf("session cache: load: %w", err)
	}
	session, err := c.flights.do(ctx, token, func(ctx context.Context) result[CachedSession] {
		for attempt := 1; ; attempt++ {
			r, again := c.fill(ctx, token, load)
			if !again || attempt == fillAttempts || ctx.Err() != nil {
				return r
			}
		}
	})
	return session.Clone(), err
}

// fill loads once and tells whether it was overtaken.
func (c *InMemory) fill(ctx context.Context, token string, load LoadFunc) (r result[CachedSession], again bool) {
	p, session, found := c.begin(token)
	if found {
		return result[CachedSession]{value: session}, false
	}
	defer c.ended(token, p)
	session, err := load(ctx)
	if err != nil {
		return result[CachedSession]{err: err}, false
	}
	if session.Token != token {
		return result[CachedSession]{err: fmt.Errorf("session cache: load: %w: another token than asked for", ErrInvalid)}, false
	}
	switch err := c.set(session, p); {
	case err == nil:
		return result[CachedSession]{value: session}, false
	case errors.Is(err, errOvertaken):
		return result[CachedSession]{value: session}, true
	case errors.Is(err, ErrTooLarge):
		return result[CachedSession]{value: session}, false
	default:
		return result[CachedSession]{err: fmt.Errorf("session cache: load: %w", err)}, false
	}
}

// stale tells whether Load takes the session for absent, because its CacheExpiry has passed.
func (c *InMemory) stale(session *CachedSession) bool {
	return c.cfg.CacheExpiry && session.stale(time.Now())
}

// begin notes a load, unless the session has come meanwhile. One that is stale it removes, for the load may bring none in its place.
func (c *InMemory) begin(token string) (*pending, CachedSession, bool) {
	now := time.Now()
	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	if it, ok := c.items.items[token]; ok && !it.value.over(now) {
		if !c.stale(&it.value.session) {
			return nil, it.value.session, true
		}
		c.takeOut(token)
	}
	p := &pending{}
	if c.loading[token] == nil {
		c.loading[token] = map[*pending]struct{}{}
	}
	c.loading[token][p] = struct{}{}
	return p, CachedSession{}, false
}

func (c *InMemory) ended(token string, p *pending) {
	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	if delete(c.loading[token], p); len(c.loading[token]) == 0 {
		delete(c.loading, token)
	}
}
