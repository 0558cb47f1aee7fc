package strategy

import (
	"context"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// FiberStorage is a storage for github.com/gofiber/fiber, version 2 or 3: it has the methods of its Storage. When the
// cluster cannot tell, operations wait and then fail with node.ErrUnsure.
type FiberStorage struct{ store }

// NewFiberStorage returns a storage on n, which must not be nil. The prefix is "fiber:" unless opts say otherwise. A
// deleted key may be set again, as Fiber's middleware for caching and limiting does; for one that keeps nothing but
// sessions, use WithRevokingDelete(true).
func NewFiberStorage(n *node.Node, opts ...StoreOption) *FiberStorage {
	return newFiberStorage(nodeBackend{n}, opts...)
}

func newFiberStorage(back backend, opts ...StoreOption) *FiberStorage {
	return &FiberStorage{newStore(back, storeConfig{prefix: "fiber:"}, opts)}
}

// Get is GetWithContext without a context.
func (s *FiberStorage) Get(key string) ([]byte, error) {
	return s.GetWithContext(context.Background(), key)
}

// GetWithContext returns the value of key. Absent is (nil, nil); not known is node.ErrUnsure.
func (s *FiberStorage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.find(ctx, "get", key)
	return value, err
}

// Set is SetWithContext without a context.
func (s *FiberStorage) Set(key string, value []byte, exp time.Duration) error {
	return s.SetWithContext(context.Background(), key, value, exp)
}

// SetWithContext stores a copy of value for exp; 0 is without end. An empty key or value is ignored, as Fiber wants it.
// A negative exp removes the key.
func (s *FiberStorage) SetWithContext(ctx context.Context, key string, value []byte, exp time.Duration) error {
	switch {
	case key == "" || len(value) == 0:
		return nil
	case exp < 0:
		return s.remove(ctx, "set", key, false)
	}
	return s.commit(ctx, "set", key, value, write{ttl: exp, noEnd: exp == 0})
}

// Delete is DeleteWithContext without a context.
func (s *FiberStorage) Delete(key string) error {
	return s.DeleteWithContext(context.Background(), key)
}

// DeleteWithContext removes key on every replica. An absent key is no error.
func (s *FiberStorage) DeleteWithContext(ctx context.Context, key string) error {
	return s.remove(ctx, "delete", key, s.cfg.revoke)
}

// Reset is ResetWithContext without a context.
func (s *FiberStorage) Reset() error { return s.ResetWithContext(context.Background()) }

// ResetWithContext clears the whole cluster, whatever else is kept in it.
func (s *FiberStorage) ResetWithContext(ctx context.Context) error {
	return s.attempt(ctx, "reset", s.back.Clear)
}

// Close does nothing: the node is the caller's to close.
func (s *FiberStorage) Close() error { return nil }
