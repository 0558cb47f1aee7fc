package admin

import (
	"context"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// SetArgs says how an entry is written. The zero SetArgs gives it the node's default TTL and no tags.
type SetArgs struct {
	TTL   time.Duration // 0: the default
	NoTTL bool          // no end at all
	Tags  []string
	If    Condition
}

// Condition is what must be so for a write to happen; else it fails with ErrCondition. The zero Condition always is.
type Condition struct {
	Absent, Present bool
	Version         uint64 // of the present entry; 0: any
}

// Backend is the node that is administered. Its methods are safe for concurrent use and return the errors of package node.
type Backend interface {
	Name() string
	Addr() string
	InSync() bool
	Stats() node.Stats
	Members() []node.Member
	Locate(key string) node.Placement
	Subscribe(buffer int) (events <-chan node.Event, cancel func())

	Lookup(ctx context.Context, key string) (node.Entry, bool, error)
	Set(ctx context.Context, key string, value []byte, a SetArgs) error
	// Remove deletes key, for good if revoke, and tells whether it was there. ifVersion: only if it has that version; 0: any.
	Remove(ctx context.Context, key string, revoke bool, ifVersion uint64) (existed bool, err error)
	// Touch gives key a new TTL, 0 for no end, and tells whether it was there.
	Touch(ctx context.Context, key string, ttl time.Duration) (existed bool, err error)
	Clear(ctx context.Context) error
	Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error)
	Len(ctx context.Context) (int, error)
	// RevokeUser ends every session of a user on all nodes.
	RevokeUser(ctx context.Context, userID string) error
	// InvalidateTags removes, on all nodes, every entry that has one of the tags.
	InvalidateTags(ctx context.Context, tags ...string) error
	Forget(ctx context.Context, name string) error
}
