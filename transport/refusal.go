package transport

import (
	"fmt"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
)

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
	t.refusePeer(0, remote, reason, cause)
}

// refusePeer is refuse of a peer asked for by Connect, which is reported for itself: two on one machine may differ in the same
// setting from this node, and one may matter and the other not.
func (t *Transport) refusePeer(peer uint64, remote, reason string, cause error) {
	what := kind(reason)
	if peer != 0 {
		what += " " + hexID(peer)
	}
	first, more := t.refusals.First(seldom.Source(remote), what, time.Now())
	if more {
		t.log.Warn("refused connections from more sources than are told apart; the others are not reported for a while", "told_apart", seldom.Most)
	}
	if !first {
		return
	}
	if cause == nil {
		t.log.Warn("refused a connection", "remote", remote, "reason", reason)
	} else {
		t.log.Warn("refused a connection", "remote", remote, "reason", reason, "cause", clip(cause.Error()))
	}
	t.cfg.Handler.Refused(peer, remote, reason)
}

// hexID is an id as all texts have it, so that one finds the others.
func hexID(id uint64) string { return fmt.Sprintf("%016x", id) }
