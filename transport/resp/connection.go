package resp

import (
	"crypto/sha256"
	"crypto/subtle"
	"strconv"
	"strings"
	"time"
)

// dialect is the version of Redis whose behaviour and texts are followed; clients look at it.
const dialect = "7.0.15"

func cmdPing(c *client, args [][]byte) {
	switch len(args) {
	case 1:
		c.writeSimple("PONG")
	case 2:
		c.writeBulk(args[1])
	default:
		c.writeArity("ping")
	}
}

func cmdEcho(c *client, args [][]byte) { c.writeBulk(args[1]) }

func cmdOK(c *client, _ [][]byte) { c.writeOK() }

func cmdTime(c *client, _ [][]byte) {
	now := time.Now()
	c.writeArray(2)
	c.writeBulkString(strconv.FormatInt(now.Unix(), 10))
	c.writeBulkString(strconv.Itoa(now.Nanosecond() / 1000))
}

func cmdQuit(c *client, _ [][]byte) {
	c.writeOK()
	c.quit = true
}

func cmdReset(c *client, _ [][]byte) {
	c.tx.reset()
	c.proto, c.silent, c.skip = 2, false, 0
	c.setAuthed(c.srv.cfg.Password == "")
	c.misled = nil
	c.name.Store(new(string))
	c.writeSimple("RESET")
}

// cmdSelect takes 0 alone. Many clients do not look at the error, or raise it somewhere else and go on: what they then send is meant
// for another database. To run it in this one would let a FLUSHDB of a cache end all sessions.
func cmdSelect(c *client, args [][]byte) {
	switch n, ok := parseInt(args[1]); {
	case !ok:
		c.writeError(errNotInt)
	case n != 0:
		c.report("a client selects another database than 0: its commands are refused")
		c.misled = &n
		c.writeError("ERR DB index is out of range: huddle has database 0 only")
	default:
		c.misled = nil
		c.writeOK()
	}
}

// astray tells whether a command is not for database 0: the connection's SELECT was refused, and it touches a key, or the keyspace.
func (c *client) astray(cmd *command) bool { return c.misled != nil && !cmd.keyless }

// refuseAstray answers such a command.
func (c *client) refuseAstray() {
	c.writeError("ERR huddle: not carried out, because SELECT " + strconv.FormatInt(*c.misled, 10) +
		" was refused before: there is database 0 only. Use another cluster for other data, or SELECT 0")
}

func cmdAuth(c *client, args [][]byte) {
	switch {
	case len(args) > 3:
		c.writeError(errSyntax)
	case len(args) == 2 && c.srv.cfg.Password == "":
		c.writeError("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	case len(args) == 2 && c.login("default", args[1]), len(args) == 3 && c.login(string(args[1]), args[2]):
		c.writeOK()
	}
}

// login compares the password in a time that tells nothing about it. A failure is answered; after the last that is allowed the client is
// cut off.
func (c *client) login(user string, password []byte) bool {
	given, want := sha256.Sum256(password), sha256.Sum256([]byte(c.srv.cfg.Password))
	same := subtle.ConstantTimeCompare(given[:], want[:]) == 1
	if user == "default" && (same || c.srv.cfg.Password == "") {
		c.setAuthed(true)
		return true
	}
	c.report("wrong password")
	c.writeError("WRONGPASS invalid username-password pair or user is disabled.")
	if c.guesses++; c.guesses >= maxGuesses {
		c.quit = true
	}
	return false
}

func cmdHello(c *client, args [][]byte) {
	proto := c.proto
	if len(args) > 1 {
		n, ok := parseInt(args[1])
		if !ok {
			c.writeError("ERR Protocol version is not an integer or out of range")
			return
		}
		if n != 2 && n != 3 {
			c.writeError("NOPROTO unsupported protocol version")
			return
		}
		proto = int(n)
	}
	name := c.name.Load()
	for i := 2; i < len(args); i++ {
		switch more := len(args) - i - 1; {
		case equalFold(args[i], "auth") && more >= 2:
			if !c.login(string(args[i+1]), args[i+2]) {
				return
			}
			i += 2
		case equalFold(args[i], "setname") && more >= 1:
			if msg := checkName(args[i+1]); msg != "" {
				c.writeError(msg)
				return
			}
			s := string(args[i+1])
			name = &s
			i++
		default:
			c.writeError("ERR Syntax error in HELLO option '" + cString(args[i], 128) + "'")
			return
		}
	}
	if !c.authed {
		c.writeError("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH " +
			"<user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	c.name.Store(name)
	c.proto = proto
	c.writeMap(7)
	c.writeBulkString("server")
	c.writeBulkString("redis")
	c.writeBulkString("version")
	c.writeBulkString(dialect)
	c.writeBulkString("proto")
	c.writeInt(int64(proto))
	c.writeBulkString("id")
	c.writeInt(c.id)
	c.writeBulkString("mode")
	c.writeBulkString("standalone")
	c.writeBulkString("role")
	c.writeBulkString("master")
	c.writeBulkString("modules")
	c.writeArray(0)
}

const (
	errName     = "ERR Client names cannot contain spaces, newlines or special characters."
	errNameSize = "ERR Client names cannot be longer than 256 bytes."
	maxName     = 256
)

// checkName returns what is wrong with the name of a client, if anything.
func checkName(b []byte) string {
	switch {
	case !validName(b):
		return errName
	case len(b) > maxName:
		return errNameSize
	}
	return ""
}

func validName(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

func equalFold(b []byte, s string) bool { return strings.EqualFold(string(b), s) }

func clientSubs() []sub {
	return []sub{
		{"setinfo", 4, clientSetInfo},
		{"setname", 3, func(c *client, args [][]byte) {
			if msg := checkName(args[2]); msg != "" {
				c.writeError(msg)
				return
			}
			name := string(args[2])
			c.name.Store(&name)
			c.writeOK()
		}},
		{"getname", 2, func(c *client, _ [][]byte) {
			if name := *c.name.Load(); name != "" {
				c.writeBulkString(name)
			} else {
				c.writeNull()
			}
		}},
		{"id", 2, func(c *client, _ [][]byte) { c.writeInt(c.id) }},
		{"info", 2, func(c *client, _ [][]byte) { c.writeText(c.describe() + "\n") }},
		{"list", -2, clientList},
		{"no-evict", 3, clientSwitch},
		{"no-touch", 3, clientSwitch},
		{"reply", 3, clientReply},
	}
}

func clientSetInfo(c *client, args [][]byte) {
	switch {
	case !equalFold(args[2], "lib-name") && !equalFold(args[2], "lib-ver"):
		c.writeError("ERR Unrecognized option '" + cString(args[2], 128) + "'")
	case !validName(args[3]):
		c.writeError("ERR " + strings.ToLower(string(args[2])) + " cannot contain spaces, newlines or special characters.")
	default:
		c.writeOK()
	}
}

func clientSwitch(c *client, args [][]byte) {
	if !equalFold(args[2], "on") && !equalFold(args[2], "off") {
		c.writeError(errSyntax)
		return
	}
	c.writeOK()
}

func clientReply(c *client, args [][]byte) {
	switch {
	case equalFold(args[2], "on"):
		c.silent, c.skip = false, 0
		c.writeOK()
	case equalFold(args[2], "off"):
		c.silent = true
	case equalFold(args[2], "skip"):
		if !c.silent {
			c.skip = 2 // this command, which says nothing, and the next
		}
	default:
		c.writeError(errSyntax)
	}
}
