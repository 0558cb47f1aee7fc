package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// teller narrates.
type teller struct {
	live  *term.Live
	style term.Style
	begun time.Time
}

func (t *teller) node(name string) string { return t.style.Cyan(name) }
func (t *teller) who(name string) string  { return t.style.Bold(name) }
func (t *teller) good(text string) string { return t.style.Green(text) }
func (t *teller) bad(text string) string  { return t.style.Red(text) }

// count is a number that should reach of.
func (t *teller) count(n, of int) string {
	if n == of {
		return t.style.Green(term.Count(n))
	}
	return t.style.Red(term.Count(n))
}

// say tells something, with the time since the beginning, wrapped to the width of the terminal.
func (t *teller) say(format string, args ...any) {
	width := 1 << 20 // where nothing is drawn a line is a line, for grep
	if t.live.Terminal() {
		width = t.live.Width()
	}
	stamp := fmt.Sprintf("%6.1fs  ", time.Since(t.begun).Seconds())
	for i, line := range term.Wrap(fmt.Sprintf(format, args...), max(40, width-len(stamp)-1)) {
		if i == 0 {
			t.live.Println(t.style.Dim(stamp) + line)
		} else {
			t.live.Println(strings.Repeat(" ", len(stamp)) + line)
		}
	}
}

func (t *teller) title(nodes int, goesOn time.Duration) {
	t.live.Println("")
	t.live.Println("  " + t.style.Bold("huddle") + t.style.Dim("  ·  a session cache that lives inside the service it serves"))
	t.live.Println("")
	end := "^C ends it."
	if goesOn > 0 {
		end = fmt.Sprintf("It goes on for %v once they are ready; ^C ends it.", goesOn)
	}
	if nodes == 1 {
		t.say("Starting 1 node on this machine, a process of its own. %s", strings.Replace(end, "they are", "it is", 1))
		return
	}
	t.say("Starting %d nodes on this machine, each a process of its own. %s", nodes, end)
}

func (t *teller) introduce(c *cluster.Cluster) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if st, err := c.Nodes()[0].Client().Status(ctx, false); err == nil {
		what := "Every session is kept on " + term.Counted(min(st.Replicas, len(c.Nodes())), "node", "nodes") + "."
		if len(c.Nodes()) > 1 {
			what = fmt.Sprintf("They have found each other and agreed on who the members are: view %d, for each change of the members has a number. ", st.View) + what
		}
		t.say("%s %s", t.good("In sync."), what)
	}
	t.live.Println("")
	table := term.NewTable("         NODE", "PID", "REDIS PORT", "STATUS PAGE")
	for _, n := range c.Nodes() {
		table.Row("         "+t.node(n.Name), fmt.Sprint(n.PID()), n.RESP, n.URL())
	}
	for _, line := range table.Lines(t.style) {
		t.live.Println(line)
	}
	t.live.Println("")
}

func (t *teller) summary(s *shop, ran time.Duration) {
	y := &s.tally
	t.live.Block(nil)
	wrong := t.good("0")
	if n := y.wrong.Load(); n > 0 {
		wrong = t.bad(term.Count(n))
	}
	rows := [][2]string{
		{"visitors", fmt.Sprintf("%s, %s, %s in %s", term.Counted(y.logins.Load(), "log-in", "log-ins"), term.Counted(y.updates.Load(), "cart change", "cart changes"),
			term.Counted(y.logouts.Load(), "log-out", "log-outs"), term.Duration(ran.Round(100*time.Millisecond)))},
		{"reads", fmt.Sprintf("%s: %s found the session, %s rightly found none", term.Count(y.reads.Load()), term.Count(y.hits.Load()), term.Count(y.absent.Load()))},
		{"wrong", wrong},
		{"latency", y.latencies()},
	}
	if y.killed.Load() != 0 {
		cost := "nothing that a visitor would feel"
		if n := y.slowAfterKill.Load(); n > 0 {
			cost = fmt.Sprintf("%s waited longer than %s, the longest %s; the last such %s after the kill", term.Counted(n, "read", "reads"), term.Duration(slow),
				term.Duration(time.Duration(y.longestRead.Load())), term.Duration(time.Duration(y.longestOutage.Load())))
		}
		rows = append(
			rows,
			[2]string{"the kill", cost},
			[2]string{"", balanced(s.b.retries.Load(), y.wrong.Load())},
		)
	}
	t.live.Println("")
	for _, row := range rows {
		t.live.Println("  " + t.style.Dim(fmt.Sprintf("%-10s", row[0])) + row[1])
	}
	t.live.Println("")
}

// balanced tells what the balancer did about requests that a node had no answer to, and what came of the sessions.
func balanced(retries, wrong uint64) string {
	text := "each request was answered at the first try"
	if retries > 0 {
		text = term.Counted(retries, "try", "tries") + " met a node that was dead or not sure yet, and the balancer went on to another"
	}
	if wrong == 0 {
		text += "; no session was lost"
	}
	return text
}

// latencies tells how long reads took, if there were any.
func (y *tally) latencies() string {
	if y.reads.Load() == 0 {
		return "–"
	}
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s, longest %s", term.Duration(y.latency.Quantile(0.5)), term.Duration(y.latency.Quantile(0.99)),
		term.Duration(y.latency.Quantile(0.999)), term.Duration(y.latency.Max()))
}
