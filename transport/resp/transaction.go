package resp

import (
	"errors"
	"fmt"
)

// transaction is the state of MULTI and WATCH of one client.
type transaction struct {
	open        bool       // between MULTI and EXEC
	broken      bool       // a command could not be queued
	queue       [][][]byte // the commands
	size        int        // what they take in memory, in bytes, about
	watched     map[string]watched
	watchedSize int // likewise

	running  bool // EXEC is under way
	late     bool // a command of it has needed all of its time
	writes   int  // of this EXEC
	conflict bool // a watched key was found changed
}

// What is kept takes beside the bytes that a client sends: for a command, for each of its arguments, for a watched key. An empty
// argument costs six bytes to send.
const (
	queuedCost   = 64
	argumentCost = headerSize
	watchedCost  = 128
)

// watched is what a key was at its WATCH and must be at EXEC.
type watched struct {
	version uint64 // 0: absent
	ticket  Ticket // if absent: nothing may have happened to the key since it was given; zero: there is none
}

func (t *transaction) reset() { *t = transaction{} }

// guards returns what key must still be, and whether it is watched, EXEC is under way and has not written it.
func (t *transaction) guards(key []byte) (at watched, ok bool) {
	if t.running {
		at, ok = t.watched[string(key)]
	}
	return at, ok
}

func (t *transaction) unchanged(key []byte, version uint64) bool {
	at, ok := t.guards(key)
	return !ok || at.version == version
}

// wrote notes a write inside EXEC.
func (t *transaction) wrote(key []byte, err error) {
	if t.running && !errors.Is(err, ErrCondition) && !errors.Is(err, errLate) {
		t.writes++
		delete(t.watched, string(key))
	}
}

func cmdMulti(c *client, _ [][]byte) {
	if c.tx.open {
		c.writeError("ERR MULTI calls can not be nested")
		return
	}
	c.tx.open = true
	c.writeOK()
}

func cmdDiscard(c *client, _ [][]byte) {
	if !c.tx.open {
		c.writeError("ERR DISCARD without MULTI")
		return
	}
	c.tx.reset()
	c.writeOK()
}

func cmdWatch(c *client, args [][]byte) {
	if c.tx.open {
		c.writeError("ERR WATCH inside MULTI is not allowed")
		return
	}
	for _, key := range args[1:] {
		if _, ok := c.tx.watched[string(key)]; ok {
			continue
		}
		l, ok := c.srv.now(key)
		if !ok || !l.found {
			l = c.srv.askTicket(c.context(), string(key))
		}
		if l.err != nil {
			c.fail(l.err)
			return
		}
		if c.tx.watched == nil {
			c.tx.watched = make(map[string]watched)
		}
		c.tx.watchedSize += watchedCost + len(key)
		if len(c.tx.watched) >= c.srv.cfg.MaxPipeline || c.tx.watchedSize > c.srv.cfg.maxCommandBytes() {
			c.writeError(fmt.Sprintf("ERR huddle: too many watched keys: more than %d, or than %d bytes of memory",
				c.srv.cfg.MaxPipeline, c.srv.cfg.maxCommandBytes()))
			return
		}
		c.tx.watched[string(key)] = watched{l.entry.Version, l.ticket}
	}
	c.writeOK()
}

func cmdUnwatch(c *client, _ [][]byte) {
	c.tx.watched, c.tx.watchedSize = nil, 0
	c.writeOK()
}

