package resp

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

const (
	errNoScript      = "NOSCRIPT No matching script. Please use EVAL."
	errUnknownScript = "ERR huddle: there is no Lua here: only some scripts of clients are known, such as those by which they take, extend and release locks"
	errScriptKeys    = "ERR huddle: this script is known for one key"
	errScriptArgs    = "ERR Lua redis lib command arguments must be strings or integers"
)

func cmdEval(c *client, args [][]byte) {
	c.eval(args, func(text []byte) (*script, string) { return c.srv.scripts.learn(text), errUnknownScript })
}

func cmdEvalsha(c *client, args [][]byte) {
	if len(args[1]) != 40 {
		c.writeError(errNoScript)
		return
	}
	c.eval(args, func(sha []byte) (*script, string) {
		return c.srv.scripts.find(strings.ToLower(string(sha))), errNoScript
	})
}

func scriptSubs() []sub {
	return []sub{
		{"load", 3, func(c *client, args [][]byte) {
			if s := c.srv.scripts.learn(args[2]); s != nil {
				c.writeBulkString(s.sha)
			} else {
				c.writeError(errUnknownScript)
			}
		}},
		{"exists", -3, func(c *client, args [][]byte) {
			c.writeArray(len(args) - 2)
			for _, sha := range args[2:] {
				c.writeBool(c.srv.scripts.find(strings.ToLower(string(sha))) != nil)
			}
		}},
		{"flush", -2, func(c *client, args [][]byte) {
			if len(args) > 3 || len(args) == 3 && !equalFold(args[2], "async") && !equalFold(args[2], "sync") {
				c.writeError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
				return
			}
			c.srv.scripts.flush()
			c.writeOK()
		}},
	}
}

// countedKeys returns the keys of a command that says at 2 how many there are, and what follows them. msg is the error, if any.
func countedKeys(args [][]byte) (keys, rest [][]byte, msg string) {
	switch n, ok := parseInt(args[2]); {
	case !ok:
		return nil, nil, errNotInt
	case n > int64(len(args)-3):
		return nil, nil, "ERR Number of keys can't be greater than number of args"
	case n < 0:
		return nil, nil, "ERR Number of keys can't be negative"
	default:
		return args[3 : 3+n], args[3+n:], ""
	}
}

// eval runs the script that find returns for the first argument; the text that comes with it says what is wrong if there is none.
func (c *client) eval(args [][]byte, find func([]byte) (*script, string)) {
	keys, argv, msg := countedKeys(args)
	if msg != "" {
		c.writeError(msg)
		return
	}
	s, msg := find(args[1])
	switch {
	case s == nil:
		c.writeError(msg)
		return
	case len(keys) == 0, s.all && len(keys) > 1:
		c.writeError(errScriptKeys)
		return
	case bytes.HasPrefix(keys[0], []byte(partPrefix)):
		c.fail(ErrInvalid)
		return
	}
	r := scriptRun{c: c, script: s, key: keys[0], argv: argv}
	if err := c.change(r.key, r.once); err != nil {
		c.fail(err)
		return
	}
	r.reply()
}

// scriptRun is a script that runs.
type scriptRun struct {
	*script
	c    *client
	key  []byte
	argv [][]byte

	// As of the last attempt.
	done  step
	entry Entry
	found bool
	msg   string // an error of the script
}

// once does what the script does if the key is as it was seen. ErrCondition: it has changed.
func (r *scriptRun) once(e Entry, found bool) error {
	r.done, r.entry, r.found, r.msg = r.free, e, found, ""
	if found {
		k, value := unwrap(e.Value)
		switch {
		case k != plain && !r.blind:
			r.raise(errWrongType, "get")
			return nil
		case k == plain && len(r.argv) > 0 && bytes.Equal(value, r.argv[0]):
			r.done = r.mine
		default:
			r.done = r.other
		}
	}
	switch r.done.do {
	case doDel:
		return r.remove()
	case doExpire:
		return r.expire("expire", seconds, false)
	case doPExpire:
		return r.expire("pexpire", millis, false)
	case doProlong, doProlongBy:
		if e.TTL == 0 {
			r.done.answer = sayNo
			return nil
		}
		return r.expire("pexpire", millis, r.done.do == doProlongBy || r.told("0"))
	case doSetIfTold:
		if !r.told("yes") {
			r.done.answer = sayNull
			return nil
		}
		return r.set("set", millis, false)
	case doSet, doSetNX:
		return r.set("set", millis, r.done.do == doSetNX)
	case doSetEx:
		return r.set("setex", seconds, false)
	case doIncr:
		return r.incr()
	}
	return nil
}

