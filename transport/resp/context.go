package resp

import (
	"context"
	"sync"
	"time"
)

// bounded is a context that ends at a time, with its parent, or by end. Its timer is made for the first who waits for its end: a
// command that is answered from here never does, and the timer would be a good part of its cost.
type bounded struct {
	parent  context.Context
	timeout time.Duration
	until   time.Time

	mu     sync.Mutex
	ended  bool
	timed  context.Context // nil until somebody waits
	cancel context.CancelFunc
}

func newBounded(parent context.Context, timeout time.Duration) *bounded {
	return &bounded{parent: parent, timeout: timeout, until: time.Now().Add(timeout)}
}

// Deadline implements context.Context.
func (b *bounded) Deadline() (time.Time, bool) { return b.until, true }

// Value implements context.Context.
func (b *bounded) Value(key any) any { return b.parent.Value(key) }

// Done implements context.Context.
func (b *bounded) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timed == nil {
		b.timed, b.cancel = context.WithDeadline(b.parent, b.until)
		if b.ended {
			b.cancel()
		}
	}
	return b.timed.Done()
}

// Err implements context.Context.
func (b *bounded) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch err := b.parent.Err(); {
	case b.timed != nil:
		return b.timed.Err()
	case b.ended:
		return context.Canceled
	case err != nil:
		return err
	case !time.Now().Before(b.until):
		return context.DeadlineExceeded
	}
	return nil
}

// late tells whether its time has run out.
func (b *bounded) late() bool { return ranOut(b.timeout-time.Until(b.until), b.timeout) }

// ranOut tells whether what took so long has needed all of its time, or nearly: a backend gives up a little before.
func ranOut(took, timeout time.Duration) bool { return took >= timeout-timeout/4 }

// end ends the context, if nothing has before.
func (b *bounded) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if b.cancel != nil {
		b.cancel()
	}
}
