// Package resptest compares a server of the Redis protocol with a real Redis: the same commands to both, and the same replies.
package resptest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// CompareScripts sends each of the scripts, in RESP2 and in RESP3, to a Redis and to the server at the address ours, after a FLUSHALL of
// both. A reply that is not the same bytes fails the test.
func CompareScripts(t *testing.T, redis, ours string) {
	for _, proto := range []string{"2", "3"} {
		for name, script := range Scripts() {
			t.Run(name+"/RESP"+proto, func(t *testing.T) {
				theirs, ours := dial(t, redis), dial(t, ours)
				for _, c := range []*conn{theirs, ours} {
					c.do("flushall")
					if proto == "3" {
						c.do("hello", "3")
					}
				}
				for line := range strings.Lines(script) {
					line = strings.TrimSpace(line)
					if line == "" {
						continue
					}
					theirs.send(line + "\r\n")
					ours.send(line + "\r\n")
					if want, got := theirs.reply(), ours.reply(); got != want {
						t.Errorf("%s: %q, Redis: %q", line, got, want)
					}
				}
			})
		}
	}
}

// CompareCommands sends commands, in RESP2 or in RESP3, to a Redis and to the server at the address ours. Replies are compared as same makes
// of them. The first that differs ends the test.
func CompareCommands(t *testing.T, redis, ours, proto string, commands [][]string, same func(args []string, reply string) string) {
	t.Helper()
	a, b := dial(t, redis), dial(t, ours)
	a.do("hello", proto)
	b.do("hello", proto)
	for some := range slices.Chunk(commands, 50) {
		var raw strings.Builder
		for _, args := range some {
			raw.WriteString(Command(args...))
		}
		a.send(raw.String())
		b.send(raw.String())
		for _, args := range some {
			if want, got := same(args, a.reply()), same(args, b.reply()); got != want {
				t.Fatalf("%q: %q, Redis: %q", args, got, want)
			}
		}
	}
}

// Options change what CompareRandom sends.
type Options struct {
	// Seed determines the commands. With an odd one they are sent in RESP3.
	Seed uint64
	// Commands is their number.
	Commands int
	// Tickets: the server's WATCH of an absent key is stricter than that of Redis, so keys that are absent are not watched.
	Tickets bool
	// Parts: sets are kept in parts, which DBSIZE counts, whose changes WATCH does not notice, and which RENAME refuses; so these are left out.
	Parts bool
}

// CompareRandom sends random commands to a Redis and to the servers at the addresses ours, which keep the same keys, after a FLUSHALL. Each
// address has a connection of its own, and Redis one for each; which one sends a command is random too, so that transactions of
// several connections overlap. The first reply that differs ends the test. The order of members and keys may differ, and TTLs by what
// time passes.
func CompareRandom(t *testing.T, redis string, ours []string, o Options) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(o.Seed, 1))}
	var pairs [][2]*conn
	for _, addr := range ours {
		pairs = append(pairs, [2]*conn{dial(t, redis), dial(t, addr)})
	}
	aside := dial(t, redis)
	both := func(at [2]*conn, args []string) (want, got string) {
		raw := Command(args...)
		at[0].send(raw)
		at[1].send(raw)
		return normal(args, at[0].reply()), normal(args, at[1].reply())
	}
	if want, got := both(pairs[0], []string{"flushall"}); want != got {
		t.Fatalf("flushall: %q, Redis: %q", got, want)
	}
	for _, at := range pairs {
		if o.Seed%2 == 1 {
			at[0].do("hello", "3")
			at[1].do("hello", "3")
		}
	}
	for i := range o.Commands {
		args := g.command()
		for o.Parts && (args[0] == "dbsize" || args[0] == "watch" || strings.HasPrefix(args[0], "rename")) ||
			o.Tickets && args[0] == "watch" && aside.do("exists", args[1]) == ":0\r\n" {
			args = g.command()
		}
		if args[0] == "dbsize" {
			aside.do("scan", "0", "count", "100000") // so that Redis removes what has ended, and does not count it
		}
		node := g.IntN(len(pairs))
		if want, got := both(pairs[node], args); want != got {
			t.Fatalf("command %d, %q at %d: %q, Redis: %q", i, args, node, got, want)
		}
	}
}

// normal takes out of a reply what may differ: the order of members and keys, and the running of clocks.
func normal(args []string, reply string) string {
	switch strings.ToLower(args[0]) {
	case "smembers", "keys", "sscan", "scan":
		lines := strings.SplitAfter(reply, "\r\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	case "ttl", "pttl", "expiretime", "pexpiretime":
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(reply, ":")), 10, 64)
		if err == nil && n > 0 {
			per := int64(60) // seconds; the random TTLs lie far apart
			if args[0][0] == 'p' {
				per = 60_000
			}
			if n > 1e6*per { // a time of day, or a TTL up to one that was given: these may fall on any second
				per *= 1e6
			}
			return fmt.Sprint("about ", (n+per/2)/per)
		}
	case "exec":
		lines := strings.Split(reply, "\r\n")
		for i, line := range lines {
			if n, err := strconv.ParseInt(strings.TrimPrefix(line, ":"), 10, 64); err == nil && n > 500 {
				lines[i] = ":much" // perhaps a TTL
			}
		}
		slices.Sort(lines) // KEYS and SMEMBERS may be among the commands
		return strings.Join(lines, "\r\n")
	}
	return reply
}
