package strategy

import (
	"context"
	"fmt"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// SCSStore keeps the sessions of github.com/alexedwards/scs/v2 in the cluster. It is an scs.CtxStore, an
// scs.IterableStore and an scs.IterableCtxStore, without importing scs:
//
//	sessions := scs.New()
//	sessions.Store = strategy.NewSCSStore(n)
//
// It is the store of record: a read waits for certainty within the context's deadline (WithStoreWait without one), and
// then fails with ErrUnsure, which scs hands to its ErrorFunc; a session is reported as not found only when it certainly is
// not there. A deleted token stays dead: the Commit of a request that was still under way fails with ErrRevoked.
//
// Its methods are safe for concurrent use. It has nothing to close; the node belongs to the caller.
type SCSStore struct{ certain }

// NewSCSStore returns the store of a running node. The node must not be nil.
func NewSCSStore(n *node.Node, opts ...StoreOption) *SCSStore { return newSCSStore(onNode{n}, opts...) }

func newSCSStore(on backend, opts ...StoreOption) *SCSStore {
	return &SCSStore{newCertain(on, "scs:", opts)}
}

// FindCtx returns the data of a token. A token that is absent, expired, empty or too long is not found.
func (s *SCSStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, found, err = s.read(ctx, token)
	if err != nil {
		return nil, false, fmt.Errorf("session store: find: %w", err)
	}
	return data, found, nil
}

// CommitCtx stores the data of a token until expiry. If that has passed, it removes the token. It fails with ErrRevoked
// when the session was ended while the request was under way; the response must then not go out as if it were logged in.
func (s *SCSStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	ttl := time.Until(expiry)
	if ttl <= 0 {
		return wrap("session store: commit", s.remove(ctx, token, false))
	}
	return wrap("session store: commit", s.save(ctx, token, data, ttl))
}

// DeleteCtx removes a token for good. An absent one is no error. When ctx ends first it returns ErrUnconfirmed and the
// deletion goes on by itself (see node.ErrUnconfirmed).
func (s *SCSStore) DeleteCtx(ctx context.Context, token string) error {
	return wrap("session store: delete", s.remove(ctx, token, !s.reusable))
}

// AllCtx returns the data of all tokens in the cluster. It asks for each by itself: meant for maintenance, not for requests.
// A session that is written or deleted meanwhile may be in the answer or not. Where tokens are hashed (node.Config.HashTokens) nobody can
// list them, and it fails with node.ErrHashed.
func (s *SCSStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all, err := s.all(ctx)
	return all, wrap("session store: all", err)
}

// RevokeUser ends every session that one user has in this store, on every replica, also those whose requests are under way; the
// user may log in anew at once. It needs WithUserOf and fails with ErrInvalid without it. To end the user's sessions in all stores
// and caches of the cluster, invalidate UserTag.
//
// A request under way that gives its session another token, by RenewToken of scs, carries the values over, and this is not noticed: to the store it looks
// as a log-in does. So renew tokens where the user has just been authenticated, and nowhere else.
func (s *SCSStore) RevokeUser(ctx context.Context, userID string) error {
	return wrap("session store: revoke user", s.revokeUser(ctx, userID))
}

// Find is FindCtx with a deadline of WithStoreWait.
func (s *SCSStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx with a deadline of WithStoreWait.
func (s *SCSStore) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx with a deadline of WithStoreWait.
func (s *SCSStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// All is AllCtx with a deadline of WithStoreWait.
func (s *SCSStore) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }
