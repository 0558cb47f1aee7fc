package resp

import (
	"sync"
	"time"
)

// heldFor is how long a reply is held back while a command that came along with its own waits. Then it is sent alone: to hold it spares a write
// where the wait is short, and would make its client wait for another's answer where it is long.
const heldFor = 5 * time.Millisecond

// held are replies that are sent if the present command does not end soon. The command adds its own behind them meanwhile.
type held struct {
	replies []byte
	timer   *time.Timer
	mu      sync.Mutex
	over    bool // the command has ended
	sent    int  // bytes
}

// hold is called when the present command is about to wait on a goroutine, and may have begun its own reply. The replies of an EXEC may come
// to nothing, and are not sent before it ends.
func (c *client) hold() {
	if c.before == 0 || c.tx.running || c.holds != nil {
		return
	}
	h := &held{replies: c.out[:c.before:c.before]}
	c.holds = h
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(heldFor, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.over {
			h.sent = c.sendHeld(h.replies)
		}
	})
}

// sendHeld sends what can be sent of replies. What fails now will fail again.
func (c *client) sendHeld(replies []byte) (sent int) {
	if c.polled != nil {
		sent, _ = c.polled.sock.write(replies)
		return sent
	}
	if c.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout)) == nil {
		sent, _ = c.Conn.Write(replies)
	}
	return sent
}

// endHold is called when the present command has ended.
func (c *client) endHold() {
	h := c.holds
	if h == nil {
		return
	}
	c.holds = nil
	h.timer.Stop()
	h.mu.Lock()
	h.over = true
	sent := h.sent
	h.mu.Unlock()
	if sent > 0 {
		c.sendBy = time.Time{} // the deadline is another
		c.out = c.out[:copy(c.out, c.out[sent:])]
		c.before -= sent
	}
}

// holdBegun sees to it that what has been answered is sent if that which the loop begins for a client takes long.
func (c *client) holdBegun() {
	if len(c.out) == 0 {
		return
	}
	l := c.polled.loop
	time.AfterFunc(heldFor, func() {
		l.mu.Lock()
		over := l.over
		if !over {
			l.overdue = append(l.overdue, c)
		}
		l.mu.Unlock()
		if !over && !l.awake.Load() {
			l.poll.wake()
		}
	})
}

// sendOverdue sends the replies of those that still wait.
func (l *loop) sendOverdue() {
	l.mu.Lock()
	all := l.overdue
	l.overdue = nil
	l.mu.Unlock()
	for _, c := range all {
		if p := c.polled; p.begun.on {
			p.local = true
			c.flush()
			p.local = false
		}
	}
}
