package strategy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// scanPage is how many keys are asked for at a time.
const scanPage = 256

// SCSStore is a store for github.com/alexedwards/scs/v2: it has the methods of its Store, CtxStore, IterableStore and
// IterableCtxStore. When the cluster cannot tell, operations wait and then fail with node.ErrUnsure, so that nobody is
// logged out because a replica died.
type SCSStore struct{ store }

// NewSCSStore returns a store on n, which stays the caller's to close and must not be nil. The prefix is "scs:" and a
// deleted token stays dead, unless opts say otherwise.
func NewSCSStore(n *node.Node, opts ...StoreOption) *SCSStore {
	return newSCSStore(nodeBackend{n}, opts...)
}

func newSCSStore(back backend, opts ...StoreOption) *SCSStore {
	return &SCSStore{newStore(back, storeConfig{prefix: "scs:", revoke: true}, opts)}
}

// Find is FindCtx without a context.
func (s *SCSStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// FindCtx returns the data of token. Absent is (nil, false, nil); not known is node.ErrUnsure.
func (s *SCSStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return s.find(ctx, "find session", token)
}

// Commit is CommitCtx without a context.
func (s *SCSStore) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// CommitCtx stores data until expiry. It fails with ErrRevoked when the token was deleted recently.
func (s *SCSStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	ttl := time.Until(expiry)
	if ttl <= 0 {
		return s.remove(ctx, "commit session", token, false)
	}
	return s.commit(ctx, "commit session", token, data, write{ttl: ttl})
}

// Delete is DeleteCtx without a context.
func (s *SCSStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// DeleteCtx removes token on every replica. An absent token is no error.
func (s *SCSStore) DeleteCtx(ctx context.Context, token string) error {
	return s.remove(ctx, "delete session", token, s.cfg.revoke)
}

// All is AllCtx without a context.
func (s *SCSStore) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }

// AllCtx returns the data of every session of the cluster by its token. It holds them all in memory.
func (s *SCSStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := make(map[string][]byte)
	var cursor uint64
	for {
		var keys []string
		var next uint64
		err := s.attempt(ctx, "list sessions", func(ctx context.Context) error {
			var err error
			keys, next, err = s.back.Scan(ctx, cursor, scanPage)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			token, ours := strings.CutPrefix(key, s.cfg.prefix)
			if _, have := all[token]; !ours || have {
				continue
			}
			data, ok, err := s.find(ctx, "list sessions", token)
			if err != nil {
				return nil, err
			}
			if ok {
				all[token] = data
			}
		}
		if next == 0 {
			return all, nil
		}
		if next == cursor {
			return nil, fmt.Errorf("strategy: list sessions: %w", node.ErrUnsure)
		}
		cursor = next
	}
}
