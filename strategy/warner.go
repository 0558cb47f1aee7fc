package strategy

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// warnEvery is the shortest time between two warnings.
const warnEvery = time.Second

// warner logs warnings, but not a flood of them. It is never given a token.
type warner struct {
	log        *slog.Logger
	mu         sync.Mutex
	last       time.Time
	suppressed int
}

func (w *warner) warn(ctx context.Context, text string, err error) {
	if w.log == nil {
		return
	}
	w.mu.Lock()
	now := time.Now()
	if !w.last.IsZero() && now.Sub(w.last) < warnEvery {
		w.suppressed++
		w.mu.Unlock()
		return
	}
	suppressed := w.suppressed
	w.last, w.suppressed = now, 0
	w.mu.Unlock()
	w.log.WarnContext(ctx, text, slog.Any("err", err), slog.Int("suppressed", suppressed))
}
