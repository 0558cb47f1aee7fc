package resp

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// statsFake is a fake with a section that the front has too.
type statsFake struct{ FastBackend }

func (statsFake) Info() []InfoSection {
	return []InfoSection{{"Stats", [][2]string{{"keyspace_hits", "7"}}}, {"Keyspace", [][2]string{{"db0", "keys=3"}}}}
}

// infoField is a field of the answer to INFO.
func infoField(t *testing.T, info, name string) int {
	t.Helper()
	_, rest, ok := strings.Cut(info, "\r\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(value)
	if !ok || err != nil {
		t.Errorf("no number %s in %q", name, info)
	}
	return n
}

// Whoever serves a client, and whether it is still there, its commands count: those of an EXEC one by one, those that were queued or
// refused not.
func TestInfoCountsCommands(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{noLoops: noLoops})
		gone, w := dial(t, s.Addr()), dial(t, s.Addr())
		for range 5 {
			gone.do("set", "k", "v")
		}
		gone.do("quit")
		eventually(t, "the client to be gone", func() bool { return clientsOf(s) == 1 })
		w.send(strings.Repeat(cmd("get", "k"), 3) + cmd("nosuch") + cmd("multi") + cmd("get", "k") + cmd("get", "k") + cmd("exec"))
		for range 8 {
			w.reply()
		}
		info := w.do("info", "stats")
		if got := infoField(t, info, "total_commands_processed"); got != 6+3+1+3 {
			t.Errorf("without loops %v: %d commands", noLoops, got)
		}
		if got := infoField(t, info, "total_connections_received"); got != 2 {
			t.Errorf("%d connections", got)
		}
	}
}

// A rate is that since the last who asked, and who asks at once again is told the same.
func TestInfoRate(t *testing.T) {
	s := start(t, Config{})
	w := dial(t, s.Addr())
	for range 20 {
		w.do("ping")
	}
	began := s.rate.at
	eventually(t, "all to be counted", func() bool { return s.traffic(began).commands == 20 })
	for _, c := range []struct {
		at   time.Duration
		want uint64
	}{{rateOver / 2, 0}, {2 * time.Second, 10}, {2*time.Second + rateOver/2, 10}, {4 * time.Second, 0}} {
		if got := s.traffic(began.Add(c.at)).perSecond; got != c.want {
			t.Errorf("after %v: %d a second, want %d", c.at, got, c.want)
		}
	}
}

// Several sections may be asked for at a time. What the front and the backend both say belongs together.
func TestInfoSections(t *testing.T) {
	w := dial(t, start(t, Config{Backend: statsFake{fastFake{newFake()}}}).Addr())
	info := w.do("info", "KEYSPACE", "stats")
	if strings.Count(info, "# ") != 2 || strings.Count(info, "# Stats\r\n") != 1 || !strings.Contains(info, "# Keyspace\r\ndb0:keys=3\r\n") {
		t.Errorf("%q", info)
	}
	if infoField(t, info, "keyspace_hits") != 7 || infoField(t, info, "instantaneous_ops_per_sec") != 0 {
		t.Errorf("%q", info)
	}
}
