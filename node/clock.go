package node

import (
	"sync"
	"sync/atomic"
	"time"
)

// clock is a monotonic clock in ns that also counts the time the machine sleeps.
//
// Go's monotonic clock stops while the machine is suspended, and reading the kernel's CLOCK_BOOTTIME costs a system
// call, too much for every read of the cache. But the kernel moves both that clock and the wall clock on by the time
// slept. So a reading takes the wall clock and the monotonic clock together, which is cheap; only when the two have
// moved apart by more than a little (a suspension, or somebody set the wall clock) is CLOCK_BOOTTIME asked, and the
// difference to the monotonic clock noted. A wall clock that is set costs a system call, and nothing else.
type clock struct {
	base  time.Time
	apart atomic.Int64 // wall minus monotonic, when last anchored
	slept atomic.Int64 // to be added to the monotonic reading
	mu    sync.Mutex
}

const wallSlack = int64(5 * time.Millisecond)

func newClock() *clock {
	c := &clock{base: time.Now()}
	c.apart.Store(c.base.UnixNano())
	c.slept.Store(boottime())
	return c
}

// now is in ns, comparable only with itself.
func (c *clock) now() int64 {
	t := time.Now()
	mono := int64(t.Sub(c.base))
	if d := t.UnixNano() - mono - c.apart.Load(); d > wallSlack || d < -wallSlack {
		return c.anchor()
	}
	return mono + c.slept.Load()
}

func (c *clock) anchor() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now()
	mono := int64(t.Sub(c.base))
	if s := boottime() - mono; s > c.slept.Load() {
		c.slept.Store(s)
	}
	c.apart.Store(t.UnixNano() - mono)
	return mono + c.slept.Load()
}
