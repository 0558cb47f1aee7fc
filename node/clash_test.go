package node

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// logged is a log that tests read.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Of two live nodes of one name the one that stays outside says which process has it, and comes in once that has ended.
func TestTwoLiveNodesOfOneName(t *testing.T) {
	cfg := Config{Name: "shop", Lease: 100 * time.Millisecond, ExpelAfter: 300 * time.Millisecond}
	first := start(t, cfg)
	settled(t, first)
	var log logged
	cfg.Join, cfg.Logger = []string{first.Addr()}, slog.New(slog.NewTextHandler(&log, nil))
	second := start(t, cfg)
	events, cancel := second.Subscribe(10)
	defer cancel()
	eventually(t, "the status names the other process", func() bool { return second.Stats().NameHeldBy == first.Addr() })
	if second.InSync() || first.Stats().NameHeldBy != "" {
		t.Errorf("the second in sync: %v; the first is kept out by %q", second.InSync(), first.Stats().NameHeldBy)
	}
	var said Event
	eventually(t, "an event", func() bool {
		select {
		case said = <-events:
		default:
		}
		return said.Kind == "name-taken"
	})
	if said.Member != "shop" || !strings.Contains(said.Text, first.Addr()) {
		t.Errorf("event %+v", said)
	}
	eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "event=name-taken") })
	if out := log.String(); strings.Count(out, "event=name-taken") != 1 || !strings.Contains(out, "level=WARN") {
		t.Errorf("logged: %s", out)
	}
	first.Close()
	settled(t, second)
	if held := second.Stats().NameHeldBy; held != "" {
		t.Errorf("in sync, and yet kept out by %s", held)
	}
}
