package node

import (
	"context"
	"fmt"

	"github.com/huddle-cache/huddle/node/protocol"
)

const (
	// largeValue is the size from which on a value counts for largeBytes.
	largeValue = 4 << 10
	// largeBytes bounds the values of writes under way from this node, so that a burst of large ones waits here and does not break the
	// session to their owner, which takes four times as much.
	largeBytes = 16 << 20
)

// takeRoom waits until a value of so many bytes may be under way.
func (n *Node) takeRoom(ctx context.Context, bytes int) error {
	if err := n.large.Acquire(ctx, min(int64(bytes), largeBytes)); err != nil {
		return fmt.Errorf("%w: %w", ErrOverload, err)
	}
	return nil
}

// giveRoom makes room again; it may be called under the lock.
func (n *Node) giveRoom(bytes int) { n.large.Release(min(int64(bytes), largeBytes)) }

// givingRoom is done after it has made room.
func (n *Node) givingRoom(bytes int, done func(protocol.Result)) func(protocol.Result) {
	return func(r protocol.Result) {
		n.giveRoom(bytes)
		done(r)
	}
}