// enqueue keeps a command for EXEC. What is kept is bounded.
func (c *client) enqueue(args [][]byte) {
	content := 0
	for _, arg := range args {
		content += len(arg)
	}
	size := queuedCost + argumentCost*len(args) + content
	if len(c.tx.queue) >= c.srv.cfg.MaxPipeline || c.tx.size+size > c.srv.cfg.maxCommandBytes() {
		c.tx.broken = true
		c.writeError(fmt.Sprintf("ERR huddle: transaction over the size limit of %d commands or %d bytes of memory: "+
			"send it in parts, or as a pipeline without MULTI", c.srv.cfg.MaxPipeline, c.srv.cfg.maxCommandBytes()))
		return
	}
	if !c.srv.mayBuffer(size) && c.tx.size+size > smallBuffers {
		c.tx.broken = true
		c.writeError(errTextCrowded)
		return
	}
	kept := make([][]byte, len(args)) // copies, for the batch is over before EXEC
	room := make([]byte, 0, content)
	for i, arg := range args {
		room = append(room, arg...)
		kept[i] = room[len(room)-len(arg) : len(room) : len(room)]
	}
	c.tx.queue = append(c.tx.queue, kept)
	c.tx.size += size
	_ = c.account() // it has been judged before
	c.writeSimple("QUEUED")
}

func cmdExec(c *client, _ [][]byte) {
	if !c.tx.open {
		c.writeError("ERR EXEC without MULTI")
		return
	}
	defer c.tx.reset()
	if c.tx.broken {
		c.writeError("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	switch same, err := c.watchedUnchanged(); {
	case err != nil:
		c.fail(err)
		return
	case !same:
		c.writeNullArray()
		return
	}
	c.endContext() // that was for the comparison
	queue := c.tx.queue
	c.tx.open, c.tx.running = false, true
	rest := c.rest
	c.rest = nil // nothing is read ahead
	defer func() { c.rest = rest }()
	mark := len(c.out)
	c.writeArray(len(queue))
	for i, args := range queue {
		c.ran++
		switch cmd := c.srv.find(args[0]); {
		case len(c.made) > 0:
			c.answerMade()
		case c.tx.late && !cmd.removes:
			c.fail(errLate)
		case c.astray(cmd):
			c.refuseAstray()
		case cmd.plan != nil && c.writeAhead(cmd, args, queue[i+1:]):
			c.answerMade()
		default:
			cmd.run(c, args)
		}
		c.endContext()
		if c.tx.conflict && c.tx.writes == 0 {
			c.out, c.over = c.out[:mark], nil
			c.writeNullArray()
			return
		}
	}
}

// watchedUnchanged tells whether the watched keys are as they were at WATCH.
func (c *client) watchedUnchanged() (bool, error) {
	for key, at := range c.tx.watched {
		e, _, err := c.present([]byte(key))
		if err != nil {
			return false, err
		}
		if e.Version != at.version {
			return false, nil
		}
	}
	return c.stayedAbsent()
}

// stayedAbsent tells whether the watched keys that are absent have been so since WATCH: what came and went has left no version to compare. Each is removed on
// condition of its ticket, and gets another one, but the key that the first write is for: that is made on the same condition, and costs nothing more.
func (c *client) stayedAbsent() (bool, error) {
	if c.srv.fill == nil {
		return true, nil
	}
	first := c.firstSet()
	for key, at := range c.tx.watched {
		if at.version != 0 || key == first {
			continue
		}
		err := c.srv.removeAbsent(c.context(), key, at.ticket)
		switch {
		case errors.Is(err, ErrCondition):
			return false, nil
		case errors.Is(err, ErrUnconfirmed): // nothing of the transaction has been written
			return false, ErrUnsure
		case err != nil:
			return false, err
		}
		l := c.srv.askTicket(c.context(), key)
		if l.err != nil || l.found {
			return false, l.err
		}
		c.tx.watched[key] = watched{ticket: l.ticket}
	}
	return true, nil
}

// firstSet is the key of the first write of the transaction, if that sets it whatever it finds; else "", which is no key.
func (c *client) firstSet() string {
	for _, args := range c.tx.queue {
		cmd := c.srv.find(args[0])
		if !cmd.write {
			continue
		}
		if cmd.plan != nil {
			if p, ok := cmd.plan(args); ok && !p.remove && !p.args.IfPresent {
				return string(p.key)
			}
		}
		break
	}
	return ""
}
