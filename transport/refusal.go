package transport

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// refusals remembers who was told of lately, so that a stranger who tries again and again is reported once in a while.
type refusals struct {
	mu   sync.Mutex
	seen map[[2]string]time.Time // by source and reason
}

const maxRefusals = 1024

func newRefusals() *refusals { return &refusals{seen: make(map[[2]string]time.Time)} }

// first tells whether this source and reason have not been seen within the interval. When too many are remembered, new
// ones are not reported until some are forgotten.
func (r *refusals) first(source, reason string, now time.Time) bool {
	key := [2]string{source, kind(reason)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.seen[key]; ok && now.Sub(at) < refusedInterval {
		return false
	}
	if len(r.seen) >= maxRefusals {
		for k, at := range r.seen {
			if now.Sub(at) >= refusedInterval {
				delete(r.seen, k)
			}
		}
		if len(r.seen) >= maxRefusals {
			return false
		}
	}
	r.seen[key] = now
	return true
}

// kind is the part of a reason before what the stranger has said.
func kind(reason string) string {
	if i := strings.IndexAny(reason, ":0123456789"); i > 0 {
		return reason[:i]
	}
	return reason
}

// refuse reports somebody who was turned away. The reason depends on the kind of stranger alone, so that one who varies what
// it sends is not reported each time; cause, which may be nil, says more and is only logged.
func (t *Transport) refuse(remote, reason string, cause error) {
	source := remote
	if host, _, err := net.SplitHostPort(remote); err == nil {
		source = host
	}
	if !t.refusals.first(source, reason, time.Now()) {
		return
	}
	if cause == nil {
		t.log.Warn("refused a connection", "remote", remote, "reason", reason)
	} else {
		t.log.Warn("refused a connection", "remote", remote, "reason", reason, "cause", clip(cause.Error()))
	}
	t.cfg.Handler.Refused(remote, reason)
}

func hexID(id uint64) string { return strconv.FormatUint(id, 16) }
