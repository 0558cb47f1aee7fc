// Package latency counts durations in buckets of about 6 % width, and tells quantiles of them.
package latency

import (
	"math/bits"
	"sync"
	"time"
)

// Each power of two of nanoseconds is cut into 16 buckets.
const (
	subBits = 4
	subs    = 1 << subBits
)

// Histogram counts durations. The zero Histogram is empty. Its methods are safe for concurrent use.
type Histogram struct {
	mu      sync.Mutex
	buckets [64 * subs]uint64
	count   uint64
	max     time.Duration
}

func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < subs {
		return int(n)
	}
	shift := bits.Len64(n) - subBits - 1
	return (shift+1)*subs + int(n>>shift) - subs
}

// upperOf is the largest duration that falls into bucket i.
func upperOf(i int) time.Duration {
	if i < subs {
		return time.Duration(i)
	}
	shift := i/subs - 1
	return time.Duration((uint64(i%subs)+subs+1)<<shift - 1)
}

// Record counts d.
func (h *Histogram) Record(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buckets[bucketOf(d)]++
	h.count++
	h.max = max(h.max, d)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// Max is the longest duration.
func (h *Histogram) Max() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.max
}

// Quantile is a duration that a part q (0 to 1) of the recorded ones do not exceed, some 6 % too long at most; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	want := uint64(q * float64(h.count))
	seen := uint64(0)
	for i, n := range h.buckets {
		seen += n
		if n > 0 && (seen > want || seen == h.count) {
			return min(upperOf(i), h.max)
		}
	}
	return 0
}

// Reset empties h.
func (h *Histogram) Reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buckets, h.count, h.max = [64 * subs]uint64{}, 0, 0
}
