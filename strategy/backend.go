package strategy

import (
	"context"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// backend is what this package needs of a node. Options are spelled out, so that a test can stand in for the node.
type backend interface {
	Lookup(ctx context.Context, key string) (node.Entry, bool, error)
	LookupOrTicket(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error)
	InvalidateTags(ctx context.Context, tags ...string) error
	Clear(ctx context.Context) error
	Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error)

	write(ctx context.Context, key string, value []byte, w write) error
	remove(ctx context.Context, key string, revoke bool) error
}

// write is how a value is to be written.
type write struct {
	ttl    time.Duration // 0: the node's default
	noEnd  bool          // no TTL at all
	tags   []string
	fill   bool // under ticket
	ticket node.Ticket
}

// nodeBackend is the backend that a node is.
type nodeBackend struct{ *node.Node }

func (b nodeBackend) write(ctx context.Context, key string, value []byte, w write) error {
	opts := make([]node.SetOption, 0, 3)
	switch {
	case w.noEnd:
		opts = append(opts, node.WithoutTTL())
	case w.ttl > 0:
		opts = append(opts, node.WithTTL(w.ttl))
	}
	if len(w.tags) > 0 {
		opts = append(opts, node.WithTags(w.tags...))
	}
	if w.fill {
		opts = append(opts, node.WithTicket(w.ticket))
	}
	return b.Set(ctx, key, value, opts...)
}

func (b nodeBackend) remove(ctx context.Context, key string, revoke bool) error {
	if revoke {
		return b.Delete(ctx, key, node.Revoke())
	}
	return b.Delete(ctx, key)
}
