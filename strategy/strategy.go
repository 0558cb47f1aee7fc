package strategy

import (
	"context"

	"github.com/huddle-cache/huddle/node"
)

// SessionCache keeps sessions by their token. Its methods are safe for concurrent use. No method keeps or changes what
// the caller passes in, and the caller may change what it gets back.
type SessionCache interface {
	// Set stores the session under its token, until session.Expires. A session that has already expired is removed
	// instead. It fails with ErrInvalid for a session that Validate refuses, with ErrTooLarge for one over the size limit, and
	// with ErrRevoked, without storing anything, for a token that was deleted within the retention.
	Set(ctx context.Context, session CachedSession) error

	// Get returns the session of a token. A miss is (CachedSession{}, false, nil), and so is an answer that could not be
	// had in time. Get does not judge CacheExpiry: the caller does, and loads the session afresh when it has passed.
	Get(ctx context.Context, token string) (session CachedSession, found bool, err error)

	// Delete removes a token for good: within the retention no Set brings it back. An absent token is no error.
	Delete(ctx context.Context, token string) error

	// Clear removes every session. Tokens that were deleted before stay dead.
	Clear(ctx context.Context) error
}

// UserRevoker is what both implementations offer beside SessionCache.
type UserRevoker interface {
	// RevokeUser removes every session of one user. Unlike Delete it does not refuse a later Set of these tokens: after a
	// change of role the sessions go on and are loaded afresh. To end a single session for good, Delete its token.
	RevokeUser(ctx context.Context, userID string) error
}

// Loader is what both implementations offer beside SessionCache.
type Loader interface {
	// Load returns the cached session, or calls load and stores what it returns. See PeerToPeer.Load.
	Load(ctx context.Context, token string, load LoadFunc) (CachedSession, error)
}

// LoadFunc reads a session from where it is kept for good, such as a database. An error, such as "no such session", is passed on
// and nothing is stored.
//
// Its context ends when nobody waits for the answer any more. The context's values are those of the caller who came first, even if
// he has gone and others still wait. So do not give Load a context that a web framework uses again for another request, as
// gin.Context and fiber.Ctx are.
type LoadFunc func(ctx context.Context) (CachedSession, error)

// Errors to test for with errors.Is. They are the ones of package node.
var (
	// ErrRevoked: the token was deleted within the retention. Nothing was stored.
	ErrRevoked = node.ErrRevoked
	// ErrUnsure: whether the session exists is not known just now. It is not "absent".
	ErrUnsure = node.ErrUnsure
	// ErrUnavailable: the majority of the cluster, or whoever owns the key, is out of reach. Nothing was written.
	ErrUnavailable = node.ErrUnavailable
	// ErrUnconfirmed: the write was not confirmed in time. It may still take effect; a Delete goes on by itself.
	ErrUnconfirmed = node.ErrUnconfirmed
	// ErrTooLarge: the token or the session is over its size limit.
	ErrTooLarge = node.ErrTooLarge
	// ErrInvalid: the session or an argument is not usable.
	ErrInvalid = node.ErrInvalid
)

// UserTag is the tag that all caches and stores of this package, those of gorilla/sessions and gin, and the Redis front give to the
// sessions of a user. Invalidating it with node.InvalidateTags ends every session of the user in all of them: so do "huddle
// revoke-user", and RevokeUser of PeerToPeer and Typed. What shares a cluster must mean the same user by an ID.
func UserTag(userID string) string { return "user:" + userID }
