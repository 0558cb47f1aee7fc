package strategy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// StoreOption changes an SCSStore or a FiberStorage.
type StoreOption func(*storeOptions)

type storeOptions struct {
	prefix   string
	wait     time.Duration
	reusable bool
	userOf   func([]byte) string
}

// WithStorePrefix sets what stands before the token in the cluster's keys. Default "scs:" or "fiber:". Stores that share a
// cluster must differ in it, and none may begin with another's, or a token of one can be a key of the other.
// A store finds only what a store of its prefix has written. A key is 1 KiB at most, prefix included.
func WithStorePrefix(prefix string) StoreOption { return func(o *storeOptions) { o.prefix = prefix } }

// WithStoreWait bounds an operation whose context has no deadline. Default 5 s, which outlasts the crash of a peer.
func WithStoreWait(d time.Duration) StoreOption {
	return func(o *storeOptions) {
		if d > 0 {
			o.wait = d
		}
	}
}

// WithReusableKeys lets a key be set again after it was deleted or revoked: for stores that hold more than sessions (rate limits,
// cached pages). Default: a deleted key stays dead for the node's Retention, and a key that was found here
// is saved only while it is still there, so that the slow request that saves its session after the log-out fails with
// ErrRevoked.
func WithReusableKeys() StoreOption { return func(o *storeOptions) { o.reusable = true } }

// WithUserOf tells the store whose session the data is, "" for nobody's, so that RevokeUser finds it, and what ends the user's
// sessions in all stores and caches: see UserTag. The ID is UTF-8 and at most 1015 bytes, less the prefix of the store; with a longer one the
// write fails with ErrTooLarge. userOf is called for each write, from any goroutine, and must not keep or change the data.
func WithUserOf(userOf func(data []byte) string) StoreOption {
	return func(o *storeOptions) { o.userOf = userOf }
}

// certain reads and writes for a store of record: never is "not sure" taken for "absent".
type certain struct {
	storeOptions
	on    backend
	scope string // the tag of all entries of this store
	// seen holds the tokens found here a short while ago. What is saved under one of them must still be there: else the
	// session was ended meanwhile, by RevokeUser or by its time, and the request that was under way must not bring it back.
	seen *recent
}

// seenTokens and seenBytes bound the tokens that a store knows to have been found: that many requests at a time, and more.
const (
	seenTokens = 1 << 16
	seenBytes  = 16 << 20
)

func newCertain(on backend, prefix string, opts []StoreOption) certain {
	c := certain{storeOptions: storeOptions{prefix: prefix, wait: 5 * time.Second}, on: on}
	for _, opt := range opts {
		if opt != nil {
			opt(&c.storeOptions)
		}
	}
	c.scope = "in:" + c.prefix
	if !c.reusable {
		c.seen = newRecent(seenTokens, seenBytes)
	}
	return c
}

func (c *certain) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.wait)
}

// lookup asks until it is sure or the time is up, and then fails with ErrUnsure.
func (c *certain) lookup(ctx context.Context, key string) (e node.Entry, found bool, err error) {
	err = c.insist(ctx, func(ctx context.Context) error {
		e, found, err = c.on.Lookup(ctx, key)
		return err
	})
	return e, found, err
}

// insist repeats a read while it is unsure.
func (c *certain) insist(ctx context.Context, read func(context.Context) error) error {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := read(ctx)
		switch {
		case err == nil, errors.Is(err, ErrTooLarge), errors.Is(err, ErrInvalid), errors.Is(err, node.ErrClosed), errors.Is(err, node.ErrHashed):
			return err // it will not change
		case ctx.Err() != nil:
			return unsure(err, ctx.Err())
		}
		if !sleep(ctx, pause) {
			return unsure(err, ctx.Err())
		}
	}
}

// sleep pauses for d and tells whether ctx still runs.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func unsure(err, over error) error {
	if errors.Is(err, ErrUnsure) {
		return fmt.Errorf("%w: %w", err, over)
	}
	return fmt.Errorf("%w: %w: %w", ErrUnsure, err, over)
}

