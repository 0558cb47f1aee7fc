package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/app"
	"github.com/huddle-cache/huddle/cmd/internal/client"
	"github.com/huddle-cache/huddle/cmd/internal/term"
	"github.com/huddle-cache/huddle/node"
)

// target names the node that a command speaks to.
type target struct {
	Admin          string `default:"127.0.0.1:7480" placeholder:"HOST:PORT" help:"Admin address of any node of the cluster. Default: ${default}."`
	AdminTokenFile string `placeholder:"FILE" help:"File with the admin token; of several, one in each line, the first. Default: none."`
	JSON           bool   `name:"json" help:"Print JSON. Default: no."`
}

// dial returns a client of the node and a context that ends with ^C. The caller calls end when it is done with both.
func (t *target) dial() (ctx context.Context, cl *client.Client, end func(), err error) {
	addr := strings.TrimSuffix(strings.TrimPrefix(t.Admin, "http://"), "/")
	if !app.HostPort(addr) {
		return nil, nil, nil, usage("--admin %q is not usable: it must be host:port, where a node serves its --admin", t.Admin)
	}
	token, err := app.Secret("--admin-token-file", t.AdminTokenFile)
	if err != nil {
		return nil, nil, nil, err
	}
	cl = client.New(addr, token)
	ctx, stop := interruptible()
	return ctx, cl, func() { stop(); cl.Close() }, nil
}

