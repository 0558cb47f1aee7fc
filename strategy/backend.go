package strategy

import (
	"context"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// backend is what this package needs of a node. Options are plain values here, so that tests can stand in for a node.
type backend interface {
	Peek(key string) (entry node.Entry, found, ok bool)
	Lookup(ctx context.Context, key string) (node.Entry, bool, error)
	LookupOrTicket(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error)
	LookupAtOwner(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error)
	Set(ctx context.Context, key string, value []byte, how setParams) error
	Delete(ctx context.Context, key string, revoke bool) error
	DeleteIfVersion(ctx context.Context, key string, version uint64) error
	DeleteAbsent(ctx context.Context, key string, ticket node.Ticket) error
	Clear(ctx context.Context) error
	InvalidateTags(ctx context.Context, tags ...string) error
	Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error)
}

// setParams says how to Set. The zero value is a plain Set with the node's default TTL.
type setParams struct {
	TTL       time.Duration // 0: the node's default, unless Endless
	Endless   bool
	Tags      []string
	IfAbsent  bool
	IfPresent bool
	Ticket    node.Ticket // used if Fill is true
	Fill      bool
}

// onNode is the backend that is a node.
type onNode struct{ *node.Node }

func (n onNode) Set(ctx context.Context, key string, value []byte, how setParams) error {
	opts := make([]node.SetOption, 0, 4)
	switch {
	case how.TTL > 0:
		opts = append(opts, node.WithTTL(how.TTL))
	case how.Endless:
		opts = append(opts, node.WithoutTTL())
	}
	if len(how.Tags) > 0 {
		opts = append(opts, node.WithTags(how.Tags...))
	}
	if how.IfAbsent {
		opts = append(opts, node.IfAbsent())
	}
	if how.IfPresent {
		opts = append(opts, node.IfPresent())
	}
	if how.Fill {
		opts = append(opts, node.WithTicket(how.Ticket))
	}
	return n.Node.Set(ctx, key, value, opts...)
}

func (n onNode) DeleteIfVersion(ctx context.Context, key string, version uint64) error {
	return n.Node.Delete(ctx, key, node.DeleteIfVersion(version))
}

func (n onNode) Delete(ctx context.Context, key string, revoke bool) error {
	if revoke {
		return n.Node.Delete(ctx, key, node.Revoke())
	}
	return n.Node.Delete(ctx, key)
}
