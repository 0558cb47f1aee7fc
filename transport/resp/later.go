package resp

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// begun is what a client of a loop waits for without a goroutine: reads or writes that the loop has begun for it, whose outcomes lie
// in client.ahead or client.made when all have ended. While it waits, the client belongs to nobody, and is not received from.
type begun struct {
	on      bool        // the client waits; of the loop
	waiting atomic.Bool // until somebody takes the client: who ends the last operation, or the loop when it ends
	left    atomic.Int32
	size    atomic.Int64 // bytes of the values that were read
	each    int          // what each of the reads is taken to bring, until it has ended
	since   time.Time    // when they were begun
}

// place is where the outcome of an operation belongs: in client.ahead or in client.made. It is not looked up there when the operation has
// ended, for by then the server may have closed, and the client have let go of both.
type place struct {
	c     *client
	i     int           // of a read: how many of the client come before it
	read  *lookup       // nil: it is a write
	write *plannedWrite // nil: it is a read
}

// begin prepares to begin what the command at the start of rest waits for, and along with it what those after it wait for, if they are of the same
// sort. It does nothing if the command needs a goroutine.
func (c *client) begin(cmd *command, args [][]byte) {
	if c.srv.later == nil || cmd == nil {
		return
	}
	l, b := c.polled.loop, &c.polled.begun
	n, timeout := len(l.ops), c.timeout()
	switch {
	case cmd.reads:
		if c.srv.cfg.WhenUnsure == Miss {
			timeout = unsureWait
		}
		keys := c.readsFrom(args[1], c.rest[1:])
		c.ahead = make([]lookup, len(keys))
		b.size.Store(0)
		b.each = int(c.srv.readSize.Load())
		c.aheadHeld.hold(b.each * len(keys))
		for i, key := range keys {
			l.ops = append(l.ops, Op{Kind: OpLookup, Key: string(key), Timeout: timeout})
			l.places = append(l.places, place{c: c, i: i, read: &c.ahead[i]})
		}
	case cmd.plan != nil:
		c.made = c.plans(cmd, args, c.rest[1:], (*client).removable)
		for i := range c.made {
			p := &c.made[i]
			op := Op{Kind: OpSet, Key: string(p.key), Value: p.stored, Args: p.args, Timeout: timeout}
			if p.remove {
				op = Op{Kind: OpRemove, Key: string(p.key), Timeout: timeout}
			}
			l.ops = append(l.ops, op)
			l.places = append(l.places, place{c: c, write: p})
		}
	}
	if n = len(l.ops) - n; n > 0 {
		b.left.Store(int32(n))
		b.waiting.Store(true)
		l.begun.Add(1)
		b.on, b.since = true, time.Now()
		c.before = len(c.out)
		c.sendMeanwhile()
	}
}

// removable tells whether a planned write is one for the loop: it removes nothing but what is known not to be a set.
func (c *client) removable(p *plannedWrite) bool {
	if !p.remove {
		return true
	}
	before, ok := c.srv.now(p.key)
	k, _ := unwrap(before.entry.Value)
	return ok && (!before.found || k == plain || k == hash)
}

// begin begins what has been prepared.
func (l *loop) begin() {
	if len(l.ops) == 0 {
		return
	}
	places := slices.Clone(l.places)
	l.srv.later.Begin(l.ops, func(i int, o Outcome) { l.outcome(places[i], o) })
	clear(l.ops)
	clear(l.places)
	l.ops, l.places = l.ops[:0], l.places[:0]
}

// outcome is called when an operation has ended.
func (l *loop) outcome(at place, o Outcome) {
	c := at.c
	if p := at.write; p != nil {
		p.existed, p.err = o.Found, asUnconfirmed(o.Err)
	} else {
		c.aheadHeld.giveBack(c.polled.begun.each)
		*at.read = c.kept(lookup{entry: o.Entry, found: o.Found, err: asUnsure(o.Err)}, at.i, &c.polled.begun.size)
	}
	if b := &c.polled.begun; b.left.Add(-1) != 0 || !b.waiting.CompareAndSwap(true, false) {
		return
	}
	others := l.begun.Add(-1)
	l.mu.Lock()
	over := l.over
	if !over {
		l.ended = append(l.ended, c)
	}
	first := len(l.ended) == 1
	l.mu.Unlock()
	switch {
	case over:
		go l.srv.ended(c)
	case first && !l.awake.Load():
		if others > 0 {
			l.poll.wake()
		} else {
			go l.alone()
		}
	}
}

// alone serves a client whose operations have ended while the loop sleeps and no other waits for any. It saves what it takes to wake the loop, which
// pays for itself only when it serves several.
func (l *loop) alone() {
	l.mu.Lock()
	var c *client
	if !l.over && len(l.ended) == 1 {
		c = l.ended[0]
		l.ended[0] = nil
		l.ended = l.ended[:0]
	}
	more := len(l.ended) > 0
	l.mu.Unlock()
	if more {
		l.poll.wake()
	}
	if c == nil {
		return
	}
	l.back(c)
	c.polled.again = false // for here it may wait
	l.work(c)
}

// returned makes the clients ready whose operations have ended.
func (l *loop) returned() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.ended {
		l.back(c)
	}
	l.ready = append(l.ready, l.ended...)
	clear(l.ended)
	l.ended = l.ended[:0]
}

// back takes a client back whose operations have ended.
func (l *loop) back(c *client) {
	c.polled.begun.on = false
	c.endMeanwhile()
	c.judge()
}

// judge looks at what has ended. Where the answer is not certain, a goroutine asks again, or it is a miss.
func (c *client) judge() {
	took, timeout := time.Since(c.polled.begun.since), c.timeout()
	if ranOut(took, timeout) {
		c.noteLate()
	}
	c.ahead = c.untilDropped(c.ahead)
	for i := range c.ahead {
		switch a := &c.ahead[i]; {
		case c.srv.cfg.WhenUnsure == Miss && missing(a.err):
			*a = lookup{}
		case errors.Is(a.err, ErrUnsure) && took < timeout/2:
			c.forgetAhead()
			c.polled.again = true
			return
		}
	}
}
