package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// At level warn the log tells of an outage, and of nothing else.
func TestWhatIsLoggedAsAWarning(t *testing.T) {
	var log bytes.Buffer
	e := &env{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, kind := range []string{"view", "regained", "left", "name-taken", "lost-majority", "started-over"} {
		e.Event(kind, "", "text")
	}
	for kind, want := range map[string]bool{"view": false, "regained": false, "left": false, "name-taken": true, "lost-majority": true, "started-over": true} {
		if strings.Contains(log.String(), "event="+kind+"\n") != want {
			t.Errorf("%s: want %v in\n%s", kind, want, log.String())
		}
	}
}
