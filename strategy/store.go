package strategy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// DefaultStoreTimeout is how long a store of record waits for certainty.
const DefaultStoreTimeout = 5 * time.Second

// Waits between two attempts of a store of record.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 200 * time.Millisecond
)

type storeConfig struct {
	prefix  string
	timeout time.Duration
	revoke  bool
}

// StoreOption changes an SCSStore or a FiberStorage.
type StoreOption func(*storeConfig)

// WithStorePrefix puts prefix before the key in the keys of the cluster.
func WithStorePrefix(prefix string) StoreOption { return func(c *storeConfig) { c.prefix = prefix } }

// WithStoreTimeout bounds how long an operation waits for certainty, within the caller's context. Default
// DefaultStoreTimeout, also when d is not positive.
func WithStoreTimeout(d time.Duration) StoreOption { return func(c *storeConfig) { c.timeout = d } }

// WithRevokingDelete says whether a deleted key stays dead for the node's Retention, so that a slow request that saves
// its session after the log-out gets ErrRevoked.
func WithRevokingDelete(on bool) StoreOption { return func(c *storeConfig) { c.revoke = on } }

// store is a store of record on a backend: it never says absent when it is not sure.
type store struct {
	back backend
	cfg  storeConfig
}

func newStore(back backend, cfg storeConfig, opts []StoreOption) store {
	for _, opt := range opts {
		opt(&cfg)
	}
	if cfg.timeout <= 0 {
		cfg.timeout = DefaultStoreTimeout
	}
	return store{back: back, cfg: cfg}
}

// key returns the key of the cluster. It shares no memory with name, which some callers use again.
func (s store) key(name string) string { return strings.Clone(s.cfg.prefix + name) }

// attempt calls do until it does not fail for want of certainty, the timeout is over or ctx ends.
func (s store) attempt(ctx context.Context, op string, do func(context.Context) error) error {
	wait, cancel := context.WithTimeout(ctx, s.cfg.timeout)
	defer cancel()
	pause := firstRetry
	for {
		err := do(wait)
		if err == nil {
			return nil
		}
		if passing(err) && wait.Err() == nil {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
				pause = min(2*pause, lastRetry)
				continue
			case <-wait.Done():
				timer.Stop()
			}
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			err = ctx.Err()
		}
		return fmt.Errorf("strategy: %s: %w", op, err)
	}
}

// passing tells whether err may not be there the next time. Nothing was written then.
func passing(err error) bool {
	return errors.Is(err, node.ErrUnsure) || errors.Is(err, node.ErrUnavailable) || errors.Is(err, node.ErrOverload)
}

// find reads name. Nothing but certain absence is ok false with a nil error.
func (s store) find(ctx context.Context, op, name string) (value []byte, ok bool, err error) {
	if badName(name) {
		return nil, false, nil // nothing can be kept under it
	}
	key := s.key(name)
	err = s.attempt(ctx, op, func(ctx context.Context) error {
		e, found, err := s.back.Lookup(ctx, key)
		if err == nil {
			value, ok = append([]byte{}, e.Value...), found
			return nil
		}
		lacksCertainty := errors.Is(err, node.ErrUnavailable) || errors.Is(err, node.ErrOverload) || errors.Is(err, context.DeadlineExceeded)
		if lacksCertainty && !errors.Is(err, node.ErrUnsure) {
			err = fmt.Errorf("%w: %w", node.ErrUnsure, err)
		}
		return err
	})
	if err != nil || !ok {
		return nil, false, err
	}
	return value, true, nil
}

// commit writes a copy of value.
func (s store) commit(ctx context.Context, op, name string, value []byte, w write) error {
	key, value := s.key(name), append([]byte{}, value...)
	return s.attempt(ctx, op, func(ctx context.Context) error { return s.back.write(ctx, key, value, w) })
}

func (s store) remove(ctx context.Context, op, name string, revoke bool) error {
	if badName(name) {
		return nil
	}
	key := s.key(name)
	return s.attempt(ctx, op, func(ctx context.Context) error { return s.back.remove(ctx, key, revoke) })
}

// maxNameBytes leaves room for a prefix within the bound of a node's key.
const maxNameBytes = 896

func badName(name string) bool { return name == "" || len(name) > maxNameBytes }
