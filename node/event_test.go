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
	for kind, want := range map[string]bool{
		"view": false, "ready": false, "regained": false, "left": false, "refused": false,
		"name-taken": true, "lost-majority": true, "forgotten": true, "started-over": true, "given-up": true,
	} {
		log.Reset()
		e.Event(kind, "", "text")
		if strings.Contains(log.String(), "event="+kind+"\n") != want {
			t.Errorf("%s: want %v in\n%s", kind, want, log.String())
		}
	}
}
