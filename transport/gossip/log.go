package gossip

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"
)

// Of memberlist's complaints no more than these in that time are logged as warnings; what is over goes to the debug level. A
// stranger who sends packets without the key causes one for each.
const (
	warnings   = 5
	warnWindow = 10 * time.Second
)

// logWriter passes memberlist's lines, "[LEVEL] memberlist: text", on to slog.
type logWriter struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	since time.Time
	count int
}

func (w *logWriter) Write(line []byte) (int, error) {
	n := len(line)
	level := slog.LevelDebug
	line = bytes.TrimSpace(line)
	if mark, rest, ok := bytes.Cut(line, []byte("] ")); ok && len(mark) > 0 && mark[0] == '[' {
		if s := string(mark[1:]); s == "ERR" || s == "WARN" {
			level = slog.LevelWarn
		}
		line = rest
	}
	if level == slog.LevelWarn && !w.allowed() {
		level = slog.LevelDebug
	}
	w.log.Log(context.Background(), level, "gossip: "+string(bytes.TrimPrefix(line, []byte("memberlist: "))))
	return n, nil
}

// allowed tells whether one more warning may be logged.
func (w *logWriter) allowed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); now.Sub(w.since) >= warnWindow {
		w.since, w.count = now, 0
	}
	w.count++
	return w.count <= warnings
}