// say prints v as JSON if that was asked for, else text.
func (t *target) say(io *streams, v any, text string) error {
	if t.JSON {
		enc := json.NewEncoder(io.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	_, err := fmt.Fprintln(io.out, text)
	return err
}

// Codes of failures that are no answer of a node.
const (
	codeNoAnswer = "no_answer"
	codeDeclined = "declined" // by who was asked on the terminal
)

// failure is what a command prints with --json when it has failed. Key is there if it concerns one entry.
type failure struct {
	*keyInJSON
	api.Error
}

// fail prints a failure as JSON if that was asked for.
func (t *target) fail(io *streams, err error) error {
	if !t.JSON || errors.Is(err, context.Canceled) {
		return nil
	}
	f := failure{Error: api.Error{Code: codeNoAnswer, Text: err.Error()}}
	var refused *api.Error
	var mistake *app.UsageError
	var about *entryError
	switch {
	case errors.As(err, &refused):
		f.Code = refused.Code
	case errors.As(err, &mistake):
		f.Code = api.CodeInvalid
	}
	if errors.As(err, &about) {
		key := inJSON(about.key)
		f.keyInJSON = &key
	}
	return t.say(io, f, "")
}

// about says which of several keys it is that the node speaks of, by its place: a key is a token, and errors are logged.
func about(i, of int, err error) error {
	var refused *api.Error
	if of > 1 && errors.As(err, &refused) {
		return fmt.Errorf("%s of %d: %w", ordinal(i+1), of, err)
	}
	return err
}

// ordinal is n as in "the 2nd".
func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("the %d%s", n, suffix)
}

// maxTTL is the longest time to live that a node keeps: 100 years.
const maxTTL = 876_000 * time.Hour

func checkTTL(what string, ttl time.Duration) error {
	switch {
	case ttl < 0:
		return usage("%s %s is not usable: give a positive time such as 30m, or 0 for no end", what, ttl)
	case ttl > maxTTL:
		return usage("%s %s is not usable: at most 876000h, which is 100 years, or 0 for no end", what, ttl)
	}
	return nil
}

// checkKeys refuses what no node takes for a key.
func checkKeys(keys ...string) error {
	if slices.Contains(keys, "") {
		return usage("the key is empty")
	}
	return nil
}

type getCmd struct {
	Key string `arg:"" help:"The key."`
	target
}

// Help is the long form of the help.
func (getCmd) Help() string {
	return "The exit code is 0 if the value was printed, 3 if there certainly is no such entry, 4 if that is not known just now (try again), 1 if " +
		"no node answered, or refused to. With --json, as of every command, what failed is printed to standard output too: \"code\" is absent, unsure, no_answer if " +
		"no node answered, or another of the admin interface's, and \"error\" says more. \"value\" is null for a value that is no text: it is in \"value_base64\"; " +
		"\"key_base64\" is there for a key that is none."
}

// Run prints a value as it is; a line end is added on a terminal only.
func (c *getCmd) Run(io *streams) error {
	if err := checkKeys(c.Key); err != nil {
		return err
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	e, err := cl.Get(ctx, c.Key)
	switch {
	case err != nil:
		return ofEntry(c.Key, err)
	case c.JSON:
		return c.say(io, entryInJSON(c.Key, e), "")
	}
	if _, err := io.out.Write(e.Value); err != nil {
		return err
	}
	if term.IsTerminal(io.out) {
		_, err = fmt.Fprintln(io.out)
	}
	return err
}

// keyInJSON is how a key stands in JSON.
type keyInJSON struct {
	Key   string `json:"key"`
	Bytes []byte `json:"key_base64,omitempty"` // of a key that is no text
}

func inJSON(key string) keyInJSON {
	if utf8.ValidString(key) {
		return keyInJSON{Key: key}
	}
	return keyInJSON{key, []byte(key)}
}

// entry is what get prints of an entry with --json.
type entry struct {
	keyInJSON
	Value   *string  `json:"value"`                  // null: it is no text
	Bytes   []byte   `json:"value_base64,omitempty"` // of a value that is no text
	Version uint64   `json:"version,string"`
	TTL     float64  `json:"ttl_seconds,omitempty"` // absent: no end
	Tags    []string `json:"tags,omitempty"`
}

func entryInJSON(key string, e node.Entry) entry {
	out := entry{keyInJSON: inJSON(key), Version: e.Version, TTL: e.TTL.Seconds(), Tags: e.Tags}
	if utf8.Valid(e.Value) {
		text := string(e.Value)
		out.Value = &text
	} else {
		out.Bytes = e.Value
	}
	return out
}

type setCmd struct {
	Key   string         `arg:"" help:"The key."`
	Value string         `arg:"" help:"The value; - reads it from standard input."`
	TTL   *time.Duration `name:"ttl" placeholder:"TIME" help:"Time to live, such as 30m; 0: no end. Default: that of the node."`
	Tag   []string       `sep:"none" placeholder:"TAG" help:"Tag by which entries can be invalidated together; may be given again. Default: none."`
	target
}

// Run sets a key.
func (c *setCmd) Run(s *streams) error {
	if err := checkKeys(c.Key); err != nil {
		return err
	}
	if c.TTL != nil {
		if err := checkTTL("--ttl", *c.TTL); err != nil {
			return err
		}
	}
	value := []byte(c.Value)
	if c.Value == "-" {
		var err error
		if value, err = io.ReadAll(io.LimitReader(s.in, maxValue+1)); err != nil {
			return err
		}
	}
	if len(value) > maxValue {
		return usage("the value is over %s, which is the most that a node can be made to take (--max-value of serve)", sizeText(maxValue))
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	if err := cl.Set(ctx, c.Key, value, c.TTL, c.Tag); err != nil {
		return err
	}
	return c.say(s, api.Done{OK: true}, "set")
}

type delCmd struct {
	Keys   []string `arg:"" help:"The keys."`
	Revoke bool     `help:"Delete for good: the key cannot be set again for an hour. Default: no."`
	target
}

// Run deletes keys, all of them even if one fails. A key that was not there is no failure.
func (c *delCmd) Run(io *streams) error {
	if err := checkKeys(c.Keys...); err != nil {
		return err
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	var failed error
	deleted := 0
	for i, key := range c.Keys {
		existed, err := cl.Delete(ctx, key, c.Revoke)
		if err != nil {
			failed = errors.Join(failed, about(i, len(c.Keys), err))
		} else if existed {
			deleted++
		}
	}
	if failed != nil {
		return failed
	}
	text := fmt.Sprintf("deleted %d of %d", deleted, len(c.Keys))
	if len(c.Keys) == 1 {
		text = map[bool]string{true: "deleted", false: "was not there"}[deleted == 1]
	}
	return c.say(io, map[string]int{"deleted": deleted}, text)
}

type touchCmd struct {
	Key string        `arg:"" help:"The key."`
	TTL time.Duration `arg:"" name:"ttl" help:"New time to live, such as 30m; 0: no end."`
	target
}

// Help is the long form of the help.
func (touchCmd) Help() string { return "The exit code is 3 if there is no such entry." }

// Run gives a key a new time to live.
func (c *touchCmd) Run(io *streams) error {
	if err := checkKeys(c.Key); err != nil {
		return err
	}
	if err := checkTTL("a time to live of", c.TTL); err != nil {
		return err
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	if err := cl.Touch(ctx, c.Key, c.TTL); err != nil {
		return ofEntry(c.Key, err)
	}
	return c.say(io, api.Done{OK: true}, "touched")
}

// confirm asks on a terminal whether to go on, unless yes. Without a terminal nobody is there to be asked, so yes must have been said.
func (s *streams) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if f, ok := s.in.(*os.File); !ok || !term.IsTerminal(f) {
		return usage("there is no terminal to ask on: %s Say so with --yes", question)
	}
	fmt.Fprint(s.err, question+" Type yes: ")
	var reply string
	if _, err := fmt.Fscanln(s.in, &reply); err != nil || reply != "yes" {
		return &api.Error{Code: codeDeclined, Text: "left as it is"}
	}
	return nil
}

type clearCmd struct {
	Yes bool `short:"y" help:"Do not ask; without a terminal this must be given. Default: ask."`
	target
}

// Run removes every entry.
func (c *clearCmd) Run(io *streams) error {
	if err := io.confirm(c.Yes, "Remove every entry of the cluster?"); err != nil {
		return err
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	if err := cl.Clear(ctx); err != nil {
		return err
	}
	return c.say(io, api.Done{OK: true}, "cleared")
}

type invalidateCmd struct {
	Tags []string `arg:"" name:"tag" help:"The tags; an entry goes that has one of them."`
	target
}

// Run removes the entries of some tags.
func (c *invalidateCmd) Run(io *streams) error {
	if slices.Contains(c.Tags, "") {
		return usage("the tag is empty")
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	if err := cl.InvalidateTags(ctx, c.Tags...); err != nil {
		return err
	}
	tags := "one of these tags"
	if len(c.Tags) == 1 {
		tags = "this tag"
	}
	return c.say(io, api.Done{OK: true}, "invalidated: no node serves an entry any more that had "+tags)
}

type revokeUserCmd struct {
	User string `arg:"" help:"The user's ID."`
	target
}

// Help is the long form of the help.
func (revokeUserCmd) Help() string {
	return "Finds the sessions that are tagged with the user: those of package strategy, of scs, Fiber, gorilla and gin if the store was told " +
		"how to find the user (WithUserOf, WithUser), and sessions in JSON with a user that were set through the Redis protocol or this program. " +
		"Hashes, and sessions whose user is not known, are not found."
}

// Run ends every session of a user.
func (c *revokeUserCmd) Run(io *streams) error {
	if c.User == "" {
		return usage("the user's ID is empty")
	}
	ctx, cl, end, err := c.dial()
	if err != nil {
		return err
	}
	defer end()
	if err := cl.RevokeUser(ctx, c.User); err != nil {
		return err
	}
	return c.say(io, api.Done{OK: true}, "revoked: no node serves a session any more that is tagged with this user")
}
