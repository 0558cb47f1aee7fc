package resp

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tidwall/redcon"
)

// What clients take of memory is bounded over all of them, in Server.buffered: the commands that they have sent, those of a MULTI among
// them, the replies that they have not taken yet, and what has been read for their next commands.
const (
	// What a client takes in any case, and is not counted.
	smallBuffers = 16 << 10
	// A reply up to this size is counted but never refused: it may answer a write that has been carried out, and an error would say that it has
	// not. A larger one is the answer to a read. Several replies are sent as soon as they have half of this together.
	largeReply = 128 << 10
	// What the values that are read ahead are taken to have at first.
	firstReadSize = 32 << 10
	// How long a client may take to take its replies while all clients are over the limit.
	crowdedTimeout = 200 * time.Millisecond
)

// bufferedFor is what clients may take in all in a process that keeps so many bytes of entries. It has room for a command with the largest value
// there may be, a quarter of these, in a buffer that is at most twice as large. With half of maxMemory it leaves as much again for what the process
// takes beside, within twice maxMemory and 64 MiB.
func bufferedFor(maxMemory int64) int64 { return min(maxBuffered, maxMemory/2+24<<20) }

// account counts what the buffers of the client take among those of all. True: they have grown, and all are over the limit.
func (c *client) account() (over bool) {
	size := cap(c.frames.buf) + cap(c.out) + c.early.size + headerSize*(cap(c.args)+cap(c.batch)) + c.tx.size + c.tx.watchedSize
	if size <= smallBuffers {
		size = 0
	}
	if size == c.held {
		return false
	}
	all := c.srv.buffered.Add(int64(size - c.held))
	over = size > c.held && all > c.srv.cfg.maxBuffered
	c.held = size
	return over
}

func (c *client) cutOff() {
	c.out = redcon.AppendError(c.out, "ERR huddle: too much is being sent to this node at once")
	c.flush()
	c.report("a client is cut off: too much is being sent at once")
}

// mayBuffer tells whether there is room for n bytes of replies or of what waits for EXEC. A quarter is left to what clients send: who is
// slow to take replies cannot have others cut off.
func (s *Server) mayBuffer(n int) bool {
	return s.buffered.Load()+int64(n) <= s.cfg.maxBuffered/4*3
}

// patience returns how long the client may take to take its replies, when it does not take them at once: less while all clients are over the
// limit. What has been read for it ahead is let go if there is no room for it.
func (c *client) patience() time.Duration {
	_ = c.account() // the replies, which nobody refuses
	timeout := c.srv.cfg.WriteTimeout
	if !c.srv.mayBuffer(0) {
		c.forgetAhead()
	}
	if c.srv.buffered.Load() > c.srv.cfg.maxBuffered {
		timeout = min(timeout, crowdedTimeout)
	}
	return timeout
}

// mayKeep returns up to which size a buffer is kept for what comes next: most, so that it is not made anew each time; but little while the
// client owes the password, and once all clients hold a quarter of what they may have together, so that those at rest leave room for others.
// What is little of each buffer comes to less than smallBuffers for all buffers of a client.
func (c *client) mayKeep(most, little int) int {
	if !c.authed || c.srv.buffered.Load() > c.srv.cfg.maxBuffered/4 {
		return little
	}
	return most
}

// headerSize is what a slice takes beside its content.
const headerSize = int(unsafe.Sizeof([]byte(nil)))

// claim counts what a command collects for its reply, or what a client has read ahead. Its methods are safe for concurrent use.
type claim struct {
	srv *Server
	n   atomic.Int64
}

// add counts n bytes more. It fails with errOver if that is more than a reply may take, and with errCrowded if it is too much together
// with what others have.
func (c *claim) add(n int) error {
	room, mine := c.srv.mayBuffer(n), c.n.Add(int64(n))
	c.srv.buffered.Add(int64(n))
	switch {
	case mine > maxReplyBytes:
		return errOver
	case !room && mine > largeReply:
		return errCrowded
	}
	return nil
}

// hold counts n bytes more, for which there is room.
func (c *claim) hold(n int) {
	c.n.Add(int64(n))
	c.srv.buffered.Add(int64(n))
}

// giveBack counts n bytes less.
func (c *claim) giveBack(n int) {
	c.n.Add(-int64(n))
	c.srv.buffered.Add(-int64(n))
}

// end gives back all that is counted.
func (c *claim) end() { c.giveBack(int(c.n.Load())) }
