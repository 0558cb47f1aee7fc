package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// How often the table is drawn, and how often a line is printed where none can be drawn.
const (
	drawEvery  = 500 * time.Millisecond
	printEvery = 2 * time.Second
)

// row is a replica as the table shows it.
type row struct {
	name     string
	state    cluster.State
	answers  bool // the status page did
	status   api.Status
	rate     float64
	hitShare string
	p50, p99 time.Duration
}

// outOfSync says what keeps a replica that runs from being in sync.
func (r row) outOfSync() string {
	switch {
	case !r.answers:
		return "no answer"
	case r.status.View == 0:
		return "joining"
	case !r.status.Acting: // it has a view, and waits until a majority confirms it, or another one
		return "waiting"
	default:
		return "catching up"
	}
}

// timed is a duration of reads, if there were any.
func (r row) timed(d time.Duration) string {
	if r.rate <= 0 {
		return "–"
	}
	return term.Duration(d)
}

// past is what a rate is counted from.
type past struct {
	reads  uint64
	status api.Status
}

// draw keeps the table up to date, and tells of wrong answers, until ctx ends.
func (st *story) draw(ctx context.Context) {
	every := printEvery
	if st.teller.live.Terminal() {
		every = drawEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := make([]past, len(st.shop.b.replicas))
	at := time.Now()
	for {
		select {
		case <-ctx.Done():
			st.tellWrongs()
			return
		case <-ticker.C:
		}
		st.tellWrongs()
		now := time.Now()
		rows := st.rows(ctx, last, now.Sub(at))
		at = now
		if st.teller.live.Terminal() {
			st.teller.live.Block(st.table(rows))
		} else if ctx.Err() == nil && st.open.Load() { // a few reads of the tour are no rate
			st.teller.say("%s", st.line(rows))
		}
	}
}

func (st *story) tellWrongs() {
	for {
		select {
		case text := <-st.shop.wrongs:
			st.teller.say("%s %s", st.teller.bad("WRONG:"), text)
		default:
			return
		}
	}
}

func (st *story) rows(ctx context.Context, last []past, over time.Duration) []row {
	rows := make([]row, len(last))
	for i, r := range st.shop.b.replicas {
		out := row{name: r.node.Name, state: r.node.State(), hitShare: "–"}
		reads := r.reads.Load()
		out.rate = float64(reads-last[i].reads) / over.Seconds()
		out.p50, out.p99 = r.window.Quantile(0.5), r.window.Quantile(0.99)
		r.window.Reset()
		last[i].reads = reads
		if out.state == cluster.Up {
			look, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			if status, err := r.node.Client().Status(look, false); err == nil {
				out.answers, out.status = true, status
				before := last[i].status
				if before.UptimeSeconds > status.UptimeSeconds {
					before = api.Status{} // it was started again
				}
				hits := float64(status.Hits - before.Hits)
				all := hits + float64(status.Remote-before.Remote) + float64(status.Misses-before.Misses) + float64(status.Unsure-before.Unsure)
				out.hitShare = term.Percent(hits, all)
				last[i].status = status
			}
			cancel()
		}
		rows[i] = out
	}
	return rows
}

// table draws the replicas.
func (st *story) table(rows []row) []string {
	s := st.teller.style
	table := term.NewTable("  NODE", "STATE", ">VIEW", ">ENTRIES", ">READS/S", ">FROM OWN MEMORY", ">P50", ">P99")
	for _, r := range rows {
		state, view, entries := s.Red("✗ down"), "–", "–"
		switch {
		case r.state == cluster.Up && r.answers && r.status.InSync:
			state = s.Green("● in sync")
		case r.state == cluster.Up:
			state = s.Yellow("◌ " + r.outOfSync())
		}
		if r.answers {
			view, entries = term.Count(r.status.View), term.Count(r.status.Entries)
		}
		table.Row("  "+s.Cyan(r.name), state, view, entries, term.Count(int(r.rate+0.5)), r.hitShare, r.timed(r.p50), r.timed(r.p99))
	}
	lines := append([]string{""}, table.Lines(s)...)
	return append(lines, "", st.footer())
}

func (st *story) footer() string {
	s, y := st.teller.style, &st.shop.tally
	wrong := s.Green("0 wrong")
	if n := y.wrong.Load(); n > 0 {
		wrong = s.Red(term.Count(n) + " wrong")
	}
	end := "^C ends"
	if st.cfg.For > 0 {
		end = fmt.Sprintf("%.0f s to go, ^C ends", max(0, time.Until(st.begun.Add(st.cfg.For)).Seconds()))
	}
	return fmt.Sprintf("  %s   %s   %s   %s", term.Counted(st.shop.live(), "session", "sessions"), term.Counted(y.reads.Load(), "read", "reads"), wrong, s.Dim(end))
}

// line tells of the replicas in one line.
func (st *story) line(rows []row) string {
	text := ""
	for i, r := range rows {
		if i > 0 {
			text += " | "
		}
		switch {
		case r.state != cluster.Up:
			text += r.name + " down"
		case !r.answers || !r.status.InSync:
			text += r.name + " " + r.outOfSync()
		default:
			text += fmt.Sprintf("%s view %d, %s, %s, p99 %s", r.name, r.status.View, term.Counted(r.status.Entries, "entry", "entries"),
				term.Counted(int(r.rate+0.5), "read/s", "reads/s"), r.timed(r.p99))
		}
	}
	return fmt.Sprintf("%s | %s, %s wrong", text, term.Counted(st.shop.tally.reads.Load(), "read", "reads"), term.Count(st.shop.tally.wrong.Load()))
}
