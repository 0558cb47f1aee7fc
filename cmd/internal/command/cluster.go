package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/client"
	"github.com/huddle-cache/huddle/cmd/internal/term"
	"github.com/huddle-cache/huddle/node"
)

type statusCmd struct{ target }

// Run shows a node's state.
func (c *statusCmd) Run(io *streams) error {
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	st, err := cl.Status(ctx, true)
	if err != nil {
		return err
	}
	return c.say(io, st, strings.Join(statusLines(st, term.StyleFor(io.out)), "\n"))
}

// statusLines tells of a node in aligned lines.
func statusLines(st api.Status, s term.Style) []string {
	reads := st.Hits + st.Remote + st.Misses + st.Unsure
	total := "how many there are in the cluster is not known just now"
	if st.TotalEntries != nil {
		total = term.Count(*st.TotalEntries) + " in the cluster"
	}
	in := fmt.Sprintf("view %s with %s", term.Count(st.View), term.Counted(st.Stats.Members, "member", "members"))
	if st.Waiting != "" {
		in = "not in it: " + term.Clean(st.Waiting)
	}
	rows := [][2]string{
		{"node", s.Bold(term.Clean(st.Name)) + "  " + syncWord(st, s)},
		{"cluster", term.Clean(st.Cluster) + ", " + in},
		{"address", st.Addr},
	}
	if st.NameHeldBy != "" {
		rows = append(rows, [2]string{"name", fmt.Sprintf("%s is that of another live process, at %s; give each node a name of its own (--name)",
			term.Clean(st.Name), term.Clean(st.NameHeldBy))})
	}
	if st.RESP != "" {
		rows = append(rows, [2]string{"redis", st.RESP})
	}
	rows = append(
		rows,
		[2]string{"entries", fmt.Sprintf("%s; here %s, and %s", total, term.Count(st.Entries), term.Counted(st.Near, "near copy", "near copies"))},
		[2]string{"owns", fmt.Sprintf("%s of %s partitions, %s of %s still to be pulled", term.Count(st.Owned), term.Count(st.Partitions), term.Count(st.Pending), term.Count(st.ToPull))},
		[2]string{"memory", fmt.Sprintf("%s of %s, an eighth for tombstones; %s evicted for room", term.Bytes(st.Bytes), term.Bytes(st.MaxBytes), term.Count(st.Evictions))},
		[2]string{"reads", fmt.Sprintf("%s: %s from own memory, %s from another node, %s absent, %s not sure", term.Count(reads),
			term.Percent(float64(st.Hits), float64(reads)), term.Count(st.Remote), term.Count(st.Misses), term.Count(st.Unsure))},
		[2]string{"writes", fmt.Sprintf("%s, %s, %s, %s not confirmed", term.Counted(st.Sets, "set", "sets"), term.Counted(st.Deletes, "delete", "deletes"),
			term.Counted(st.Cuts, "cut", "cuts"), term.Count(st.Unconfirmed))},
		[2]string{"up", term.Duration(time.Duration(st.UptimeSeconds * float64(time.Second)).Round(time.Second))},
		[2]string{"version", term.Clean(st.Version)},
	)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = s.Dim(fmt.Sprintf("%-9s", row[0])) + row[1]
	}
	return lines
}

func syncWord(st api.Status, s term.Style) string {
	switch {
	case st.InSync && st.Settled:
		return s.Green("in sync")
	case st.InSync:
		return s.Green("in sync") + ", " + s.Yellow("shares are moving")
	case st.Leaving:
		return s.Yellow("leaving: handing over")
	case st.Acting:
		return s.Yellow("catching up")
	case st.NameHeldBy != "":
		return s.Red("outside the cluster: its name is taken")
	case st.Waiting != "":
		return s.Yellow("in no cluster")
	default:
		return s.Red("without a majority")
	}
}

type membersCmd struct{ target }

// Run lists the members.
func (c *membersCmd) Run(io *streams) error {
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	m, err := cl.Members(ctx)
	if err != nil {
		return err
	}
	return c.say(io, m, strings.Join(memberTable(m.Members, term.StyleFor(io.out)), "\n"))
}

func memberTable(members []node.Member, s term.Style) []string {
	table := term.NewTable("NODE", "STATE", ">SHARE", "ADDRESS", "ID")
	for _, m := range members {
		name := term.Clean(m.Name)
		if m.Self {
			name = s.Bold(name) + s.Dim(" (asked)")
		}
		table.Row(name, stateWord(m.State, s), term.Percent(m.Share, 1), term.Clean(m.Addr), s.Dim(short(m.ID)))
	}
	return table.Lines(s)
}

func stateWord(state string, s term.Style) string {
	switch state {
	case "member":
		return s.Green(state)
	case "silent":
		return s.Red(state)
	default:
		return s.Yellow(term.Clean(state))
	}
}

// short is enough of an ID to tell two apart.
func short(id string) string {
	id = term.Clean(id)
	return id[:min(len(id), 8)]
}

