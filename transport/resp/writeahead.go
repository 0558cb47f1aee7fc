package resp

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// plannedWrite is a write that follows from the command alone: it reads nothing first.
type plannedWrite struct {
	key    []byte
	stored []byte  // what is written; not used to remove
	args   SetArgs // likewise
	remove bool
	reply  func(c *client, existed bool, err error)
	// The outcome.
	existed bool
	err     error
}

// slowWrite is what a write takes at least that waits for another node. Those that take less are made one after the other: to
// hand them to other goroutines would cost more than it saves. One write may be slow because the machine is busy; slowTwice in
// a row are not.
const (
	slowWrite = 80 * time.Microsecond
	slowTwice = 2
)

// perform makes a planned write, in a time of its own, and tells whether that has run out. Within EXEC it is not for a key that is watched.
func (c *client) perform(p *plannedWrite) (late bool) {
	if c.tx.late && !p.remove {
		p.err = errLate
		return false
	}
	b, ctx := c.srv.cfg.Backend, newBounded(c.srv.ctx, c.timeout())
	defer ctx.end()
	if p.remove {
		p.existed, p.err = c.srv.removeBy(ctx, b.Remove, p.key, 0)
	} else {
		p.err = asUnconfirmed(b.Set(ctx, string(p.key), p.stored, p.args))
	}
	return ctx.late()
}

// performMany makes planned writes, none of which removes, at the same time.
func (c *client) performMany(all []plannedWrite) {
	items := make([]SetItem, len(all))
	for i := range all {
		items[i] = SetItem{string(all[i].key), all[i].stored, all[i].args}
	}
	for i, err := range c.srv.many.SetMany(c.context(), items) {
		all[i].err = asUnconfirmed(err)
	}
}

// writeAhead makes the write of a command and those of the commands that follow it in the pipeline, or in the EXEC, as long as they are of
// the same sort and of other keys, none of which is watched. If they take time they are made at the same time. Their outcomes are
// left in c.made. False: the command is to be run as any other.
func (c *client) writeAhead(cmd *command, args [][]byte, following [][][]byte) bool {
	if len(following) == 0 {
		return false
	}
	all := c.plans(cmd, args, following, (*client).unwatched)
	if len(all) < 2 {
		return false
	}
	c.makeAll(all)
	for i := range all {
		c.tx.wrote(all[i].key, all[i].err)
	}
	c.made = all
	return true
}

// makeAll makes planned writes of different keys, at the same time if they take time.
func (c *client) makeAll(all []plannedWrite) {
	if c.srv.many != nil && !slices.ContainsFunc(all, func(p plannedWrite) bool { return p.remove }) {
		c.performMany(all)
		return
	}
	c.sendMeanwhile()
	i := 0
	for ; i < len(all) && c.slowWrites < slowTwice; i++ {
		begun := time.Now()
		if c.perform(&all[i]) {
			c.noteLate()
		}
		if c.slowWrites++; time.Since(begun) < slowWrite {
			c.slowWrites = 0
		}
	}
	if rest := all[i:]; len(rest) > 0 {
		var quick, late atomic.Bool
		spread(len(rest), func(i int) {
			begun := time.Now()
			if c.perform(&rest[i]) {
				late.Store(true)
			}
			if time.Since(begun) < slowWrite {
				quick.Store(true)
			}
		})
		if quick.Load() {
			c.slowWrites = 0
		}
		if late.Load() {
			c.noteLate()
		}
	}
}

// unwatched tells whether a planned write has no condition of its client's EXEC.
func (c *client) unwatched(p *plannedWrite) bool {
	_, watched := c.tx.guards(p.key)
	return !watched
}

// plans returns the planned write of a command and those of the commands that follow it, as long as they are of other keys and may
// agrees to them.
func (c *client) plans(cmd *command, args [][]byte, following [][][]byte, may func(*client, *plannedWrite) bool) []plannedWrite {
	var all []plannedWrite
	for {
		p, ok := cmd.plan(args)
		if !ok || holdsKey(all, p.key) || !may(c, &p) {
			return all
		}
		all = append(all, p)
		if len(following) == 0 || len(all) == mostAhead {
			return all
		}
		args, following = following[0], following[1:]
		if cmd = c.srv.find(args[0]); cmd == nil || cmd.plan == nil || !cmd.fits(len(args)) || cmd.namesPart(args) {
			return all
		}
	}
}

func holdsKey(all []plannedWrite, key []byte) bool {
	for i := range all {
		if string(all[i].key) == string(key) {
			return true
		}
	}
	return false
}

// answerMade answers a command whose write has been made.
func (c *client) answerMade() {
	p := &c.made[0]
	c.made = c.made[1:]
	p.reply(c, p.existed, p.err)
}

func planSet(args [][]byte) (plannedWrite, bool) {
	o, ok := parseSet(args[3:], false)
	if !ok || o.get {
		return plannedWrite{}, false
	}
	var ttl time.Duration
	if o.expiring {
		var msg string
		if ttl, msg = o.ttl.duration("set"); msg != "" || ttl < 0 {
			return plannedWrite{}, false
		}
	}
	return plannedWrite{
		key: args[1], stored: wrap(args[2]), reply: replySet,
		args: SetArgs{TTL: ttl, KeepTTL: o.keepTTL, IfAbsent: o.absent, IfPresent: o.present},
	}, true
}

func planSetex(args [][]byte) (plannedWrite, bool) { return planTimed(args, expiry{seconds, args[2]}) }

func planPsetex(args [][]byte) (plannedWrite, bool) { return planTimed(args, expiry{millis, args[2]}) }

func planTimed(args [][]byte, x expiry) (plannedWrite, bool) {
	ttl, msg := x.duration("setex")
	return plannedWrite{key: args[1], stored: wrap(args[3]), args: SetArgs{TTL: ttl}, reply: replySet}, msg == "" && ttl > 0
}

func planSetnx(args [][]byte) (plannedWrite, bool) {
	return plannedWrite{key: args[1], stored: wrap(args[2]), args: SetArgs{IfAbsent: true}, reply: replySetnx}, true
}

func planDel(args [][]byte) (plannedWrite, bool) {
	if len(args) != 2 {
		return plannedWrite{}, false
	}
	return plannedWrite{key: args[1], remove: true, reply: replyDel}, true
}

func replySet(c *client, _ bool, err error) {
	switch {
	case err == nil:
		c.writeOK()
	case errors.Is(err, ErrCondition):
		c.writeNull()
	default:
		c.fail(err)
	}
}

func replySetnx(c *client, _ bool, err error) {
	if err != nil && !errors.Is(err, ErrCondition) {
		c.fail(err)
		return
	}
	c.writeBool(err == nil)
}

func replyDel(c *client, existed bool, err error) {
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBool(existed)
}
