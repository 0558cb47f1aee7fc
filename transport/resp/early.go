package resp

import "time"

// Most clients send all of a pipeline before they take the first reply. If both are larger than what the sockets hold, the client waits
// until more of its commands are received, and the server until more of its replies are taken: for ever, if it did not receive meanwhile.
// What it receives then is kept as it came, and run once the replies have been taken. Together with these it takes no more than
// one reply may, and it leaves others the room that mayBuffer does.
type early struct {
	chunks [][]byte // none is empty
	size   int      // bytes of memory that they take
	paid   int      // bytes received since the client was last given more time
	// Of a client with a goroutine of its own: what receives while that is in Write.
	stuck *time.Timer
	done  chan struct{} // takes a value each time that stuck has run out
}

const (
	earlyChunk = 32 << 10
	// A client that goes on to send is given Config.WriteTimeout anew for each of these: not for ever, since what is received so is bounded.
	earlyStep = 1 << 20
	// stuckWrite is what a Write takes that is taken to wait for the client.
	stuckWrite = 20 * time.Millisecond
	// crowdedPause is how long one waits, when all clients take too much, before it tries again to receive.
	crowdedPause = 100 * time.Millisecond
)

// heardEarly is what receiving early comes to.
type heardEarly int

const (
	heardSome    heardEarly = iota
	heardNothing            // for now
	heardEnd                // the client is gone, or sends no more; who receives next finds it again
	noRoom                  // before replies are taken
	crowded                 // no room before others take less
)

// receiveEarly calls read once, which may return 0 bytes without an error if there is nothing for now. more: the client is to be given more time.
func (c *client) receiveEarly(read func([]byte) (int, error)) (h heardEarly, more bool) {
	e := &c.early
	var last []byte
	if n := len(e.chunks); n > 0 {
		last = e.chunks[n-1]
	}
	fresh := len(last) == cap(last)
	switch {
	case !c.authed || c.quit:
		return noRoom, false
	case !fresh:
	case e.size+earlyChunk+cap(c.out) > maxReplyBytes:
		return noRoom, false
	case !c.srv.mayBuffer(earlyChunk):
		return crowded, false
	default:
		last = make([]byte, 0, earlyChunk)
	}
	n, err := read(last[len(last):cap(last)])
	switch last = last[:len(last)+n]; {
	case n == 0 && err != nil:
		return heardEnd, false
	case n == 0:
		return heardNothing, false
	case fresh:
		e.chunks = append(e.chunks, last)
		e.size += earlyChunk
		_ = c.account() // mayBuffer has been asked
	default:
		e.chunks[len(e.chunks)-1] = last
	}
	if e.paid += n; e.paid >= earlyStep {
		e.paid, more = 0, true
	}
	return heardSome, more
}

// take moves what was received early to b, and returns how much that is.
func (e *early) take(b []byte) (n int) {
	for len(e.chunks) > 0 && n < len(b) {
		k := copy(b[n:], e.chunks[0])
		n += k
		if e.chunks[0] = e.chunks[0][k:]; len(e.chunks[0]) == 0 {
			e.chunks[0] = nil
			e.chunks, e.size = e.chunks[1:], e.size-earlyChunk
		}
	}
	if len(e.chunks) == 0 {
		e.chunks = nil
	}
	return n
}

// besideWrite has what the client sends received while write, which is Conn.Write, waits for it. The client has a goroutine of its own.
func (c *client) besideWrite(write func()) {
	e := &c.early
	switch {
	case !c.authed || c.quit:
		write()
		return
	case e.stuck == nil:
		e.done = make(chan struct{})
		e.stuck = time.AfterFunc(stuckWrite, c.receiveWhileStuck)
	default:
		e.stuck.Reset(stuckWrite)
	}
	write()
	if !e.stuck.Stop() {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // ends what is in Read; fails only if the connection is closed
		<-e.done
		_ = c.SetReadDeadline(time.Time{})
		c.loginBy = time.Time{} // limitLogin sets it anew, if the client owes the password again
	}
}

// receiveWhileStuck owns the client until it has told so, for its goroutine is in Write.
func (c *client) receiveWhileStuck() {
	for {
		h, more := c.receiveEarly(c.Conn.Read)
		if more {
			_ = c.sendWithin() // fails only if the connection is closed
		}
		var again <-chan time.Time
		switch h {
		case heardSome, heardNothing:
			continue
		case crowded:
			again = time.After(crowdedPause)
		}
		select {
		case c.early.done <- struct{}{}:
			return
		case <-again:
		}
	}
}
