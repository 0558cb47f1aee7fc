// Package wire lets node/nodetest stand between the nodes of a test: it carries two hooks into node.Start, in the context,
// so that they are no part of what users see.
package wire

import (
	"context"

	"github.com/hashicorp/memberlist"
)

// Wire is how a node reaches its peers. A nil Wire is the plain network. Its functions must be safe for concurrent use and
// must not block.
type Wire struct {
	// Route returns the address to dial for the peer at addr.
	Route func(addr string) string
	// Gossip returns what gossip sends through instead of t.
	Gossip func(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport
}

type key struct{}

// With returns a context that makes node.Start use w.
func With(ctx context.Context, w *Wire) context.Context { return context.WithValue(ctx, key{}, w) }

// From returns the Wire of the context, nil if there is none.
func From(ctx context.Context) *Wire {
	w, _ := ctx.Value(key{}).(*Wire)
	return w
}

// Dial returns the address to dial for the peer at addr.
func (w *Wire) Dial(addr string) string {
	if w == nil {
		return addr
	}
	return w.Route(addr)
}

// Wrap returns what gossip sends through instead of t.
func (w *Wire) Wrap(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
	if w == nil {
		return t
	}
	return w.Gossip(t)
}
