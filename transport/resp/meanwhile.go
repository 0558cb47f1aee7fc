package resp

import (
	"errors"
	"os"
	"time"
)

// meanwhile sends the replies that have been made while the command after them waits for another node: they are not to be late because that
// is. Who serves the client waits as well, or only appends to client.out what comes behind them. A command that takes less than
// promptly costs no further write.
type meanwhile struct {
	on    bool
	made  []byte // the beginning of client.out
	sent  int    // how much of that has been sent; of who sends until it has told so
	err   error  // of a client with a goroutine of its own: what sending came to, likewise
	timer *time.Timer
	done  chan struct{} // takes a value each time that timer has run out
}

// promptly is how long replies wait for that of the command after them.
const promptly = time.Millisecond

// sendMeanwhile is called when the present command may come to wait. What is made before it is then sent by itself, until endMeanwhile.
func (c *client) sendMeanwhile() {
	m := &c.meanwhile
	if m.on || c.before == 0 {
		return
	}
	m.on, m.made, m.sent = true, c.out[:c.before], 0
	if m.timer == nil {
		m.done = make(chan struct{})
		m.timer = time.AfterFunc(promptly, c.sendMade)
		return
	}
	m.timer.Reset(promptly)
}

// sendMade sends what goes. A failure is found again by who sends the rest, or receives, when more of what the client has sent has been run; but one
// that took nothing in all of the time does not get as much again.
func (c *client) sendMade() {
	m := &c.meanwhile
	if c.polled != nil {
		m.sent, _ = c.polled.sock.write(m.made)
	} else if c.sendWithin() == nil {
		m.sent, m.err = c.Conn.Write(m.made)
	}
	m.done <- struct{}{}
}

// endMeanwhile takes what has been sent out of the replies. A client with a goroutine of its own may be slow to take it.
func (c *client) endMeanwhile() {
	m := &c.meanwhile
	if !m.on {
		return
	}
	m.on = false
	if !m.timer.Stop() {
		if c.polled != nil {
			<-m.done
		} else {
			c.besideWrite(func() { <-m.done })
		}
		if errors.Is(m.err, os.ErrDeadlineExceeded) {
			c.cannotSend(m.err, len(m.made)-m.sent)
		}
		c.out = c.out[:copy(c.out, c.out[m.sent:])]
	}
	m.made = nil
}
