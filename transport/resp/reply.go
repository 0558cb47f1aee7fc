package resp

import (
	"slices"
	"strconv"

	"github.com/tidwall/redcon"
)

// Texts of errors that several commands give.
const (
	errSyntax      = "ERR syntax error"
	errNotInt      = "ERR value is not an integer or out of range"
	errOverflow    = "ERR increment or decrement would overflow"
	errReplySize   = "ERR huddle: the reply would be over the size limit of 64 MiB"
	errTextCrowded = "BUSY huddle: the commands and replies of all clients take too much memory just now"
	errWrongType   = "WRONGTYPE Operation against a key holding the wrong kind of value"
)

// The methods below append one reply, in the protocol that the client speaks.

func (c *client) writeOK() {
	if c.fits(0) {
		c.out = redcon.AppendOK(c.out)
	}
}

func (c *client) writeSimple(s string) {
	if c.fits(len(s)) {
		c.out = redcon.AppendString(c.out, s)
	}
}

func (c *client) writeError(msg string) {
	if c.fits(len(msg)) {
		c.out = redcon.AppendError(c.out, msg)
	}
}

func (c *client) writeInt(n int64) {
	if c.fits(0) {
		c.out = redcon.AppendInt(c.out, n)
	}
}

func (c *client) writeArray(n int) { c.writeHeader('*', n) }

func (c *client) writeHeader(kind byte, n int) {
	if c.fits(0) {
		c.out = append(c.out, kind)
		c.out = strconv.AppendInt(c.out, int64(n), 10)
		c.out = append(c.out, "\r\n"...)
	}
}

func (c *client) writeBulk(b []byte) {
	if c.fits(len(b)) {
		c.out = redcon.AppendBulk(c.out, b)
	}
}

func (c *client) writeBulkString(s string) {
	if c.fits(len(s)) {
		c.out = redcon.AppendBulkString(c.out, s)
	}
}

// writeRaw appends replies that are encoded already.
func (c *client) writeRaw(b string) {
	if c.fits(len(b)) {
		c.out = append(c.out, b...)
	}
}

// fits tells whether n bytes of content and their frame may be appended. Once something does not fit, nothing more is appended: run
// then answers with an error instead of the reply.
func (c *client) fits(n int) bool {
	const frame = 32
	size := len(c.out) + n + frame
	switch {
	case c.over != nil:
	case size > maxReplyBytes:
		c.over = errOver
	case size > largeReply && size > cap(c.out):
		if !c.srv.mayBuffer(size - cap(c.out)) {
			c.over = errCrowded
			break
		}
		c.out = slices.Grow(c.out, n+frame)
		c.account()
	}
	return c.over == nil
}

// tooMuch replaces the reply to the present command, which cannot be given, by an error.
func (c *client) tooMuch() {
	why := c.over
	c.over, c.out = nil, c.out[:c.before]
	if why == errCrowded { //nolint:errorlint // it is never wrapped
		c.out = slices.Clone(c.out)
		c.account()
		c.writeError(errTextCrowded)
		return
	}
	c.writeError(errReplySize)
}

func (c *client) writeBool(b bool) {
	if b {
		c.writeInt(1)
	} else {
		c.writeInt(0)
	}
}

func (c *client) writeNull() {
	if c.proto == 3 {
		c.writeRaw("_\r\n")
		return
	}
	c.writeRaw("$-1\r\n")
}

// writeNullArray is the null that stands for an array: the answer of an EXEC that was not carried out.
func (c *client) writeNullArray() {
	if c.proto == 3 {
		c.writeRaw("_\r\n")
		return
	}
	c.writeRaw("*-1\r\n")
}

// writeMap begins a map of n pairs, which RESP2 has as an array.
func (c *client) writeMap(n int) {
	if c.proto == 3 {
		c.writeHeader('%', n)
		return
	}
	c.writeArray(2 * n)
}

// writeSet begins a set of n elements.
func (c *client) writeSet(n int) {
	if c.proto == 3 {
		c.writeHeader('~', n)
		return
	}
	c.writeArray(n)
}

// writeText is a bulk string that is meant to be read by people.
func (c *client) writeText(s string) {
	if c.proto == 3 {
		c.writeRaw("=" + strconv.Itoa(len(s)+4) + "\r\ntxt:" + s + "\r\n")
		return
	}
	c.writeBulkString(s)
}
