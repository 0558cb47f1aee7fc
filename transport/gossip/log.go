package gossip

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
)

// warnWindow is how long what memberlist complains of is not said again of the same source and kind; the rest goes to the debug level. A
// stranger who sends packets that cannot be read causes a complaint for each.
const warnWindow = time.Minute

// logWriter passes memberlist's lines, "[LEVEL] memberlist: text", on to slog.
type logWriter struct {
	log     *slog.Logger
	now     func() time.Time
	reports *seldom.Reports
}

func newLogWriter(log *slog.Logger, now func() time.Time) *logWriter {
	return &logWriter{log: log, now: now, reports: seldom.New(warnWindow)}
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
		what, source := kind(text)
		first, more := w.reports.First(source, what, w.now())
		if more {
			w.log.Warn("gossip: complaints about more sources than are told apart; the others are not reported for a while", "told_apart", seldom.Most)
		}
		if !first {
			level = slog.LevelDebug
		}
	}
	if by, ok := doubter(text); ok && level == slog.LevelWarn {
		w.log.Info("another process took this one for lost, and has been told that it is not", "by", by)
		level = slog.LevelDebug
	}
	w.log.Log(context.Background(), level, "gossip: "+text)
	return n, nil
}

// doubter returns who took this process for dead, if that is what memberlist says. It happens when this one was slow to answer.
func doubter(text string) (name string, ok bool) {
	for _, begin := range []string{"Refuting a suspect message (from: ", "Refuting a dead message (from: "} {
		if name, ok = strings.CutPrefix(text, begin); ok {
			name, _, _ = strings.Cut(name, "#") // what follows tells one run of a process from another
			return strings.TrimSuffix(name, ")"), true
		}
	}
	return "", false
}

// kind is what a complaint says before anything that a stranger may have chosen, and the host it is about.
func kind(text string) (what, source string) {
	what, from, _ := strings.Cut(text, "from=")
	if i := strings.IndexAny(what, `:"'(0123456789`); i > 0 {
		what = what[:i]
	}
	if i := strings.IndexByte(from, ' '); i >= 0 {
		from = from[:i]
	}
	return what, seldom.Source(from)
}
