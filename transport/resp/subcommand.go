package resp

import "strings"

// sub is one subcommand of CLIENT, CONFIG, COMMAND or SCRIPT. arity counts as that of a command does.
type sub struct {
	name  string
	arity int
	run   func(c *client, args [][]byte)
}

// sub returns the subcommand that args name, or nil.
func (cmd *command) sub(args [][]byte) *sub {
	for i := range cmd.subs {
		if equalFold(args[1], cmd.subs[i].name) {
			return &cmd.subs[i]
		}
	}
	return nil
}

// withSubs has what is named run. What run was serves the command alone.
func (cmd *command) withSubs() {
	if cmd.subs == nil {
		return
	}
	alone := cmd.run
	cmd.run = func(c *client, args [][]byte) {
		if len(args) == 1 {
			alone(c, args)
			return
		}
		cmd.sub(args).run(c, args)
	}
}

// wrongSub returns the error of a command whose subcommand there is not, or has other arguments. A command that is alone has none.
func (cmd *command) wrongSub(args [][]byte) string {
	if cmd.subs == nil || len(args) == 1 {
		return ""
	}
	s := cmd.sub(args)
	switch {
	case s == nil:
		return errUnknownSub(args)
	case len(args) != s.arity && (s.arity > 0 || len(args) < -s.arity):
		return errArity(cmd.name + "|" + s.name)
	}
	return ""
}

func errUnknownSub(args [][]byte) string {
	name, why := strings.ToUpper(string(args[0])), ""
	switch strings.ToLower(name + " " + string(args[1])) {
	case "client tracking", "client trackinginfo", "client caching", "client getredir":
		why = " huddle has no client-side caching"
	}
	return "ERR unknown subcommand '" + cString(args[1], 128) + "'. Try " + name + " HELP." + why
}
