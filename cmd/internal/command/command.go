// Package command is the command line of the binary: its commands, their flags, and what they print.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/app"
	"github.com/huddle-cache/huddle/cmd/internal/term"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitAbsent  = 3
	exitUnsure  = 4
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// grammar is the whole command line.
type grammar struct {
	Demo  demoCmd  `cmd:"" group:"see" help:"See it work: a cluster of real processes on this machine, driven and narrated."`
	Chaos chaosCmd `cmd:"" group:"see" help:"Kill, pause and restart nodes of a local cluster under load and check the promises."`
	Bench benchCmd `cmd:"" group:"see" help:"Measure a cluster under load, beside a Redis if one is named."`

	Serve  serveCmd  `cmd:"" group:"node" help:"Run a node."`
	Keygen keygenCmd `cmd:"" group:"node" help:"Make a key that secures a cluster."`

	Get        getCmd        `cmd:"" group:"entries" help:"Print the value of a key."`
	Set        setCmd        `cmd:"" group:"entries" help:"Set a key."`
	Del        delCmd        `cmd:"" group:"entries" help:"Delete keys."`
	Touch      touchCmd      `cmd:"" group:"entries" help:"Give a key a new time to live."`
	Clear      clearCmd      `cmd:"" group:"entries" help:"Remove every entry of the cluster."`
	Invalidate invalidateCmd `cmd:"" group:"entries" help:"Remove every entry that has one of some tags, on all nodes."`
	RevokeUser revokeUserCmd `cmd:"" group:"entries" help:"End every session of a user, on all nodes."`

	Status  statusCmd  `cmd:"" group:"cluster" help:"Show how a node is."`
	Members membersCmd `cmd:"" group:"cluster" help:"List the members of the cluster."`
	Ring    ringCmd    `cmd:"" group:"cluster" help:"Show who owns how much, or where a key lives."`
	Top     topCmd     `cmd:"" group:"cluster" help:"Watch a node and its cluster."`
	Forget  forgetCmd  `cmd:"" group:"cluster" help:"Take a lost node out of the count of the majority; what is left may start over, EMPTY."`

	Version versionCmd `cmd:"" help:"Print the version."`
}

// Main runs the command that args name and returns the exit code: 0 when it worked, 1 when it failed, 2 when it was asked for
// wrongly; of get and touch 3 when there certainly is no such entry, and 4 when that is not known just now.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	var g grammar
	io := &streams{in: in, out: out, err: errOut}
	ended := -1
	parser, err := kong.New(
		&g,
		kong.Name("huddle"),
		kong.Description("A session cache that lives inside the service it serves."),
		kong.DefaultEnvars("HUDDLE"),
		onlyShared(),
		verbatim(),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { ended = code; panic(exitNow{}) }),
		kong.Bind(io),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "see", Title: "See it work"},
			{Key: "node", Title: "A node"},
			{Key: "entries", Title: "Entries, through any running node"},
			{Key: "cluster", Title: "The cluster, as a running node sees it"},
		}),
	)
	if err != nil {
		fmt.Fprintf(errOut, "huddle: %v\n", err)
		return exitFailure
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	kctx, err := parse(parser, args)
	switch {
	case ended >= 0:
		return ended
	case err != nil:
		fmt.Fprintf(errOut, "huddle: %s\n%s\n", mistake(err), hint(err))
		if asksForJSON(err, args) {
			_ = (&target{JSON: true}).fail(io, usage("%s", mistake(err))) // it has been said above
		}
		return exitUsage
	}
	err = kctx.Run()
	if t, ok := kctx.Selected().Target.Addr().Interface().(failer); ok && err != nil {
		if said := t.fail(io, err); said != nil && said.Error() != err.Error() { // a full disk is told of once
			err = errors.Join(err, said)
		}
	}
	return exitCode(err, errOut)
}

// verbatim takes arguments as they stand. Kong's own mapper goes by way of JSON, which turns a key that is no UTF-8 into another.
func verbatim() kong.Option {
	return kong.KindMapper(reflect.String, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		t, err := ctx.Scan.PopValue("string")
		if err == nil {
			target.SetString(t.String())
		}
		return err
	}))
}

// usage is a mistake on the command line.
func usage(format string, args ...any) error {
	return &app.UsageError{Text: fmt.Sprintf(format, args...)}
}

// exitNow unwinds the parser once help has been printed.
type exitNow struct{}

func parse(parser *kong.Kong, args []string) (kctx *kong.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exitNow); !ok {
				panic(r)
			}
		}
	}()
	return parser.Parse(args)
}

