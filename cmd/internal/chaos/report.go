package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// draw keeps a line of figures at the foot of a terminal until ctx ends, or prints one now and then.
func (r *run) draw(ctx context.Context, l *load) {
	every := 10 * time.Second
	if r.live.Terminal() {
		every = 500 * time.Millisecond
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			r.live.Block(nil)
			return
		case <-ticker.C:
		}
		line := r.figures(l)
		if r.live.Terminal() {
			r.live.Block([]string{"", "  " + line})
		} else {
			r.say("%s", line)
		}
	}
}

func (r *run) figures(l *load) string {
	var nodes []string
	for _, n := range l.nodes {
		mark := r.style.Green("●")
		switch n.State() {
		case cluster.Down:
			mark = r.style.Red("✗")
		case cluster.Paused:
			mark = r.style.Yellow("‖")
		}
		nodes = append(nodes, mark+" "+n.Name)
	}
	l.mu.Lock()
	broken := l.broken
	l.mu.Unlock()
	verdict := r.style.Green("0 broken promises")
	if broken > 0 {
		verdict = r.style.Red(strings.TrimSuffix(term.Count(broken)+" broken promises", map[bool]string{true: "s"}[broken == 1]))
	}
	return fmt.Sprintf("%s   %s reads, %s writes, %s keys checked, %s", strings.Join(nodes, "  "),
		term.Count(l.gets.Load()+l.probed.Load()), term.Count(l.sets.Load()+l.dels.Load()), term.Count(l.keysChecked.Load()), verdict)
}

// report prints what came of the run, and returns ErrBroken or ErrUnchecked if that is not good.
func (r *run) report(l *load, interrupted bool) error {
	l.mu.Lock()
	broken, first := l.broken, l.violations
	l.mu.Unlock()
	var faults []string
	for _, f := range []Fault{Kill, Pause, Restart, Partition} {
		if n := r.byFault[f]; n > 0 {
			faults = append(faults, fmt.Sprintf("%d × %s", n, f))
		}
	}
	if len(faults) == 0 {
		faults = []string{"none"}
	}
	r.live.Println("")
	line := func(name, format string, args ...any) {
		r.live.Println("  " + r.style.Dim(fmt.Sprintf("%-12s", name)) + fmt.Sprintf(format, args...))
	}
	line("seed", "%d", r.cfg.Seed)
	line("faults", "%s", strings.Join(faults, ", "))
	if r.steps > 0 {
		line("healing", "%s at most, after the fault had ended", term.Duration(r.healed))
	}
	line("reads", "%s by clients, %s by probers, %s without an answer", term.Count(l.gets.Load()), term.Count(l.probed.Load()), term.Count(l.unanswered.Load()))
	line("writes", "%s sets, %s deletes, %s not acknowledged", term.Count(l.sets.Load()), term.Count(l.dels.Load()), term.Count(l.unknown.Load()))
	line("latency", "read p50 %s, p99 %s, longest %s; write p50 %s, p99 %s, longest %s",
		term.Duration(l.getTime.Quantile(0.5)), term.Duration(l.getTime.Quantile(0.99)), term.Duration(l.getTime.Max()),
		term.Duration(l.setTime.Quantile(0.5)), term.Duration(l.setTime.Quantile(0.99)), term.Duration(l.setTime.Max()))
	line("lasting", "%s entries set at the beginning, %s reads of them, %s without an answer", term.Count(lastingEntries), term.Count(r.audited), term.Count(r.unaudited))
	line("checked", "%s keys: every answer compared with all writes", term.Count(l.keysChecked.Load()))
	r.live.Println("")
	defer r.live.Println("")
	if interrupted {
		r.live.Println("  " + r.style.Yellow("Interrupted."))
	}
	if broken > 0 {
		r.live.Println("  " + r.style.Red(fmt.Sprintf("BROKEN: %s ×. The first:", term.Count(broken))))
		for _, v := range first[:min(5, len(first))] {
			r.live.Println("    " + v.String())
		}
	}
	if r.unhealed != "" {
		r.live.Println("  " + r.style.Red("BROKEN: ") + r.unhealed)
	}
	switch {
	case broken > 0 || r.unhealed != "":
		return ErrBroken
	case r.steps == 0:
		r.live.Println("  " + r.style.Yellow("Nothing was checked: no fault was made. Give --for more time."))
		return ErrUnchecked
	case !r.lastLook:
		r.live.Println("  " + r.style.Yellow("Not all was checked: the last look at every lasting entry is missing. No broken promise was seen before."))
		return ErrUnchecked
	}
	r.live.Println("  " + r.style.Green("Every promise was kept."))
	return nil
}
