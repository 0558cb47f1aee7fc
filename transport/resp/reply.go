package resp

import (
	"strconv"

	"github.com/tidwall/redcon"
)

// Texts of errors that several commands give.
const (
	errSyntax    = "ERR syntax error"
	errNotInt    = "ERR value is not an integer or out of range"
	errReplySize = "ERR huddle: the reply would be over the size limit"
	errWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value"
)

// The methods below append one reply, in the protocol that the client speaks.

func (c *client) writeOK()                     { c.out = redcon.AppendOK(c.out) }
func (c *client) writeSimple(s string)         { c.out = redcon.AppendString(c.out, s) }
func (c *client) writeError(msg string)        { c.out = redcon.AppendError(c.out, msg) }
func (c *client) writeInt(n int64)             { c.out = redcon.AppendInt(c.out, n) }
func (c *client) writeArray(n int)             { c.out = redcon.AppendArray(c.out, n) }
func (c *client) writeHeader(kind byte, n int) { c.out = appendHeader(c.out, kind, n) }

// writeBulk leaves out what is over the limit of a reply; run then answers with an error instead of it.
func (c *client) writeBulk(b []byte) {
	if len(c.out)+len(b) > maxReplyBytes {
		c.over = true
		return
	}
	c.out = redcon.AppendBulk(c.out, b)
}

func (c *client) writeBulkString(s string) {
	if len(c.out)+len(s) > maxReplyBytes {
		c.over = true
		return
	}
	c.out = redcon.AppendBulkString(c.out, s)
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
		c.out = append(c.out, "_\r\n"...)
		return
	}
	c.out = redcon.AppendNull(c.out)
}

// writeNullArray is the null that stands for an array: the answer of an EXEC that was not carried out.
func (c *client) writeNullArray() {
	if c.proto == 3 {
		c.out = append(c.out, "_\r\n"...)
		return
	}
	c.out = append(c.out, "*-1\r\n"...)
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
		c.writeHeader('=', len(s)+4)
		c.out = append(c.out, "txt:"...)
		c.out = append(c.out, s...)
		c.out = append(c.out, "\r\n"...)
		return
	}
	c.writeBulkString(s)
}

func appendHeader(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\r\n"...)
}
