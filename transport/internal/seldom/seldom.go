// Package seldom keeps what strangers can bring about at will from filling the log.
package seldom

import (
	"net"
	"sync"
	"time"
)

// Most is how many pairs of source and kind are told apart at a time.
const Most = 1024

// Reports remembers what was reported lately. Its methods are safe for concurrent use.
type Reports struct {
	interval time.Duration

	mu   sync.Mutex
	seen map[[2]string]time.Time // by source and kind
	full time.Time               // when it was last said that there are more
}

// New returns Reports that lets each source and kind through once in an interval.
func New(interval time.Duration) *Reports {
	return &Reports{interval: interval, seen: make(map[[2]string]time.Time)}
}

// First tells whether this source and kind are to be reported, for they have not been within the interval. When Most are
// remembered, new ones are not reported until some are forgotten; more tells, once in the interval, that there are such.
func (r *Reports) First(source, kind string, now time.Time) (first, more bool) {
	key := [2]string{source, kind}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.seen[key]; ok && now.Sub(at) < r.interval {
		return false, false
	}
	if len(r.seen) >= Most {
		for k, at := range r.seen {
			if now.Sub(at) >= r.interval {
				delete(r.seen, k)
			}
		}
		if len(r.seen) >= Most {
			if more = r.full.IsZero() || now.Sub(r.full) >= r.interval; more {
				r.full = now
			}
			return false, more
		}
	}
	r.seen[key] = now
	return true, false
}

// Source is the part of an address that one who comes again has in common with the first time: without the port.
func Source(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
