package strategy

import (
	"context"
	"fmt"
	"time"
	"weak"
)

// InMemoryConfig bounds an InMemory. The zero value works.
type InMemoryConfig struct {
	// MaxEntries bounds the number of sessions. Default 100 000.
	MaxEntries int
	// MaxBytes bounds the memory of sessions and revoked tokens (estimated). Default 64 MiB. Revoked tokens take a
	// quarter of it at most; beyond that the oldest are forgotten.
	MaxBytes int64
	// MaxSessionBytes bounds one session (estimated). Default 1 MiB, and never more than half of MaxBytes.
	MaxSessionBytes int
	// DefaultTTL ends sessions whose Expires is zero. Default 24 h.
	DefaultTTL time.Duration
	// MaxTTL ends every session after that long at the latest. Default 0: no such bound.
	MaxTTL time.Duration
	// Retention is how long a deleted token stays dead. Default 1 h.
	Retention time.Duration
	// SharedUsers makes sessions that Get returns share their User with whoever else gets the same, as WithSharedUsers does. Default no.
	SharedUsers bool
	// CacheExpiry makes Load judge the CacheExpiry of sessions, as WithCacheExpiry does. Default no.
	CacheExpiry bool
}

// InMemory is the SessionCache of a service with a single instance: the sessions are known to this process only. What is
// over the bounds is evicted, sessions that have not been read for long first; what has expired is freed by itself.
// It has no goroutine and nothing to close. Its methods are safe for concurrent use and ignore their context, but for Load.
//
// It keeps its own books rather than a general cache library's: a Set and the record of deleted tokens change together, a
// session that was acknowledged is there to be read, and both bounds hold at every moment.
type InMemory struct {
	cfg     InMemoryConfig
	flights flights[CachedSession]

	items   *sieve[*held]    // its lock guards everything below
	byUser  map[string]*held // one of each user's sessions, the others linked to it
	ends    ends
	dead    deadTokens
	loading map[string]map[*pending]struct{}
	timer   *time.Timer
	wake    time.Time // when the timer fires; zero: it is not running
}

// held is a session kept. It is not changed once it is stored, but for its places in the indexes.
type held struct {
	session CachedSession
	expires time.Time
	index   int // in ends

	next, prev *held // of the same user
}

func (h *held) key() string { return h.session.Token }

// userIndex is what the session of a user takes in the index of users.
const userIndex = 80

// over tells whether the session has ended. The monotonic clock stands still while the machine is suspended, so that of the wall
// counts too: whichever is ahead.
func (h *held) over(now time.Time) bool {
	return !now.Before(h.expires) || !now.Round(0).Before(h.expires)
}

// pending is a load under way. It is overtaken by whatever happens to its token.
type pending struct{ overtaken bool }

