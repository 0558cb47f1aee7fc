package resp

import (
	"cmp"
	"math"
	"strconv"
	"sync/atomic"
	"time"
)

// writeValue answers with the plain value of an entry; a set or a hash is answered with an error.
func (c *client) writeValue(e Entry, found bool) {
	if !found {
		c.writeNull()
		return
	}
	k, value := unwrap(e.Value)
	if k != plain {
		c.writeError(errWrongType)
		return
	}
	c.writeBulk(value)
}

func cmdGet(c *client, args [][]byte) {
	e, found, err := c.read(args[1])
	if err != nil {
		c.fail(err)
		return
	}
	c.writeValue(e, found)
}

func cmdStrlen(c *client, args [][]byte) {
	e, found, err := c.read(args[1])
	if err != nil {
		c.fail(err)
		return
	}
	k, value := unwrap(e.Value)
	if found && k != plain {
		c.writeError(errWrongType)
		return
	}
	c.writeInt(int64(len(value)))
}

// cmdMget reads no more than fits into one reply.
func cmdMget(c *client, args [][]byte) {
	mark := len(c.out)
	var size atomic.Int64
	collected := claim{srv: c.srv}
	defer collected.end()
	c.writeArray(len(args) - 1)
	err := readEach(c, args[1:], func(l lookup) (lookup, error) {
		if k, _ := unwrap(l.entry.Value); k != plain {
			return lookup{}, nil
		}
		if size.Add(int64(len(l.entry.Value))) > maxReplyBytes {
			return lookup{}, errOver
		}
		return l, collected.add(len(l.entry.Value))
	}, func(_ int, l lookup) {
		collected.giveBack(len(l.entry.Value))
		if _, value := unwrap(l.entry.Value); l.found {
			c.writeBulk(value)
		} else {
			c.writeNull()
		}
	})
	if err != nil {
		c.out = c.out[:mark]
		c.fail(err)
	}
}