// mistake tells what is wrong with the command line.
func mistake(err error) string {
	var parseErr *kong.ParseError
	if _, ok := commandOf(err).(failer); ok && errors.As(err, &parseErr) { // what is not in its place may be a key, which is a token: it is not repeated
		if strings.HasPrefix(err.Error(), "unexpected argument ") {
			return fmt.Sprintf("an argument too many: the command is \"huddle %s\"", parseErr.Context.Command())
		}
		if strings.HasPrefix(err.Error(), "<ttl>: expected ") {
			return "<ttl> is no time: give one such as 30m or 90s, or 0 for no end"
		}
	}
	if name, rest, ok := strings.Cut(err.Error(), ": expected "); ok && errors.As(err, &parseErr) && parseErr.Context != nil {
		_, value, _ := strings.Cut(rest, "but got \"-")
		value, _, found := strings.Cut(value, "\"")
		if found && isNumber(parseErr.Context.Flags(), strings.TrimPrefix(name, "--")) { // the parser takes it for a flag, and says how it could be given all the same
			return fmt.Sprintf("%s -%s is not usable: it must not be negative", name, value)
		}
	}
	if number, found := strings.CutPrefix(err.Error(), "unknown flag -"); found && number[0] >= '0' && number[0] <= '9' {
		return "-" + number[:1] + "... is no flag, and no number, size or time may be negative"
	}
	if letter, found := strings.CutPrefix(err.Error(), "unknown flag -"); found && letter[0] != '-' { // -listen, perhaps, or a value; the parser thinks of -h
		letter, _, _ = strings.Cut(letter, ",")
		return "unknown flag -" + letter + ": flags are written out, with two dashes; what begins with a dash and is no flag goes after --"
	}
	return err.Error() + missingUnit(err)
}

// isNumber tells whether the named flag is a number, a size or a time. None of these is ever negative.
func isNumber(flags []*kong.Flag, name string) bool {
	i := slices.IndexFunc(flags, func(f *kong.Flag) bool { return f.Name == name })
	if i < 0 {
		return false
	}
	t := flags[i].Target.Type()
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
}

// missingUnit says how a time is given if one was given as a bare number.
func missingUnit(err error) string {
	_, rest, found := strings.Cut(err.Error(), "missing unit in duration \"")
	if number, _, ok := strings.Cut(rest, "\""); found && ok {
		return fmt.Sprintf("; seconds are %ss", number)
	}
	return ""
}

// asksForJSON tells whether a command line that cannot be used asks for an answer in JSON. The parser may not have come so far.
func asksForJSON(err error, args []string) bool {
	if _, ok := commandOf(err).(failer); !ok {
		return false
	}
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	on := []string{"true", "1", "yes"} // as the parser has it
	return slices.Contains(args, "--json") || slices.Contains(on, strings.ToLower(os.Getenv("HUDDLE_JSON")))
}

// commandOf is the command in whose flags or arguments the mistake is; nil: in none.
func commandOf(err error) any {
	var parseErr *kong.ParseError
	if !errors.As(err, &parseErr) || parseErr.Context == nil || parseErr.Context.Selected() == nil {
		return nil
	}
	return parseErr.Context.Selected().Target.Addr().Interface()
}

// failer is a command that tells what has failed in the form that it was asked for.
type failer interface{ fail(*streams, error) error }

// hint says where to read on after a mistake on the command line.
func hint(err error) string {
	var parseErr *kong.ParseError
	if errors.As(err, &parseErr) && parseErr.Context != nil {
		if cmd := parseErr.Context.Command(); cmd != "" {
			return fmt.Sprintf("Run \"huddle %s --help\" for what it takes.", strings.Fields(cmd)[0])
		}
	}
	return "Run \"huddle --help\" for what there is."
}

func exitCode(err error, errOut io.Writer) int {
	var usage *app.UsageError
	var about *entryError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &about):
		fmt.Fprintf(errOut, "huddle: %v\n", err)
		return about.code
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "huddle: %v\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitFailure
	default:
		fmt.Fprintf(errOut, "huddle: %v\n", err)
		return exitFailure
	}
}

// entryError is the end of a command about one entry, which has exit codes of its own.
type entryError struct {
	error
	key  string
	code int
}

// Unwrap returns the cause.
func (e *entryError) Unwrap() error { return e.error }

// ofEntry gives the answer that there is no such entry, or that this is not known, an exit code of its own.
func ofEntry(key string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	code := exitFailure
	var refused *api.Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case api.CodeAbsent:
			code = exitAbsent
		case api.CodeUnsure:
			code = exitUnsure
		}
	}
	return &entryError{err, key, code}
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM. A second one ends the process.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// lasting is interruptible for commands that leave something behind unless they end in order: processes, folders, networks, keys. They do
// so as well when the terminal is closed, and when who reads the output has gone: tee, at ^C, goes first.
func (s *streams) lasting() (context.Context, context.CancelFunc) {
	ctx, stop := interruptible()
	ctx, cancel := context.WithCancel(ctx)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // or it would end the process
	if !signal.Ignored(syscall.SIGHUP) {                    // as nohup has it
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP) // for good: the shell and the system send one each
		go func() {
			select {
			case <-hup:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	if !term.IsTerminal(s.out) {
		s.out = toReader{s.out, cancel}
	}
	return ctx, func() { cancel(); stop() }
}

// toReader writes to who may go, and tells when he has.
type toReader struct {
	io.Writer
	gone func()
}

// Write implements io.Writer.
func (w toReader) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.gone()
	}
	return n, err
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(io *streams) error {
	_, err := fmt.Fprintf(io.out, "huddle %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is what the build says: the module's version, else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
