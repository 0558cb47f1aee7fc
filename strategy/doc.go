// Package strategy caches sessions: in one process (InMemory) or shared by every replica of a service (PeerToPeer).
//
// Both are a SessionCache, the Go form of Vendure's SessionCacheStrategy: a cache in front of a database, for which a
// miss is always safe and a stale hit never is. SCSStore and FiberStorage are something else: they let a session
// library use the cluster as its store of record, so they never call a session absent that they are not sure about.
package strategy

import (
	"context"

	"github.com/huddle-cache/huddle/node"
)

// Errors that callers test for with errors.Is; they are those of package node.
var (
	// ErrRevoked: the session was deleted a short while ago and a late Set tried to bring it back. Nothing was stored.
	ErrRevoked = node.ErrRevoked
	// ErrInvalid: the argument is not usable, for example a session without a token.
	ErrInvalid = node.ErrInvalid
	// ErrTooLarge: the session is over the size limit. Nothing was stored.
	ErrTooLarge = node.ErrTooLarge
)

// SessionCache keeps sessions by their token. Implementations are safe for concurrent use.
type SessionCache interface {
	// Set stores session under session.Token until session.Expires, in place of an older one. It fails with ErrRevoked
	// when the token was deleted recently. A session that has ended already is not stored, and an older one removed.
	Set(ctx context.Context, session CachedSession) error
	// Get returns the session of token. A miss is no error. The caller may modify what is returned.
	Get(ctx context.Context, token string) (session CachedSession, found bool, err error)
	// Delete removes the session for good: a Set of the same token that comes later fails with ErrRevoked for a while
	// (an hour by default). An absent session is no error.
	Delete(ctx context.Context, token string) error
	// Clear removes every session. Their tokens may be set again.
	Clear(ctx context.Context) error
}
