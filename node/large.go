package node

import (
	"context"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/semaphore"

	"github.com/huddle-cache/huddle/node/protocol"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

const (
	// largeValue is the size from which on a value needs room.
	largeValue = 4 << 10
	// largeBytes bounds the large values under way to one owner. A burst of them then waits here, for leases travel on the same session: on a
	// link of 100 Mbit/s a third of a second of values before them is enough.
	largeBytes = 4 << 20
	// highWater is from how many bytes on that wait on a session nodes hold values back: those of writes to an owner, of copies and of answers.
	// At 64 MiB the session would break.
	highWater = 2 * largeBytes
)

// rooms are the bytes of large values that may be under way, by owner. Several owners may share one.
type rooms [64]*semaphore.Weighted

func newRooms() *rooms {
	var r rooms
	for i := range r {
		r[i] = semaphore.NewWeighted(largeBytes)
	}
	return &r
}

// room is what one write takes of it; the zero room is that of a small one.
type room struct {
	of    *semaphore.Weighted
	bytes int64
}

func (n *Node) roomFor(w *pb.Write) room {
	if len(w.Value) < largeValue {
		return room{}
	}
	n.lock()
	_, owner, _ := n.m.Locate(w.Key)
	n.unlock()
	of := n.rooms[xxhash.Sum64String(owner)%uint64(len(n.rooms))]
	return room{of, int64(min(len(w.Value), largeBytes))}
}

// try takes the room if it is there.
func (r room) try() bool { return r.of == nil || r.of.TryAcquire(r.bytes) }

// take waits for the room of a large value. The error is that nothing has been tried.
func (r room) take(ctx context.Context) error {
	if err := r.of.Acquire(ctx, r.bytes); err != nil {
		return fmt.Errorf("%w: %w", ErrOverload, err)
	}
	return nil
}

// give gives it back; it may be called under Node.mu.
func (r room) give() {
	if r.of != nil {
		r.of.Release(r.bytes)
	}
}

// giving is done after the room has been given back.
func (r room) giving(done func(protocol.Result)) func(protocol.Result) {
	if r.of == nil {
		return done
	}
	return func(x protocol.Result) {
		r.give()
		done(x)
	}
}