// read returns the data of a token, the caller's own. A token that no entry can have is absent.
func (c *certain) read(ctx context.Context, token string) ([]byte, bool, error) {
	key, err := keyOf(c.prefix, token)
	if err != nil {
		return nil, false, nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	e, found, err := c.lookup(ctx, key)
	if err != nil || !found || !c.wrote(e) {
		return nil, false, err
	}
	c.saw(token)
	data := bytes.Clone(e.Value)
	if data == nil {
		data = []byte{}
	}
	return data, true, nil
}

// wrote tells whether the entry is of this store, and not of one whose prefix begins with this one's: "admin:T" is no token here because T is one there.
func (c *certain) wrote(e node.Entry) bool { return slices.Contains(e.Tags, c.scope) }

// saw notes that a token is there.
func (c *certain) saw(token string) {
	if c.seen != nil {
		c.seen.note(token)
	}
}

// save stores a copy of data, which the web server may reuse. ttl 0 is without end. It fails with ErrRevoked if the token
// was found before and has been ended meanwhile.
func (c *certain) save(ctx context.Context, token string, data []byte, ttl time.Duration) error {
	key, err := keyOf(c.prefix, token)
	if err != nil {
		return err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	err = c.write(ctx, key, data, ttl, c.seen != nil && c.seen.has(token))
	switch {
	case err == nil:
		c.saw(token)
	case errors.Is(err, node.ErrCondition):
		c.endEvicted(ctx, key)
		err = fmt.Errorf("%w: the session was ended meanwhile", ErrRevoked)
	}
	return err
}

func (c *certain) write(ctx context.Context, key string, data []byte, ttl time.Duration, onlyPresent bool) error {
	tags := []string{c.scope}
	if c.userOf != nil {
		if user := c.userOf(data); user != "" {
			tags = append(tags, c.ownUserTag(user), UserTag(user))
		}
	}
	how := setParams{TTL: ttl, Endless: ttl == 0, Tags: tags, IfPresent: onlyPresent}
	return c.on.Set(ctx, key, data, how) // which copies the data
}

// endEvicted ends what copies still serve of a session that its owner has evicted: else it would be found again and again, by requests none of which
// can save it. An error leaves that to the next save.
func (c *certain) endEvicted(ctx context.Context, key string) {
	if _, found, ticket, err := c.on.LookupAtOwner(ctx, key); err == nil && !found {
		_ = c.on.DeleteAbsent(ctx, key, ticket)
	}
}

func (c *certain) remove(ctx context.Context, token string, revoke bool) error {
	key, err := keyOf(c.prefix, token)
	if err != nil {
		return nil // no such token can be stored
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	return c.on.Delete(ctx, key, revoke)
}

// revokeUser ends every session that a user has in this store.
func (c *certain) revokeUser(ctx context.Context, userID string) error {
	if c.userOf == nil || userID == "" {
		return fmt.Errorf("%w: no user id, or a store without WithUserOf", ErrInvalid)
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	return c.on.InvalidateTags(ctx, c.ownUserTag(userID))
}

// ownUserTag finds the sessions of a user in this store alone.
func (c *certain) ownUserTag(user string) string { return c.scope + "/" + UserTag(user) }

// all returns the data of every token of this store.
func (c *certain) all(ctx context.Context) (map[string][]byte, error) {
	const batch = 512
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	found := map[string][]byte{}
	for cursor := uint64(0); ; {
		var keys []string
		var next uint64
		err := c.insist(ctx, func(ctx context.Context) (err error) {
			keys, next, err = c.on.Scan(ctx, cursor, batch)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			token, ours := strings.CutPrefix(key, c.prefix)
			if !ours {
				continue
			}
			if _, seen := found[token]; seen {
				continue
			}
			e, ok, err := c.lookup(ctx, key)
			if err != nil {
				return nil, err
			}
			if ok && c.wrote(e) {
				found[token] = bytes.Clone(e.Value)
			}
		}
		if cursor = next; cursor == 0 {
			return found, nil
		}
	}
}
