package protocol

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
)

// left is an Env that keeps what was said of the departure.
type left struct {
	Env
	said *string
}

func (l left) Event(kind, _, text string) {
	if kind == "left" {
		*l.said = text
	}
}

// Who leaves alone has handed nothing over, and does not say so: its entries are lost.
func TestALastNodeSaysWhatIsLost(t *testing.T) {
	for _, c := range []struct {
		about   string
		members int // 0: in no cluster
		entry   bool
		says    string
		warns   bool
	}{
		{"alone with an entry", 1, true, "no other node was there", true},
		{"alone and empty", 1, false, "no other node was there", false},
		{"in no cluster", 0, false, "in no cluster", false},
	} {
		b := newBench(t, "")
		var said string
		var log bytes.Buffer
		b.m.env, b.m.log = left{b, &said}, slog.New(slog.NewTextHandler(&log, nil))
		if c.members > 0 {
			b.enter(1, c.members)
		}
		if c.entry {
			b.m.store.Put(0, &store.Entry{Key: "k", Value: "v", Version: 1})
		}
		b.m.Leave()
		if !b.m.HandedOver() || b.m.Left() {
			t.Errorf("%s: handed over: %v, left: %v", c.about, b.m.HandedOver(), b.m.Left())
		}
		b.m.Part()
		if !b.m.Left() || !strings.Contains(said, c.says) || strings.Contains(said, "handed over") {
			t.Errorf("%s: %q", c.about, said)
		}
		if warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "entries=1"); warned != c.warns {
			t.Errorf("%s: log %q", c.about, log.String())
		}
	}
}