// NewInMemory returns an empty cache.
func NewInMemory(cfg InMemoryConfig) *InMemory {
	setDefault(&cfg.MaxEntries, 100_000)
	setDefault(&cfg.MaxBytes, 64<<20)
	setDefault(&cfg.MaxSessionBytes, 1<<20)
	setDefault(&cfg.DefaultTTL, 24*time.Hour)
	setDefault(&cfg.Retention, time.Hour)
	cfg.MaxSessionBytes = int(min(int64(cfg.MaxSessionBytes), cfg.MaxBytes/2))
	c := &InMemory{
		cfg:     cfg,
		byUser:  map[string]*held{},
		dead:    newDeadTokens(cfg.MaxBytes / 4),
		loading: map[string]map[*pending]struct{}{},
	}
	c.items = newSieve(cfg.MaxEntries, cfg.MaxBytes, c.unlist)
	return c
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Set stores a copy of the session. See SessionCache for its errors.
func (c *InMemory) Set(_ context.Context, session CachedSession) error {
	return wrap("session cache: set", c.set(session, nil))
}

// set stores the session; with a fill only if nothing has overtaken it.
func (c *InMemory) set(session CachedSession, fill *pending) error {
	if err := session.Validate(); err != nil {
		return err
	}
	h := &held{session: session.Clone()}
	h.session.own()
	weight := h.session.weight()
	if h.session.UserID() != "" {
		weight += userIndex
	}
	tooLarge := len(session.Token) > maxKey || weight > c.cfg.MaxSessionBytes
	now := time.Now()
	h.expires = c.end(session, now)

	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	c.sweep(now)
	if c.dead.has(h.session.Token) {
		return ErrRevoked
	}
	if tooLarge {
		return ErrTooLarge
	}
	if fill != nil && fill.overtaken {
		return errOvertaken
	}
	c.takeOut(h.session.Token)
	if !h.expires.After(now) {
		return nil
	}
	c.list(h)
	c.items.putLocked(h, int64(weight))
	c.arm(now)
	return nil
}

// end is when the session is dropped, on the monotonic clock.
func (c *InMemory) end(session CachedSession, now time.Time) time.Time {
	ttl := c.cfg.DefaultTTL
	if !session.Expires.IsZero() {
		ttl = session.Expires.Sub(now)
	}
	if c.cfg.MaxTTL > 0 {
		ttl = min(ttl, c.cfg.MaxTTL)
	}
	return now.Add(ttl)
}

// Get returns a copy of the session of a token, but for its User with SharedUsers. Its error is always nil.
func (c *InMemory) Get(_ context.Context, token string) (session CachedSession, found bool, _ error) {
	h, ok := c.items.get(token)
	if !ok || h.over(time.Now()) {
		return session, false, nil
	}
	session = h.session
	if !c.cfg.SharedUsers {
		session.User = session.User.clone()
	}
	return session, true, nil
}

// Delete removes the session for good: for Retention, a Set of the token fails with ErrRevoked. Its error is always nil.
func (c *InMemory) Delete(_ context.Context, token string) error {
	if token == "" || len(token) > maxKey {
		return nil // no such token can be stored
	}
	now := time.Now()
	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	c.sweep(now)
	c.takeOut(token)
	c.dead.add(token, now.Add(c.cfg.Retention))
	c.items.maxWeight = c.cfg.MaxBytes - c.dead.bytes
	c.items.shrinkLocked(nil)
	c.arm(now)
	return nil
}

// Clear removes every session. Deleted tokens stay dead. Its error is always nil.
func (c *InMemory) Clear(context.Context) error {
	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	c.items.clearLocked()
	clear(c.byUser)
	c.ends = nil
	c.overtakeAll()
	return nil
}

// RevokeUser removes every session of one user, and voids loads under way. See UserRevoker. An empty userID is ErrInvalid.
func (c *InMemory) RevokeUser(_ context.Context, userID string) error {
	if userID == "" {
		return fmt.Errorf("session cache: revoke user: %w: empty user id", ErrInvalid)
	}
	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	for h := c.byUser[userID]; h != nil; h = c.byUser[userID] {
		c.takeOut(h.session.Token)
	}
	c.overtakeAll() // whose session is being loaded is not known yet
	return nil
}

// Len counts the sessions, those that have expired and have not been freed yet among them.
func (c *InMemory) Len() int {
	c.items.mu.RLock()
	defer c.items.mu.RUnlock()
	return len(c.items.items)
}

// takeOut removes a token's session and overtakes its loads.
func (c *InMemory) takeOut(token string) {
	for p := range c.loading[token] {
		p.overtaken = true
	}
	if h, ok := c.items.removeLocked(token); ok {
		c.unlist(h)
	}
}

func (c *InMemory) overtakeAll() {
	for _, pendings := range c.loading {
		for p := range pendings {
			p.overtaken = true
		}
	}
}

func (c *InMemory) list(h *held) {
	c.ends.add(h)
	if user := h.session.UserID(); user != "" {
		// The first stays the first: its text is the key of the map.
		if first := c.byUser[user]; first == nil {
			c.byUser[user] = h
		} else {
			h.next, h.prev = first.next, first
			if h.next != nil {
				h.next.prev = h
			}
			first.next = h
		}
	}
}

func (c *InMemory) unlist(h *held) {
	c.ends.remove(h)
	if user := h.session.UserID(); user != "" {
		switch {
		case h.prev != nil:
			h.prev.next = h.next
		case h.next != nil:
			delete(c.byUser, user) // with its key, which is a text of h
			c.byUser[h.next.session.UserID()] = h.next
		default:
			delete(c.byUser, user)
		}
		if h.next != nil {
			h.next.prev = h.prev
		}
	}
}

// sweep frees what has expired.
func (c *InMemory) sweep(now time.Time) {
	for len(c.ends) > 0 && !c.ends[0].expires.After(now) {
		h := c.ends[0]
		c.items.removeLocked(h.session.Token)
		c.unlist(h)
	}
	c.dead.sweep(now)
	c.items.maxWeight = c.cfg.MaxBytes - c.dead.bytes
}

// arm sees to it that the next expiry is swept, at most once a second. The timer does not keep the cache alive.
func (c *InMemory) arm(now time.Time) {
	next, ok := c.dead.next()
	if len(c.ends) > 0 && (!ok || c.ends[0].expires.Before(next)) {
		next, ok = c.ends[0].expires, true
	}
	if !ok {
		return
	}
	if soonest := now.Add(time.Second); next.Before(soonest) {
		next = soonest
	}
	if !c.wake.IsZero() && !next.Before(c.wake) {
		return
	}
	c.wake = next
	if c.timer != nil {
		c.timer.Reset(next.Sub(now))
		return
	}
	self := weak.Make(c)
	c.timer = time.AfterFunc(next.Sub(now), func() {
		if c := self.Value(); c != nil {
			c.tick()
		}
	})
}

func (c *InMemory) tick() {
	now := time.Now()
	c.items.mu.Lock()
	defer c.items.mu.Unlock()
	c.wake = time.Time{}
	c.sweep(now)
	c.arm(now)
}

var (
	_ SessionCache = (*InMemory)(nil)
	_ UserRevoker  = (*InMemory)(nil)
	_ Loader       = (*InMemory)(nil)
)
