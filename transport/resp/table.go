package resp

// command is one verb.
type command struct {
	name  string
	arity int // arguments with the name; negative: at least so many
	// The keys, as COMMAND tells them: positions of the first and last, and the step between. 0: none.
	first, last, step int
	counted           bool  // the keys begin at 3, and at 2 is how many there are
	write             bool  // for COMMAND
	open              bool  // allowed before the password is given
	direct            bool  // not queued by MULTI
	atOnce            bool  // takes next to no time, and logs nothing
	reads             bool  // calls client.read once, with its first argument, and changes nothing
	walks             bool  // reads, and goes through all of a hash
	removes           bool  // deletes what it names, and that goes on by itself once it is begun
	keyless           bool  // touches neither a key nor the keyspace
	subs              []sub // what its second argument may name
	run               func(c *client, args [][]byte)
	plan              func(args [][]byte) (plannedWrite, bool) // nil: what it writes does not follow from its arguments
}

func (cmd *command) fits(args int) bool {
	return args == cmd.arity || cmd.arity < 0 && args >= -cmd.arity
}

// namesPart tells whether one of the keys is that of a part of a set, which is not the client's to touch.
func (cmd *command) namesPart(args [][]byte) bool {
	if cmd.first == 0 {
		return false
	}
	for i, last := cmd.first, cmd.lastKey(args); i <= last; i += cmd.step {
		if len(args[i]) >= len(partPrefix) && string(args[i][:len(partPrefix)]) == partPrefix {
			return true
		}
	}
	return false
}

// lastKey is the position of the last key, or one behind it.
func (cmd *command) lastKey(args [][]byte) int {
	if cmd.last > 0 {
		return cmd.last
	}
	return len(args) - 1
}

// find returns the command of a name in any case, or nil.
func (s *Server) find(name []byte) *command {
	var low [24]byte
	if len(name) > len(low) {
		return nil
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		low[i] = b
	}
	return s.commands[string(low[:len(name)])]
}

