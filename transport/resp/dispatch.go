package resp

import (
	"fmt"
	"strconv"
	"strings"
)

// dispatch runs one command, or queues it. cmd is nil if there is none of that name.
func (c *client) dispatch(cmd *command, args [][]byte) {
	switch {
	case cmd == nil:
		c.unknown(args)
		return
	case cmd.run == nil: // the scanner put it here
		c.tx.broken = c.tx.open
		if cmd.name == tooMany {
			c.writeError("ERR huddle: more than " + strconv.Itoa(maxArgs) + " arguments")
			return
		}
		c.writeError(fmt.Sprintf("ERR huddle: argument or command over the size limit: an argument of more than %d bytes, or more than %d in all",
			c.srv.cfg.MaxValueBytes, c.srv.cfg.maxCommandBytes()))
		return
	case !cmd.fits(len(args)):
		c.reject(cmd, errArity(cmd.name))
		return
	case cmd.wrongSub(args) != "":
		c.reject(cmd, cmd.wrongSub(args))
		return
	case !c.authed && !cmd.open:
		c.reject(cmd, "NOAUTH Authentication required.")
		return
	case cmd.namesPart(args):
		c.tx.broken = c.tx.open
		c.fail(ErrInvalid)
		return
	case c.tx.open && !cmd.direct:
		c.enqueue(args)
		return
	case c.astray(cmd):
		c.refuseAstray()
		return
	}
	if len(c.ahead) > 0 && !cmd.reads {
		c.forgetAhead()
	}
	c.ran++
	switch {
	case len(c.made) > 0, cmd.plan != nil && c.writeAhead(cmd, args, c.rest):
		c.answerMade()
	default:
		cmd.run(c, args)
	}
	c.endContext()
}

// reject answers a command that is not run. Within MULTI none of the others is then run either; an EXEC that is rejected says so itself.
func (c *client) reject(cmd *command, msg string) {
	if cmd.name == "exec" {
		c.tx.reset()
		c.writeError("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(msg, "ERR "))
		return
	}
	c.tx.broken = c.tx.open
	c.writeError(msg)
}

func errArity(name string) string { return "ERR wrong number of arguments for '" + name + "' command" }

func (c *client) writeArity(name string) { c.writeError(errArity(name)) }

// unknown answers a command that there is not. A browser that was led to this port speaks HTTP: it is cut off, before a request
// body can hold commands.
func (c *client) unknown(args [][]byte) {
	const most = 128
	name := string(args[0])
	if strings.EqualFold(name, "post") || strings.EqualFold(name, "host:") {
		c.report("client speaks HTTP and is cut off")
		c.quit = true
		return
	}
	c.tx.broken = c.tx.open
	if strings.EqualFold(name, "cluster") { // so a Redis that is none answers, and clients of a Redis Cluster pass it on
		if len(args) == 1 {
			c.writeArity("cluster")
			return
		}
		c.writeError("ERR This instance has cluster support disabled")
		return
	}
	var begin strings.Builder
	for _, arg := range args[1:] {
		if begin.Len() >= most {
			break
		}
		begin.WriteString("'" + cString(arg, most-begin.Len()) + "' ")
	}
	c.writeError("ERR unknown command '" + cString(args[0], most) + "', with args beginning with: " + begin.String() + lacking(name))
}

// lacking says why there is no command of a name, if it is one that clients of Redis expect. It is put behind Redis's text, by whose
// beginning clients know it.
func lacking(name string) string {
	switch strings.ToLower(name) {
	case "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "function":
		return ", huddle has no scripts"
	case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe", "publish", "spublish", "pubsub":
		return ", huddle has no Pub/Sub"
	}
	return ""
}

// cString is what C prints of b with a precision of n bytes.
func cString(b []byte, n int) string {
	s, _, _ := strings.Cut(string(b[:min(len(b), n)]), "\x00")
	return s
}
