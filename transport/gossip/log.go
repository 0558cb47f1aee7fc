package gossip

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// What memberlist complains of is logged as a warning once per source and kind in that time; the rest goes to the debug
// level. A stranger who sends packets that cannot be read causes a complaint for each.
const (
	warnWindow  = time.Minute
	maxWarnings = 1024 // remembered
)

// logWriter passes memberlist's lines, "[LEVEL] memberlist: text", on to slog.
type logWriter struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	seen map[string]time.Time
	full time.Time // when it was last said that there are more
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
	text := string(bytes.TrimPrefix(line, []byte("memberlist: ")))
	// memberlist does not know how the transport is secured.
	if strings.HasPrefix(text, "Binding to public address without encryption") {
		level = slog.LevelDebug
	}
	if level == slog.LevelWarn {
		first, more := w.first(text)
		if more {
			w.log.Warn("gossip: complaints about more sources than are told apart; the others are not reported for a while", "told_apart", maxWarnings)
		}
		if !first {
			level = slog.LevelDebug
		}
	}
	w.log.Log(context.Background(), level, "gossip: "+text)
	return n, nil
}

// first tells whether this kind of complaint about this source has not been made of late; more, once in the window, that
// there are others which are not remembered, for there are too many.
func (w *logWriter) first(text string) (first, more bool) {
	key := kind(text)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if at, ok := w.seen[key]; ok && now.Sub(at) < warnWindow {
		return false, false
	}
	if len(w.seen) >= maxWarnings {
		for k, at := range w.seen {
			if now.Sub(at) >= warnWindow {
				delete(w.seen, k)
			}
		}
		if len(w.seen) >= maxWarnings {
			if more = w.full.IsZero() || now.Sub(w.full) >= warnWindow; more {
				w.full = now
			}
			return false, more
		}
	}
	if w.seen == nil {
		w.seen = make(map[string]time.Time)
	}
	w.seen[key] = now
	return true, false
}

// kind is what a complaint says before anything that a stranger may have chosen, and the host it is about.
func kind(text string) string {
	what, from, _ := strings.Cut(text, "from=")
	if i := strings.IndexAny(what, `:"'(0123456789`); i > 0 {
		what = what[:i]
	}
	if i := strings.IndexByte(from, ' '); i >= 0 {
		from = from[:i]
	}
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	return what + " " + from
}
