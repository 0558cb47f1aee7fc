// Package clock is a clock for leases: it never goes back or stands still, it counts the time that the machine sleeps, nobody can set it,
// and reading it takes no system call.
package clock

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock is read by Now. Its methods are safe for concurrent use.
//
// Linux has the right clock, CLOCK_BOOTTIME, but Go does not offer it, and a system call costs too much for every read of the cache. The
// kernel also maps a function into each process that reads clocks without one (the vDSO, vdso(7); this clock since Linux 5.3). On
// linux/amd64 that function is called.
//
// Elsewhere, and with an older kernel, the clock is put together. Go's monotonic clock stops while the machine is suspended, but the kernel
// moves both CLOCK_BOOTTIME and the wall clock on by the time slept. So a reading takes the wall clock and the monotonic clock together,
// which costs twice as much; only when the two have moved apart by more than a little (a suspension, or somebody set the wall clock) is
// CLOCK_BOOTTIME asked, and the difference to the monotonic clock noted. A wall clock that is set costs a system call, and nothing else.
type Clock struct {
	quick bool // by the vDSO; the rest is not used then
	base  time.Time
	apart atomic.Int64 // wall minus monotonic, when last anchored
	slept atomic.Int64 // to be added to the monotonic reading
	mu    sync.Mutex
}

const wallSlack = int64(5 * time.Millisecond)

// New returns a clock.
func New() *Clock { return newClock(quick()) }

func newClock(quick bool) *Clock {
	c := &Clock{quick: quick, base: time.Now()}
	c.apart.Store(c.base.UnixNano())
	c.slept.Store(boottime())
	return c
}

// Now is in ns, comparable only with itself.
func (c *Clock) Now() int64 {
	if c.quick {
		if now := vdso(); now > 0 {
			return now
		}
		return boottime() // it would have to have stopped working
	}
	return c.together()
}

func (c *Clock) together() int64 {
	t := time.Now()
	mono := int64(t.Sub(c.base))
	if d := t.UnixNano() - mono - c.apart.Load(); d > wallSlack || d < -wallSlack {
		return c.anchor()
	}
	return mono + c.slept.Load()
}

func (c *Clock) anchor() int64 {
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

// quick tells whether the vDSO has the clock, and reads it itself: an old kernel's makes a system call, which takes several times as long
// as time.Now.
var quick = sync.OnceValue(func() bool {
	if vdso() <= 0 {
		return false
	}
	var sink time.Time
	ours, theirs := time.Duration(1<<62), time.Duration(1<<62)
	for range 20 { // the least of many: others may get the processor in between
		begun := time.Now()
		for range 8 {
			vdso()
		}
		between := time.Now()
		for range 8 {
			sink = time.Now()
		}
		ours, theirs = min(ours, between.Sub(begun)), min(theirs, time.Since(between))
	}
	return !sink.IsZero() && ours < 2*theirs
})