func commandTable() map[string]*command {
	table := make(map[string]*command)
	add := func(cmds ...command) {
		for _, cmd := range cmds {
			cmd.withSubs()
			table[cmd.name] = &cmd
		}
	}
	add(
		command{name: tooLarge, arity: -1, run: nil},
		command{name: tooMany, arity: -1, run: nil},

		command{name: "ping", arity: -1, atOnce: true, run: cmdPing},
		command{name: "echo", arity: 2, atOnce: true, run: cmdEcho},
		command{name: "hello", arity: -1, open: true, run: cmdHello},
		command{name: "auth", arity: -2, open: true, run: cmdAuth},
		command{name: "select", arity: 2, run: cmdSelect},
		command{name: "client", arity: -2, subs: clientSubs()},
		command{name: "command", arity: -1, run: cmdCommand, subs: commandSubs()},
		command{name: "info", arity: -1, run: cmdInfo},
		command{name: "config", arity: -2, subs: configSubs()},
		command{name: "quit", arity: -1, atOnce: true, open: true, direct: true, run: cmdQuit},
		command{name: "reset", arity: 1, atOnce: true, open: true, direct: true, run: cmdReset},
		command{name: "readonly", arity: 1, atOnce: true, run: cmdOK},
		command{name: "readwrite", arity: 1, atOnce: true, run: cmdOK},
		command{name: "time", arity: 1, atOnce: true, run: cmdTime},

		command{name: "multi", arity: 1, atOnce: true, direct: true, run: cmdMulti},
		command{name: "exec", arity: 1, direct: true, run: cmdExec},
		command{name: "discard", arity: 1, atOnce: true, direct: true, run: cmdDiscard},
		command{name: "watch", arity: -2, first: 1, last: -1, step: 1, direct: true, run: cmdWatch},
		command{name: "unwatch", arity: 1, atOnce: true, run: cmdUnwatch},

		command{name: "mget", arity: -2, first: 1, last: -1, step: 1, run: cmdMget},
		command{name: "mset", arity: -3, first: 1, last: -1, step: 2, write: true, run: cmdMset},
		command{name: "del", arity: -2, first: 1, last: -1, step: 1, write: true, removes: true, run: cmdDel},
		command{name: "unlink", arity: -2, first: 1, last: -1, step: 1, write: true, removes: true, run: cmdDel},
		command{name: "rename", arity: 3, first: 1, last: 2, step: 1, write: true, run: cmdRename},
		command{name: "renamenx", arity: 3, first: 1, last: 2, step: 1, write: true, run: cmdRenamenx},
		command{name: "exists", arity: -2, first: 1, last: -1, step: 1, run: cmdExists},
		command{name: "touch", arity: -2, first: 1, last: -1, step: 1, run: cmdExists},

		command{name: "eval", arity: -3, counted: true, write: true, run: cmdEval},
		command{name: "evalsha", arity: -3, counted: true, write: true, run: cmdEvalsha},
		command{name: "script", arity: -2, subs: scriptSubs()},

		command{name: "scan", arity: -2, run: cmdScan},
		command{name: "keys", arity: 2, run: cmdKeys},
		command{name: "dbsize", arity: 1, run: cmdDBSize},
		command{name: "randomkey", arity: 1, run: cmdRandomKey},
		command{name: "flushdb", arity: -1, write: true, removes: true, run: cmdFlush},
		command{name: "flushall", arity: -1, write: true, removes: true, run: cmdFlush},
	)
	read := func(name string, arity int, run func(*client, [][]byte)) {
		add(command{name: name, arity: arity, first: 1, last: 1, step: 1, reads: true, run: run})
	}
	walk := func(name string, arity int, run func(*client, [][]byte)) {
		add(command{name: name, arity: arity, first: 1, last: 1, step: 1, reads: true, walks: true, run: run})
	}
	walk("hget", 3, cmdHget)
	walk("hmget", -3, cmdHmget)
	walk("hgetall", 2, cmdHgetall)
	walk("hkeys", 2, cmdHkeys)
	walk("hvals", 2, cmdHvals)
	walk("hexists", 3, cmdHexists)
	walk("hstrlen", 3, cmdHstrlen)
	read("hlen", 2, cmdHlen)
	read("get", 2, cmdGet)
	read("strlen", 2, cmdStrlen)
	read("type", 2, cmdType)
	read("ttl", 2, cmdTTL)
	read("pttl", 2, cmdPTTL)
	read("expiretime", 2, cmdExpireTime)
	read("pexpiretime", 2, cmdPExpireTime)

	write := func(name string, arity int, run func(*client, [][]byte)) {
		add(command{name: name, arity: arity, first: 1, last: 1, step: 1, write: true, run: run})
	}
	write("set", -3, cmdSet)
	write("setex", 4, cmdSetex)
	write("psetex", 4, cmdPsetex)
	write("setnx", 3, cmdSetnx)
	write("getset", 3, cmdGetset)
	write("getex", -2, cmdGetex)
	write("getdel", 2, cmdGetdel)
	write("incr", 2, cmdIncr)
	write("decr", 2, cmdDecr)
	write("incrby", 3, cmdIncrBy)
	write("decrby", 3, cmdDecrBy)
	write("expire", -3, cmdExpire)
	write("pexpire", -3, cmdPExpire)
	write("expireat", -3, cmdExpireAt)
	write("pexpireat", -3, cmdPExpireAt)
	write("persist", 2, cmdPersist)
	write("sadd", -3, cmdSadd)
	write("srem", -3, cmdSrem)
	write("hset", -4, cmdHset)
	write("hmset", -4, cmdHmset)
	write("hsetnx", 4, cmdHsetnx)
	write("hincrby", 4, cmdHincrBy)
	write("hdel", -3, cmdHdel)
	of := func(name string, arity int, run func(*client, [][]byte)) {
		add(command{name: name, arity: arity, first: 1, last: 1, step: 1, run: run})
	}
	of("smembers", 2, cmdSmembers)
	of("sismember", 3, cmdSismember)
	of("smismember", -3, cmdSmismember)
	of("scard", 2, cmdScard)
	of("sscan", -3, cmdSscan)
	of("hscan", -3, cmdHscan)
	for name, plan := range map[string]func([][]byte) (plannedWrite, bool){
		"set": planSet, "setex": planSetex, "psetex": planPsetex, "setnx": planSetnx, "del": planDel, "unlink": planDel,
	} {
		table[name].plan = plan
	}
	for _, name := range []string{
		"ping", "echo", "hello", "auth", "select", "client", "command", "info", "config", "quit", "reset", "readonly", "readwrite", "time",
		"multi", "exec", "discard", "unwatch",
	} {
		table[name].keyless = true
	}
	return table
}