type ringCmd struct {
	Key *string `arg:"" optional:"" help:"A key whose place is shown. Default: none, the shares of the nodes."`
	target
}

// Run shows the ring.
func (c *ringCmd) Run(io *streams) error {
	if c.Key != nil {
		if err := checkKeys(*c.Key); err != nil {
			return err
		}
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	s := term.StyleFor(io.out)
	if c.Key != nil {
		r, err := cl.Locate(ctx, *c.Key)
		if err != nil {
			return err
		}
		if r.Owner == "" {
			return errors.New("the node is in no cluster at present: no key has a place")
		}
		copies := "none"
		if len(r.Copies) > 0 {
			copies = term.Clean(strings.Join(r.Copies, ", "))
		}
		return c.say(io, r, fmt.Sprintf("%s%d of %d\n%s%s\n%s%s", s.Dim("partition "), r.Partition, r.Partitions,
			s.Dim("owner     "), s.Bold(term.Clean(r.Owner)), s.Dim("copies    "), copies))
	}
	r, err := cl.Ring(ctx)
	if err != nil {
		return err
	}
	table := term.NewTable("NODE", ">SHARE", "")
	for _, share := range r.Shares {
		const width = 40
		bar := strings.Repeat("█", min(width, int(share.Share*width+0.5)))
		table.Row(term.Clean(share.Name), term.Percent(share.Share, 1), s.Cyan(bar))
	}
	head := fmt.Sprintf("view %s, %s, %s of each entry", term.Count(r.View), term.Counted(r.Partitions, "partition", "partitions"), term.Counted(r.Replicas, "copy", "copies"))
	return c.say(io, r, s.Dim(head)+"\n"+strings.Join(table.Lines(s), "\n"))
}

type forgetCmd struct {
	Name string `arg:"" help:"Name of the lost node."`
	Yes  bool   `short:"y" help:"Do not ask; without a terminal this must be given. Default: ask."`
	target
}

// Help is the long form of the help.
func (forgetCmd) Help() string {
	return "For a node that is lost for good while those left are no majority: they cannot tell a dead majority from one that they are cut off from. " +
		"If they are a majority without the node, they give up all entries and start over as a new, EMPTY cluster: every session is gone. " +
		"With --expect they wait, as on any cold start, until so many are there: start others, or start them again with a lower number. " +
		"If the node, or another of its name, can be started again, do that instead: then nothing is lost. With a majority alive nothing has to be forgotten."
}

// Run takes a lost node out of the count.
func (c *forgetCmd) Run(io *streams) error {
	if c.Name == "" {
		return usage("the name of the lost node is empty")
	}
	name := term.Clean(c.Name)
	question := "Take " + name + " out of the count of the majority? The nodes that are left may then give up all their entries and start over, empty."
	if err := io.confirm(c.Yes, question); err != nil {
		return err
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	if err := cl.Forget(ctx, c.Name); err != nil {
		return err
	}
	answer, text := c.outcome(ctx, cl)
	return c.say(io, answer, name+" is no longer counted; "+text)
}

// What was forgotten takes effect with the next look of the nodes at their majority, which is soon.
const (
	forgetWithin = 3 * time.Second
	forgetPause  = 200 * time.Millisecond
)

// forgetAnswer tells what came of a forget.
type forgetAnswer struct {
	OK         bool     `json:"ok"`
	NoMajority bool     `json:"no_majority"`      // there is still none
	Silent     []string `json:"silent,omitempty"` // who else is silent then
}

// outcome tells whether there is a majority now, or will be: a node that was forgotten earlier is silent too, and does not count.
func (c *forgetCmd) outcome(ctx context.Context, cl *client.Client) (forgetAnswer, string) {
	const goOn = "nodes that had no majority, and have one without it, now give up all their entries and start over, empty; with --expect, as soon as so many are there"
	for end := time.Now().Add(forgetWithin); ; {
		st, m, err := look(ctx, cl, false)
		if err != nil || st.View == 0 {
			return forgetAnswer{OK: true}, goOn
		}
		// Whether the node still acts says nothing: its lease may outlast the majority by a moment.
		others := slices.DeleteFunc(m.Members, func(o node.Member) bool { return o.Name == c.Name })
		silent, noMajority := api.Silent(others, st.Stats.Members-1)
		if !noMajority {
			return forgetAnswer{OK: true}, goOn
		}
		if time.Now().After(end) {
			return forgetAnswer{OK: true, NoMajority: true, Silent: silent}, stillNone(silent)
		}
		select {
		case <-ctx.Done():
		case <-time.After(forgetPause):
		}
	}
}

func stillNone(silent []string) string {
	names := term.Clean(strings.Join(silent, ", "))
	if len(silent) == 1 {
		return fmt.Sprintf("still no majority: %s is silent too; forget it as well, or start it again", names)
	}
	return fmt.Sprintf("still no majority: %s are silent too; forget more of them, or start them again", names)
}
