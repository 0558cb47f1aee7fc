// Package chaos kills, pauses and restarts nodes of a real local cluster under load, records what clients saw, and checks it
// against the promises.
package chaos

import (
	"sync"
	"time"
)

// Kind is what an operation does.
type Kind string

// Kinds of operations.
const (
	Set Kind = "SET"
	Del Kind = "DEL"
	Get Kind = "GET"
)

// Never is the return time of an operation whose outcome is not known: it may take effect at any later time, or not at all.
const Never = time.Duration(1<<63 - 1)

// Op is one operation on one key as its client saw it. Times are from one monotonic clock.
type Op struct {
	Kind   Kind
	Value  string // written, or read; empty for DEL and for a GET that found nothing. Values are not empty and not written twice.
	Node   string // whose port was used
	Invoke time.Duration
	Return time.Duration // Never: a write that was not acknowledged. GETs without an answer are not recorded.
}

// history is what happened to one key. It takes a limited number of operations; when all have ended it is checked and let go.
type history struct {
	key string

	mu    sync.Mutex
	left  int // operations that may still begin
	open  int // operations under way
	ops   []Op
	check func(*history) // called once, when all is over
}

// begin announces an operation, and tells whether there is room for it.
func (h *history) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left == 0 {
		return false
	}
	h.left--
	h.open++
	return true
}

// end records an announced operation. A nil op was without an answer.
func (h *history) end(op *Op) {
	h.mu.Lock()
	if op != nil {
		h.ops = append(h.ops, *op)
	}
	h.open--
	over := h.left == 0 && h.open == 0
	h.mu.Unlock()
	if over {
		h.check(h)
	}
}

// retire takes no further operations.
func (h *history) retire() {
	h.mu.Lock()
	over := h.left > 0 && h.open == 0
	h.left = 0
	h.mu.Unlock()
	if over {
		h.check(h)
	}
}
