package node

import (
	"context"
	"log/slog"
	"sync"
)

// mostLines is how many lines wait for the logger, beside as many that it is being given.
const mostLines = 1 << 10

// logs stands before the handler of Config.Logger. That may block, as standard error does when nobody reads it, or ask the node, and most lines are
// written under the node's lock or by who receives from the others. So one goroutine gives it the lines, in order, and what it does not
// take in time is left out.
type logs struct {
	own    *slog.Logger // the caller's
	mu     sync.Mutex
	change sync.Cond // of the following
	lines  []line
	lost   int // lines left out, after those
	ended  bool
	wg     sync.WaitGroup
}

type line struct {
	to     slog.Handler
	ctx    context.Context
	record slog.Record
}

func newLogs(own *slog.Logger) *logs {
	l := &logs{own: own}
	l.change.L = &l.mu
	l.wg.Go(l.run)
	return l
}

// logger is what the node writes its lines to.
func (l *logs) logger() *slog.Logger { return slog.New(logHandler{l, l.own.Handler()}) }

// close returns once the handler has taken what was written before. What comes later is dropped.
func (l *logs) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.change.Signal()
	l.wg.Wait()
}

func (l *logs) add(x line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
	case len(l.lines) == mostLines:
		l.lost++
	default:
		l.lines = append(l.lines, x)
		l.change.Signal()
	}
}

func (l *logs) run() {
	var lines []line
	for {
		l.mu.Lock()
		for len(l.lines) == 0 && !l.ended {
			l.change.Wait()
		}
		clear(lines)
		lines, l.lines = l.lines, lines[:0]
		lost := l.lost
		l.lost = 0
		l.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		for _, x := range lines {
			_ = x.to.Handle(x.ctx, x.record) // slog.Logger takes no notice of an error either
		}
		if lost > 0 {
			l.own.Warn("lines are missing here: the logger did not take them in time", "lines", lost)
		}
	}
}

// logHandler is where lines are written to that a handler of the caller's is to get.
type logHandler struct {
	logs *logs
	to   slog.Handler
}

func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.to.Enabled(ctx, level)
}

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.logs.add(line{h.to, ctx, r.Clone()})
	return nil
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.logs, h.to.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.logs, h.to.WithGroup(name)}
}