// cmdMset writes its keys at the same time. All are tried; if one fails, that is the answer.
func cmdMset(c *client, args [][]byte) {
	if len(args)%2 == 0 {
		c.writeArity("mset")
		return
	}
	last := make(map[string]int) // of a key given twice, the later value counts
	var order []int
	for i := 1; i < len(args); i += 2 {
		if _, ok := last[string(args[i])]; !ok {
			order = append(order, i)
		}
		last[string(args[i])] = i + 1
	}
	ctx := c.context()
	value := func(i int) []byte { return wrap(args[last[string(args[i])]]) }
	var err error
	if c.tx.running { // one after the other, for the sake of watched keys
		for _, i := range order {
			err = cmp.Or(err, c.store(args[i], value(i), SetArgs{}))
		}
	} else {
		err = each(len(order), func(n int) error {
			i := order[n]
			return asUnconfirmed(c.srv.cfg.Backend.Set(ctx, string(args[i]), value(i), SetArgs{}))
		})
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.writeOK()
}

// setOptions are the options of SET and GETEX.
type setOptions struct {
	ttl                        expiry
	absent, present, get       bool
	keepTTL, persist, expiring bool
}

// parseSet reads the options of SET, or those of GETEX.
func parseSet(args [][]byte, getex bool) (o setOptions, ok bool) {
	for ; len(args) > 0; args = args[1:] {
		u, isTime := unitOf(args[0])
		switch {
		case isTime && len(args) > 1 && !o.keepTTL && !o.persist && (!o.expiring || o.ttl.unit == u):
			o.ttl, o.expiring = expiry{u, args[1]}, true
			args = args[1:]
		case getex && equalFold(args[0], "persist") && !o.expiring:
			o.persist = true
		case getex:
			return o, false
		case equalFold(args[0], "nx") && !o.present:
			o.absent = true
		case equalFold(args[0], "xx") && !o.absent:
			o.present = true
		case equalFold(args[0], "get"):
			o.get = true
		case equalFold(args[0], "keepttl") && !o.expiring:
			o.keepTTL = true
		default:
			return o, false
		}
	}
	return o, true
}

func cmdSet(c *client, args [][]byte) {
	if len(args) == 3 {
		c.set(args[1], args[2], setOptions{}, 0)
		return
	}
	o, ok := parseSet(args[3:], false)
	if !ok {
		c.writeError(errSyntax)
		return
	}
	var ttl time.Duration
	if o.expiring {
		var msg string
		if ttl, msg = o.ttl.duration("set"); msg != "" {
			c.writeError(msg)
			return
		}
	}
	c.set(args[1], args[2], o, ttl)
}

// set writes a plain value and answers. A ttl below 0 is a time that has passed: the key is gone at once.
func (c *client) set(key, value []byte, o setOptions, ttl time.Duration) {
	a := SetArgs{TTL: ttl, KeepTTL: o.keepTTL, IfAbsent: o.absent, IfPresent: o.present}
	if o.get || ttl < 0 {
		c.exchange(key, value, o, a)
		return
	}
	replySet(c, false, c.store(key, wrap(value), a))
}

// exchange is SET with a look at the present entry first.
func (c *client) exchange(key, value []byte, o setOptions, a SetArgs) {
	var old Entry
	var had, done bool
	err := c.change(key, func(e Entry, found bool) error {
		old, had, done = e, found, false
		if k, _ := unwrap(e.Value); o.get && k != plain {
			return nil
		}
		done = found && !o.absent || !found && !o.present
		if !done && (found || a.TTL >= 0) { // with a time that has passed, what is absent here is to be nowhere
			return nil
		}
		if a.TTL < 0 {
			_, err := c.removeAsSeen(key, e, found)
			return err
		}
		since := unchangedSince(e, found)
		since.TTL, since.KeepTTL = a.TTL, a.KeepTTL
		return c.store(key, wrap(value), since)
	})
	switch {
	case err != nil:
		c.fail(err)
	case o.get:
		c.writeValue(old, had)
	case done:
		c.writeOK()
	default:
		c.writeNull()
	}
}

func cmdSetex(c *client, args [][]byte)  { c.setex(args, expiry{seconds, args[2]}, "setex") }
func cmdPsetex(c *client, args [][]byte) { c.setex(args, expiry{millis, args[2]}, "psetex") }

func (c *client) setex(args [][]byte, x expiry, name string) {
	ttl, msg := x.duration(name)
	if msg != "" {
		c.writeError(msg)
		return
	}
	c.set(args[1], args[3], setOptions{}, ttl)
}

func cmdSetnx(c *client, args [][]byte) {
	replySetnx(c, false, c.store(args[1], wrap(args[2]), SetArgs{IfAbsent: true}))
}

func cmdGetset(c *client, args [][]byte) {
	c.exchange(args[1], args[2], setOptions{get: true}, SetArgs{})
}

func cmdGetdel(c *client, args [][]byte) {
	var old Entry
	var had bool
	err := c.change(args[1], func(e Entry, found bool) error {
		old, had = e, found
		if k, _ := unwrap(e.Value); k != plain {
			return nil
		}
		_, err := c.removeAsSeen(args[1], e, found)
		return err
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeValue(old, had)
}

func cmdGetex(c *client, args [][]byte) {
	o, ok := parseSet(args[2:], true)
	if !ok {
		c.writeError(errSyntax)
		return
	}
	var old Entry
	var had bool
	msg := ""
	err := c.change(args[1], func(e Entry, found bool) (err error) {
		old, had = e, found
		k, _ := unwrap(e.Value)
		if k != plain || !o.expiring && (!o.persist || e.TTL == 0) {
			return nil
		}
		ttl := time.Duration(0)
		if msg = ""; o.expiring {
			ttl, msg = o.ttl.duration("getex")
		}
		switch {
		case ttl < 0:
			_, err = c.removeAsSeen(args[1], e, found)
		case !found:
			msg = "" // Redis does not look at the time for an absent key
		case msg != "":
		default:
			_, err = c.touch(args[1], ttl, e.Version)
		}
		return err
	})
	switch {
	case err != nil:
		c.fail(err)
	case msg != "":
		c.writeError(msg)
	default:
		c.writeValue(old, had)
	}
}

func cmdIncr(c *client, args [][]byte) { c.add(args[1], 1) }
func cmdDecr(c *client, args [][]byte) { c.add(args[1], -1) }

func cmdIncrBy(c *client, args [][]byte) {
	n, ok := parseInt(args[2])
	if !ok {
		c.writeError(errNotInt)
		return
	}
	c.add(args[1], n)
}

func cmdDecrBy(c *client, args [][]byte) {
	n, ok := parseInt(args[2])
	switch {
	case !ok:
		c.writeError(errNotInt)
	case n == math.MinInt64:
		c.writeError("ERR decrement would overflow")
	default:
		c.add(args[1], -n)
	}
}

// add adds n to the number that a key holds.
func (c *client) add(key []byte, n int64) {
	var sum int64
	var msg string
	err := c.change(key, func(e Entry, found bool) (err error) {
		sum, msg, err = c.addTo(key, e, found, n)
		return err
	})
	switch {
	case err != nil:
		c.fail(err)
	case msg != "":
		c.writeError(msg)
	default:
		c.writeInt(sum)
	}
}

// addTo is add if the key is as it was seen. ErrCondition: it has changed.
func (c *client) addTo(key []byte, e Entry, found bool, n int64) (sum int64, msg string, err error) {
	var now int64
	if found {
		k, value := unwrap(e.Value)
		if k != plain {
			return 0, errWrongType, nil
		}
		var ok bool
		if now, ok = parseInt(value); !ok {
			return 0, errNotInt, nil
		}
	}
	sum, ok := plus(now, n)
	if !ok {
		return 0, errOverflow, nil
	}
	a := unchangedSince(e, found)
	a.KeepTTL, a.Tags = found, e.Tags
	return sum, "", c.store(key, strconv.AppendInt(nil, sum, 10), a)
}