// told tells whether ARGV[3] is what.
func (r *scriptRun) told(what string) bool { return len(r.argv) > 2 && string(r.argv[2]) == what }

// remove deletes the key. That is never final: a lock is no token.
func (r *scriptRun) remove() error {
	_, err := r.c.unset(r.key, r.entry.Version)
	return err
}

// expire gives the key the TTL of ARGV[2], or with more so much more than it has.
func (r *scriptRun) expire(command string, u unit, more bool) error {
	var n int64
	ok := len(r.argv) > 1
	if ok {
		n, ok = parseInt(r.argv[1])
	}
	if ok && more {
		n, ok = plus(n, millisUp(r.entry.TTL))
	}
	switch {
	case len(r.argv) < 2 && !more:
		r.raise(errScriptArgs, command)
		return nil
	case !ok:
		r.raise(errNotInt, command)
		return nil
	}
	ttl, ok := u.remaining(n, time.Now())
	if !ok {
		r.raise("ERR invalid expire time in '"+command+"' command", command)
		return nil
	}
	if ttl <= 0 {
		return r.remove()
	}
	_, err := r.c.touch(r.key, ttl, r.entry.Version)
	return err
}

// set sets the key to ARGV[1], with the TTL of ARGV[2]; or only looks whether that could be done.
func (r *scriptRun) set(command string, u unit, only bool) error {
	if len(r.argv) < 2 {
		r.raise(errScriptArgs, command)
		return nil
	}
	ttl, msg := expiry{u, r.argv[1]}.duration(command)
	if msg != "" {
		r.raise(msg, command)
		return nil
	}
	if only {
		return nil
	}
	a := unchangedSince(r.entry, r.found)
	a.TTL = ttl
	return r.c.store(r.key, wrap(r.argv[0]), a)
}

// incr adds ARGV[1] to the number that the key holds.
func (r *scriptRun) incr() error {
	if len(r.argv) == 0 {
		r.raise(errScriptArgs, "incrby")
		return nil
	}
	n, ok := parseInt(r.argv[0])
	if !ok {
		r.raise(errNotInt, "incrby")
		return nil
	}
	sum, msg, err := r.c.addTo(r.key, r.entry, r.found, n)
	if msg != "" {
		r.raise(msg, "incrby")
	}
	r.done.answer = ":" + strconv.FormatInt(sum, 10) + "\r\n"
	return err
}

// raise is an error of a command that the script calls, as Redis puts it.
func (r *scriptRun) raise(msg, command string) {
	line := 0
	for _, call := range r.calls {
		if call.name == command {
			line = call.line
			break
		}
	}
	r.msg = msg + " script: " + r.sha + ", on @user_script:" + strconv.Itoa(line) + "."
}

func (r *scriptRun) reply() {
	c := r.c
	ttl := int64(-2)
	switch {
	case r.found && r.entry.TTL == 0:
		ttl = -1
	case r.found:
		ttl = millisUp(r.entry.TTL)
	}
	switch {
	case r.msg != "":
		c.writeError(r.msg)
	case r.done.do == doTellTTL:
		c.writeInt(ttl)
	case r.done.do == doTellBoth:
		c.writeArray(2)
		c.writeValue(r.entry, r.found)
		c.writeInt(ttl)
	case r.done.answer == sayNull:
		c.writeNull()
	default:
		c.writeRaw(r.done.answer)
	}
}
