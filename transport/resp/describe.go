package resp

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
)

func configSubs() []sub {
	return []sub{
		{"get", -3, configGet},
		{"set", -4, func(c *client, args [][]byte) {
			c.writeError("ERR Unknown option or number of arguments for CONFIG SET - '" + cString(args[2], 128) + "'")
		}},
		{"resetstat", 2, cmdOK},
	}
}

func configGet(c *client, args [][]byte) {
	cfg := c.srv.cfg
	parameters := [][2]string{
		{"appendonly", "no"},
		{"databases", "1"},
		{"maxclients", strconv.Itoa(cfg.MaxConns)},
		{"proto-max-bulk-len", strconv.Itoa(cfg.MaxValueBytes)},
		{"save", ""},
		{"timeout", "0"},
	}
	for _, section := range cfg.Backend.Info() { // INFO shows it, and monitoring compares the two
		for _, f := range section.Fields {
			if f[0] == "maxmemory" {
				parameters = append(parameters, f)
			}
		}
	}
	var wanted [][2]string
	for _, arg := range args[2:] {
		pattern, ok := compileGlob(c.context(), bytes.ToLower(arg))
		if !ok {
			c.writeError(errPattern)
			return
		}
		for _, p := range parameters {
			switch ok, err := match(pattern, p[0]); {
			case err != nil:
				c.fail(err)
				return
			case ok && !slices.Contains(wanted, p):
				wanted = append(wanted, p)
			}
		}
	}
	c.writeMap(len(wanted))
	for _, p := range wanted {
		c.writeBulkString(p[0])
		c.writeBulkString(p[1])
	}
}

func cmdCommand(c *client, _ [][]byte) { c.describeCommands(c.srv.commandNames()) }

func commandSubs() []sub {
	return []sub{
		{"count", 2, func(c *client, _ [][]byte) { c.writeInt(int64(len(c.srv.commandNames()))) }},
		{"list", -2, commandList},
		{"getkeys", -4, commandGetKeys},
		{"info", -2, func(c *client, args [][]byte) {
			if len(args) == 2 {
				cmdCommand(c, args)
				return
			}
			names := make([]string, 0, len(args)-2)
			for _, arg := range args[2:] {
				names = append(names, string(arg))
			}
			c.describeCommands(names)
		}},
	}
}

// commandList serves COMMAND LIST. No command is one of a module, nor has any a category.
func commandList(c *client, args [][]byte) {
	names := c.srv.commandNames()
	switch {
	case len(args) == 2:
	case len(args) != 5 || !equalFold(args[2], "filterby"):
		c.writeError(errSyntax)
		return
	case equalFold(args[3], "module"), equalFold(args[3], "aclcat"):
		names = nil
	case equalFold(args[3], "pattern"):
		pattern, ok := compileGlob(c.context(), bytes.ToLower(args[4]))
		if !ok {
			c.writeError(errPattern)
			return
		}
		var err error
		if names, err = pattern.matching(names); err != nil {
			c.fail(err)
			return
		}
	default:
		c.writeError(errSyntax)
		return
	}
	c.writeKeys(names)
}

// commandGetKeys serves COMMAND GETKEYS: which arguments of a command are its keys.
func commandGetKeys(c *client, args [][]byte) {
	args = args[2:]
	switch cmd := c.srv.find(args[0]); {
	case cmd == nil || cmd.run == nil:
		c.writeError("ERR Invalid command specified")
	case cmd.first == 0 && !cmd.counted:
		c.writeError("ERR The command has no key arguments")
	case !cmd.fits(len(args)):
		c.writeError("ERR Invalid number of arguments specified for command")
	default:
		var keys [][]byte
		if cmd.counted {
			keys, _, _ = countedKeys(args) // none if they are counted wrongly
		} else {
			for i := cmd.first; i <= cmd.lastKey(args); i += cmd.step {
				keys = append(keys, args[i])
			}
		}
		c.writeArray(len(keys))
		for _, key := range keys {
			c.writeBulk(key)
		}
	}
}

func (s *Server) commandNames() []string {
	names := slices.Sorted(maps.Keys(s.commands))
	return slices.DeleteFunc(names, func(name string) bool { return s.commands[name].run == nil })
}

// describeCommands answers with what clients want to know about commands: name, arity, flags, keys, and four lists that are empty.
func (c *client) describeCommands(names []string) {
	c.writeArray(len(names))
	for _, name := range names {
		cmd := c.srv.find([]byte(name))
		if cmd == nil || cmd.run == nil {
			c.writeNull()
			continue
		}
		c.writeArray(10)
		c.writeBulkString(cmd.name)
		c.writeInt(int64(cmd.arity))
		c.writeSet(1)
		if cmd.write {
			c.writeSimple("write")
		} else {
			c.writeSimple("readonly")
		}
		c.writeInt(int64(cmd.first))
		c.writeInt(int64(cmd.last))
		c.writeInt(int64(cmd.step))
		c.writeSet(0) // ACL categories
		c.writeArray(0)
		c.writeArray(0)
		c.writeArray(0)
	}
}
