package bench

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// show tells what goes on: a line that is redrawn while a run is under way, and rows for the runs that are over.
type show struct {
	cfg   Config
	live  *term.Live
	style term.Style
	rows  bool // rows are wanted as they come, not JSON at the end
	begun time.Time
	total int // runs to come in all
	over  int
	// headed: the head of the table has been printed.
	headed sync.Once
}

func newShow(cfg Config) *show {
	out := cfg.Out
	if cfg.JSON {
		out = cfg.Err
	}
	s := &show{cfg: cfg, live: term.NewLive(out), style: term.StyleFor(out), rows: !cfg.JSON, begun: time.Now()}
	ways := 1
	if cfg.SelfContained {
		ways = len(cfg.Via)
	}
	s.total = len(cfg.Workloads) * len(cfg.Callers) * ways
	if cfg.Compare != "" && (!cfg.SelfContained || slices.Contains(cfg.Via, RESP)) {
		s.total += len(cfg.Workloads) * len(cfg.Callers)
	}
	return s
}

// start prints the head of the table, once there is something to measure.
func (s *show) start() {
	s.headed.Do(func() {
		if s.rows {
			s.live.Println(s.style.Dim(s.cfg.about()))
			s.live.Println("")
			s.live.Println(s.style.Dim(head))
		}
	})
}

// about tells in a line what is measured.
func (cfg Config) about() string {
	law := "all keys alike"
	if cfg.Skew > 0 {
		law = fmt.Sprintf("Zipf %.4g", cfg.Skew)
	}
	where := term.Counted(len(cfg.Addrs), "node", "nodes") + " that " + map[bool]string{true: "runs", false: "run"}[len(cfg.Addrs) == 1]
	if cfg.SelfContained {
		where = fmt.Sprintf("%s of its own on loopback, %s of an entry", term.Counted(cfg.Nodes, "node", "nodes"), term.Counted(cfg.Replicas, "copy", "copies"))
	}
	return fmt.Sprintf("%s; %s keys, %s; values of %s", where, term.Count(cfg.Keys), law, term.Bytes(int64(cfg.ValueBytes)))
}

// say tells of a step before or between runs.
func (s *show) say(format string, args ...any) {
	s.live.Block([]string{s.style.Dim(fmt.Sprintf(format, args...) + " …")})
}

func (s *show) filling(via Via, done, of int64) {
	s.start()
	s.live.Block([]string{fmt.Sprintf("%s %s  writing the keys: %s of %s", s.bar(float64(done), float64(of)), via, term.Count(done), term.Count(of))})
}

func (s *show) running(via Via, w load.Workload, callers int, done int64, elapsed time.Duration) {
	part, of := elapsed.Seconds(), s.cfg.For.Seconds()
	if n := s.cfg.Requests; n > 0 && (of == 0 || float64(done)/float64(n) > part/of) {
		part, of = float64(done), float64(n)
	}
	rate := float64(done) / max(elapsed.Seconds(), 1e-9)
	s.live.Block([]string{fmt.Sprintf("%s run %d of %d: %s, %s, %s: %s a second", s.bar(part, of), s.over+1, s.total, via, w,
		term.Counted(callers, "caller", "callers"), term.Count(int64(rate)))})
}

func (s *show) bar(part, of float64) string {
	const width = 24
	full := 0
	if of > 0 {
		full = min(width, int(part/of*width))
	}
	return s.style.Cyan(strings.Repeat("█", full)) + s.style.Dim(strings.Repeat("░", width-full))
}

const (
	head      = "VIA       WORKLOAD     CALLERS         OPS/S  CALL         P50      P90      P99    P99.9      MAX   MISSES  ERRORS"
	rowFormat = "%-8s  %-11s  %7s  %12s  %-6s  %8s %8s %8s %8s %8s  %7s %7s"
)

// measured prints a run that is over, a line for each kind of call.
func (s *show) measured(m Measured) {
	s.over++
	s.start()
	s.live.Block(nil)
	if !s.rows {
		return
	}
	errors, misses := term.Count(m.Errors), term.Count(m.Misses)
	if m.Workload == load.Logout.String() {
		misses = "–" // a Get after a log-out has to find nothing
	}
	for i, op := range m.kinds() {
		l := m.Ops[op]
		times := []string{Time(l.P50), Time(l.P90), Time(l.P99), Time(l.P999), Time(l.Max)}
		line := fmt.Sprintf(rowFormat, m.Via, m.Workload, term.Count(m.Callers), term.Count(int64(m.PerSecond)), op,
			times[0], times[1], times[2], times[3], times[4], misses, errors)
		if i > 0 {
			line = fmt.Sprintf(rowFormat, "", "", "", "", op, times[0], times[1], times[2], times[3], times[4], "", "")
		}
		s.live.Println(strings.TrimRight(line, " "))
	}
	if len(m.Ops) == 0 {
		s.live.Println(fmt.Sprintf("%-8s  %-11s  %7s  no call succeeded", m.Via, m.Workload, term.Count(m.Callers)))
	}
	if m.FirstError != "" {
		s.live.Println(s.style.Red("          an error was: " + term.Clean(m.FirstError)))
	}
}

func (s *show) end() { s.live.Block(nil); s.live.Close() }

// Time prints a duration in ns with about three figures: 212 ns, 45.1 µs, 1.32 ms.
func Time(ns int64) string {
	v := float64(ns)
	for _, unit := range []string{"ns", "µs", "ms"} {
		switch {
		case unit == "ns" && v < 1000:
			return fmt.Sprintf("%.0f ns", v)
		case v < 10:
			return fmt.Sprintf("%.2f %s", v, unit)
		case v < 100:
			return fmt.Sprintf("%.1f %s", v, unit)
		case v < 1000:
			return fmt.Sprintf("%.0f %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.2f s", v)
}
