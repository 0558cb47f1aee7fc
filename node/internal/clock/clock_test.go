package clock

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// clocks are the ways to read it that there are on this machine.
func clocks(t testing.TB) map[string]*Clock {
	out := map[string]*Clock{"together": newClock(false)}
	if quick() {
		out["vDSO"] = newClock(true)
	} else {
		t.Log("this machine's vDSO does not read the clock: it is put together")
	}
	return out
}

// All ways read the same clock, the system's.
func TestAllWaysAgree(t *testing.T) {
	const apart = 1_000_000 // the clocks that are put together are not read at the same moment
	for name, c := range clocks(t) {
		for range 1000 {
			before := boottime()
			now := c.Now()
			after := boottime()
			slack := int64(0)
			if !c.quick {
				slack = apart
			}
			if now < before-slack || now > after+slack {
				t.Fatalf("%s: %d is not between %d and %d", name, now, before, after)
			}
		}
	}
}

// A suspension, which stops Go's clock but neither the wall clock nor the system's: as far as the clock can see.
func TestSleepCounts(t *testing.T) {
	c := newClock(false)
	before := c.Now()
	const slept = int64(time.Hour)
	c.base = c.base.Add(time.Duration(slept)) // Go's clock shows an hour less than it should
	c.apart.Add(-slept / 2)                   // and the wall clock is elsewhere anyway
	if now := c.Now(); now < before-int64(time.Millisecond) || now > before+int64(time.Minute) {
		t.Errorf("the clock moved by %v", time.Duration(now-before))
	}
}

// deep reads the clock at n depths of the stack: wherever the stack happens to end, there is room for the call, and what lies in the frames
// above stays as it was.
func deep(c *Clock, n int) (sum int64) {
	local := [8]int64{int64(n), int64(n), int64(n)}
	if n > 0 {
		sum = deep(c, n-1)
	}
	if c.Now() <= 0 {
		return -1 << 40
	}
	return sum + local[0] + local[1] - local[2]
}

// The call may come anywhere in a stack, beside the collector, which stops goroutines and moves stacks.
func TestAnywhereInTheStack(t *testing.T) {
	const depth = 3000
	c := New()
	stop := make(chan struct{})
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for n := range 40 { // a new stack each: it grows within the call
				done := make(chan int64)
				go func() { done <- deep(c, depth*n/40+n) }()
				want := int64(depth*n/40+n) * int64(depth*n/40+n+1) / 2
				if got := <-done; got != want {
					t.Errorf("%d, not %d: the stack was written over", got, want)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	collecting.Wait()
}

// It never goes back, whoever reads it.
func TestNeverGoesBack(t *testing.T) {
	for name, c := range clocks(t) {
		var mu sync.Mutex
		var last int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20_000 {
					mu.Lock()
					now := c.Now()
					if now < last {
						t.Errorf("%s: %d after %d", name, now, last)
					}
					last = now
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
}

func BenchmarkNow(b *testing.B) {
	for name, c := range clocks(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.Now()
			}
		})
	}
	b.Run("system call", func(b *testing.B) {
		for b.Loop() {
			boottime()
		}
	})
}
