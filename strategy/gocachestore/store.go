// Package gocachestore makes a node a store of github.com/eko/gocache, shared by all replicas of a service:
//
//	users := cache.New[[]byte](gocachestore.New[[]byte](n, "users:", store.WithExpiration(time.Hour)))
package gocachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eko/gocache/lib/v4/store"

	"github.com/huddle-cache/huddle/node"
)

// Type is what GetType returns.
const Type = "huddle"

// readWait bounds a read whose context has no deadline: this is a cache, and what stands behind it can be asked instead.
const readWait = 250 * time.Millisecond

// Store is a store.StoreInterface. Once Set, Delete, Invalidate or Clear has returned nil, no replica returns an older value.
//
// V is what it returns, as cache.Cache[V] wants it: string or []byte. It takes either. Other types go through gocache's
// marshaler, on a Store[[]byte].
//
// Get fails with store.NotFound only for what is certainly absent. What cannot be told just now, after a crash or a cut,
// fails with node.ErrUnsure: to gocache's own caches every error is a miss. A read waits for the caller's deadline, 250 ms
// without one.
//
// A cache.LoadableCache stores what it loaded without looking whether it was deleted meanwhile; gocache has no means for
// that. Where it matters, as for sessions and permissions, use the Load of strategy.Typed.
//
// Its methods are safe for concurrent use. It has nothing to close; the node belongs to the caller.
type Store[V string | []byte] struct {
	node    *node.Node
	prefix  string
	scope   string // the tag of all entries of this store
	options store.Options
}

// New returns the store of a running node, which must not be nil. Stores that share a cluster must differ in prefix, which
// stands before the keys and tags, and none may begin with another's. The options are the defaults of Set; an Expiration of 0 is the node's DefaultTTL.
func New[V string | []byte](n *node.Node, prefix string, defaults ...store.Option) *Store[V] {
	return &Store[V]{node: n, prefix: prefix, scope: "in:" + prefix, options: *store.ApplyOptions(defaults...)}
}

func (s *Store[V]) key(key any) (string, error) {
	text, ok := key.(string)
	if !ok {
		return "", fmt.Errorf("cache store: %w: a key of type %T; it must be a string", node.ErrInvalid, key)
	}
	return s.prefix + text, nil
}

// Get returns the value of key, the caller's own.
func (s *Store[V]) Get(ctx context.Context, key any) (any, error) {
	value, _, err := s.GetWithTTL(ctx, key)
	return value, err
}

// GetWithTTL is Get with the time that remains; 0 is without end.
func (s *Store[V]) GetWithTTL(ctx context.Context, key any) (any, time.Duration, error) {
	k, err := s.key(key)
	if err != nil {
		return nil, 0, err
	}
	e, found, ok := s.node.Peek(k)
	if !ok {
		if _, bounded := ctx.Deadline(); !bounded {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, readWait)
			defer cancel()
		}
		e, found, err = s.node.Lookup(ctx, k)
	}
	switch {
	case errors.Is(err, node.ErrInvalid), errors.Is(err, node.ErrTooLarge): // there can be no such entry
		return nil, 0, store.NotFoundWithCause(err)
	case err != nil:
		return nil, 0, fmt.Errorf("cache store: get: %w", err)
	case !found:
		return nil, 0, store.NotFoundWithCause(errAbsent)
	}
	return V(bytes.Clone(e.Value)), e.TTL, nil
}

var errAbsent = errors.New("cache store: no such key")

// Set stores a copy of a string or []byte. Of the options it knows Expiration and Tags (63 at most); the others ask for
// nothing that is not so here. Errors: node.ErrInvalid, ErrTooLarge, ErrUnavailable, ErrUnconfirmed.
func (s *Store[V]) Set(ctx context.Context, key, value any, options ...store.Option) error {
	k, err := s.key(key)
	if err != nil {
		return err
	}
	var data []byte
	switch v := value.(type) {
	case []byte:
		data = v
	case string:
		data = []byte(v)
	default:
		return fmt.Errorf("cache store: %w: a value of type %T; it must be a string or []byte, see gocache's marshaler", node.ErrInvalid, value)
	}
	o := store.ApplyOptionsWithDefault(&s.options, options...)
	how := []node.SetOption{node.WithTags(s.scope)}
	if o.Expiration != 0 {
		how = append(how, node.WithTTL(o.Expiration))
	}
	for _, tag := range o.Tags {
		how = append(how, node.WithTags(s.tag(tag)))
	}
	if err := s.node.Set(ctx, k, data, how...); err != nil {
		return fmt.Errorf("cache store: %w", err)
	}
	return nil
}

// Delete removes key on every replica. An absent one is no error. When ctx ends first it returns node.ErrUnconfirmed, and the
// deletion goes on by itself.
func (s *Store[V]) Delete(ctx context.Context, key any) error {
	k, err := s.key(key)
	if err != nil {
		return err
	}
	if err := s.node.Delete(ctx, k); err != nil && !errors.Is(err, node.ErrInvalid) && !errors.Is(err, node.ErrTooLarge) {
		return fmt.Errorf("cache store: %w", err)
	}
	return nil
}

// Invalidate removes every entry that has one of the tags (64 at most), on every replica.
func (s *Store[V]) Invalidate(ctx context.Context, options ...store.InvalidateOption) error {
	var tags []string
	for _, tag := range store.ApplyInvalidateOptions(options...).Tags {
		tags = append(tags, s.tag(tag))
	}
	if err := s.node.InvalidateTags(ctx, tags...); err != nil {
		return fmt.Errorf("cache store: %w", err)
	}
	return nil
}

// Clear removes everything that was set through a store of this prefix, and nothing else.
func (s *Store[V]) Clear(ctx context.Context) error {
	if err := s.node.InvalidateTags(ctx, s.scope); err != nil {
		return fmt.Errorf("cache store: clear: %w", err)
	}
	return nil
}

// GetType returns Type.
func (s *Store[V]) GetType() string { return Type }

func (s *Store[V]) tag(tag string) string { return s.scope + "/" + tag }

var _ store.StoreInterface = (*Store[string])(nil)
