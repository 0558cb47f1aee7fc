package node

import (
	"context"

	"github.com/huddle-cache/huddle/node/protocol"
)

// waiter is where one caller waits for the end of an operation. It is used again and again: its channel and its function
// are made once.
type waiter struct {
	result protocol.Result
	ready  chan struct{}
	done   func(protocol.Result)
}

func newWaiter() *waiter {
	w := &waiter{ready: make(chan struct{}, 1)}
	w.done = func(r protocol.Result) {
		w.result = r
		w.ready <- struct{}{}
	}
	return w
}

// wait submits under the lock and waits without it: also when ctx has ended, for a revocation goes on without its caller. ErrClosed is that nothing has
// been submitted; what has been, Close ends.
func (n *Node) wait(ctx context.Context, submit func(done func(protocol.Result))) (protocol.Result, error) {
	w, ok := n.waiters.Get().(*waiter)
	if !ok {
		w = newWaiter()
	}
	n.lock()
	if n.isClosed() {
		n.unlock()
		n.waiters.Put(w)
		return protocol.Result{}, ErrClosed
	}
	submit(w.done)
	n.unlock()
	select {
	case <-w.ready: // though ctx may have ended, too
		return n.take(w), nil
	default:
	}
	// A waiter that is given up is not used again: its end may still come.
	select {
	case <-w.ready:
		return n.take(w), nil
	case <-ctx.Done():
		n.lock()
		defer n.unlock()
		return protocol.Result{Tried: true, NoMajority: n.m.NoMajority()}, ctx.Err()
	}
}

// take returns the result and keeps the waiter for the next caller.
func (n *Node) take(w *waiter) protocol.Result {
	r := w.result
	w.result = protocol.Result{}
	n.waiters.Put(w)
	return r
}

func (n *Node) isClosed() bool {
	select {
	case <-n.closed:
		return true
	default:
		return false
	}
}
