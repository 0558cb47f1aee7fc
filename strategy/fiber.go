package strategy

import (
	"context"
	"fmt"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// FiberStorage keeps the sessions of github.com/gofiber/fiber in the cluster. It meets the Storage interface of Fiber v2
// and v3 without importing it:
//
//	app.Use(recover.New()) // Fiber's session middleware panics with the error of a storage
//	app.Use(session.New(session.Config{Storage: strategy.NewFiberStorage(n)}))
//
// It is a store of record, as SCSStore is: a read that cannot be certain in time fails with ErrUnsure. For Fiber's limiter,
// CSRF and cache middleware, which set a key again after they deleted it or it has expired, use one of its own, with
// WithReusableKeys and another prefix.
//
// Its methods are safe for concurrent use.
type FiberStorage struct{ certain }

// NewFiberStorage returns the storage of a running node. The node must not be nil.
func NewFiberStorage(n *node.Node, opts ...StoreOption) *FiberStorage {
	return newFiberStorage(onNode{n}, opts...)
}

func newFiberStorage(on backend, opts ...StoreOption) *FiberStorage {
	return &FiberStorage{newCertain(on, "fiber:", opts)}
}

// GetWithContext returns the value of a key, and nil, nil if it is certainly absent. Else it fails with ErrUnsure.
func (f *FiberStorage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	value, found, err := f.read(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("session storage: get: %w", err)
	}
	if !found {
		return nil, nil
	}
	return value, nil
}

// SetWithContext stores a copy of value for exp; 0 is without end. An empty key or value is ignored, as Fiber wants it. A
// negative exp removes the key. It fails with ErrRevoked for a key that was deleted within the retention, and for one that was
// found here before and has been ended since, by RevokeUser or by its time.
func (f *FiberStorage) SetWithContext(ctx context.Context, key string, value []byte, exp time.Duration) error {
	if key == "" || len(value) == 0 {
		return nil
	}
	if exp < 0 {
		return wrap("session storage: set", f.remove(ctx, key, false))
	}
	return wrap("session storage: set", f.save(ctx, key, value, exp))
}

// DeleteWithContext removes a key, for good unless WithReusableKeys was given. An absent one is no error.
func (f *FiberStorage) DeleteWithContext(ctx context.Context, key string) error {
	return wrap("session storage: delete", f.remove(ctx, key, !f.reusable))
}

// ResetWithContext removes everything that was written through a storage of this prefix, on every replica.
func (f *FiberStorage) ResetWithContext(ctx context.Context) error {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	return wrap("session storage: reset", f.on.InvalidateTags(ctx, f.scope))
}

// RevokeUser ends every session that one user has in this store, on every replica, also those whose requests are under way; the
// user may log in anew at once. It needs WithUserOf and fails with ErrInvalid without it. To end the user's sessions in all stores
// and caches of the cluster, invalidate UserTag. What SCSStore.RevokeUser says of new tokens holds for Regenerate of Fiber's sessions.
func (f *FiberStorage) RevokeUser(ctx context.Context, userID string) error {
	return wrap("session storage: revoke user", f.revokeUser(ctx, userID))
}

// Get is GetWithContext with a deadline of WithStoreWait.
func (f *FiberStorage) Get(key string) ([]byte, error) {
	return f.GetWithContext(context.Background(), key)
}

// Set is SetWithContext with a deadline of WithStoreWait.
func (f *FiberStorage) Set(key string, value []byte, exp time.Duration) error {
	return f.SetWithContext(context.Background(), key, value, exp)
}

// Delete is DeleteWithContext with a deadline of WithStoreWait.
func (f *FiberStorage) Delete(key string) error {
	return f.DeleteWithContext(context.Background(), key)
}

// Reset is ResetWithContext with a deadline of WithStoreWait.
func (f *FiberStorage) Reset() error { return f.ResetWithContext(context.Background()) }

// Close does nothing: the node belongs to who started it.
func (f *FiberStorage) Close() error { return nil }
