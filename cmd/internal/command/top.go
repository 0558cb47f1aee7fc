package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/client"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// totalEvery is how often the entries of the cluster are counted, for which every node is asked.
const totalEvery = 10 * time.Second

type topCmd struct {
	Every time.Duration `default:"1s" placeholder:"TIME" help:"Time between two looks. Default: ${default}."`
	target
}

// Help is the long form of the help.
func (topCmd) Help() string { return "On a terminal until ^C; elsewhere, and with --json, once." }

// Run shows a node and its cluster until ^C; on what is no terminal, once.
func (c *topCmd) Run(io *streams) error {
	if c.Every < 100*time.Millisecond {
		return usage("--every %s is too short: at least 100ms", c.Every)
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	s := term.StyleFor(io.out)
	live := term.NewLive(io.out)
	defer live.Close()
	if c.JSON || !live.Terminal() {
		return c.once(ctx, io, cl, s)
	}
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	var last api.Status
	var lastAt, totalAt time.Time
	var total *int
	for {
		now := time.Now()
		count := totalAt.IsZero() || now.Sub(totalAt) >= totalEvery
		st, m, err := look(ctx, cl, count)
		switch {
		case err != nil:
		case count:
			total, totalAt = st.TotalEntries, now
		default:
			st.TotalEntries = total
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && lastAt.IsZero():
			return err
		case err != nil:
			live.Block([]string{s.Red(err.Error()), "", s.Dim("Trying again. ^C ends.")})
		default:
			lines := statusLines(st, s)
			if !lastAt.IsZero() && st.UptimeSeconds >= last.UptimeSeconds {
				lines = append(lines, rateLine(last, st, now.Sub(lastAt), s))
			}
			lines = append(lines, "")
			lines = append(lines, memberTable(m.Members, s)...)
			live.Block(append(lines, "", s.Dim("^C ends.")))
			last, lastAt = st, now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *topCmd) once(ctx context.Context, io *streams, cl *client.Client, s term.Style) error {
	st, m, err := look(ctx, cl, true)
	if err != nil {
		return err
	}
	lines := append(append(statusLines(st, s), ""), memberTable(m.Members, s)...)
	return c.say(io, struct {
		Status  api.Status  `json:"status"`
		Members api.Members `json:"members"`
	}{st, m}, strings.Join(lines, "\n"))
}

func look(ctx context.Context, cl *client.Client, total bool) (api.Status, api.Members, error) {
	st, err := cl.Status(ctx, total)
	if err != nil {
		return st, api.Members{}, err
	}
	m, err := cl.Members(ctx)
	return st, m, err
}

func rateLine(from, to api.Status, over time.Duration, s term.Style) string {
	per := func(a, b uint64) string {
		if b < a || over <= 0 {
			return "–"
		}
		return term.Count(int(float64(b-a)/over.Seconds() + 0.5))
	}
	return s.Dim(fmt.Sprintf("%-9s", "a second")) + fmt.Sprintf("%s hits, %s from other nodes, %s absent, %s sets, %s deletes, %s messages",
		s.Bold(per(from.Hits, to.Hits)), per(from.Remote, to.Remote), per(from.Misses, to.Misses), per(from.Sets, to.Sets),
		per(from.Deletes, to.Deletes), per(from.SentMessages, to.SentMessages))
}
