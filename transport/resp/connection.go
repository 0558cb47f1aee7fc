package resp

import (
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
	c.setAuthed(c.srv.cfg.CheckPassword == nil)
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

func equalFold(b []byte, s string) bool { return strings.EqualFold(string(b), s) }
