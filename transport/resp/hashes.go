package resp

import (
	"fmt"
	"strconv"
)

// hashOf returns the hash that an entry holds; nil: it is absent.
func hashOf(e Entry, found bool) ([]byte, error) {
	if !found {
		return nil, nil
	}
	k, body := unwrap(e.Value)
	if k != hash {
		return nil, errWrongKind
	}
	return body, nil
}

// readHash is read of a hash; nil: it is absent.
func (c *client) readHash(key []byte) (body []byte, err error) {
	e, found, err := c.read(key)
	if err != nil {
		return nil, err
	}
	return hashOf(e, found)
}

// changeHash reads a hash, nil if it is absent, and writes what update makes of it, if it is still the one that was read: a stored form, or
// nil to remove it. With same there is nothing to write. update may be called again and again.
func (c *client) changeHash(key []byte, update func(body []byte) (stored []byte, same bool, err error)) error {
	made := claim{srv: c.srv}
	defer made.end()
	return c.change(key, func(e Entry, found bool) error {
		body, err := hashOf(e, found)
		if err != nil {
			return err
		}
		made.end()
		if made.add(len(body)) != nil { // a new hash takes about as much
			return ErrOverload
		}
		stored, same, err := update(body)
		switch {
		case err != nil || same:
			return err
		case stored == nil && found:
			_, err = c.unset(key, e.Version)
			return err
		case stored == nil:
			_, err = c.removeAsSeen(key, e, found)
			return err
		case len(stored) > c.srv.cfg.MaxValueBytes:
			return &DetailError{ErrTooLarge, fmt.Sprintf("hash of %d bytes, at most %d", len(stored), c.srv.cfg.MaxValueBytes)}
		}
		a := unchangedSince(e, found)
		a.KeepTTL = found
		return c.store(key, stored, a)
	})
}

func cmdHset(c *client, args [][]byte) {
	if created, ok := c.putGiven("hset", args); ok {
		c.writeInt(int64(created))
	}
}

func cmdHmset(c *client, args [][]byte) {
	if _, ok := c.putGiven("hmset", args); ok {
		c.writeOK()
	}
}

// putGiven writes the fields that a command gives, and returns how many are new. Not ok: it has answered with an error.
func (c *client) putGiven(name string, args [][]byte) (created int, ok bool) {
	if len(args)%2 == 1 {
		c.writeArity(name)
		return 0, false
	}
	given := fieldsGiven(args[2:])
	err := c.changeHash(args[1], func(body []byte) (stored []byte, same bool, err error) {
		stored, created, err = putFields(body, given)
		return stored, false, err
	})
	if err != nil {
		c.fail(err)
	}
	return created, err == nil
}

func cmdHsetnx(c *client, args [][]byte) {
	absent := false
	err := c.changeHash(args[1], func(body []byte) (stored []byte, same bool, err error) {
		present, err := valueOf(body, args[2])
		if absent = present == nil; err != nil || !absent {
			return nil, true, err
		}
		stored, _, err = putFields(body, fieldsGiven(args[2:]))
		return stored, false, err
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBool(absent)
}

func cmdHincrBy(c *client, args [][]byte) {
	n, ok := parseInt(args[3])
	if !ok {
		c.writeError(errNotInt)
		return
	}
	var sum int64
	msg := ""
	err := c.changeHash(args[1], func(body []byte) (stored []byte, same bool, err error) {
		present, err := valueOf(body, args[2])
		if err != nil {
			return nil, true, err
		}
		var now int64
		if msg = ""; present != nil {
			if now, ok = parseInt(present); !ok {
				msg = "ERR hash value is not an integer"
				return nil, true, nil
			}
		}
		if sum, ok = plus(now, n); !ok {
			msg = errOverflow
			return nil, true, nil
		}
		stored, _, err = putFields(body, fieldsGiven([][]byte{args[2], strconv.AppendInt(nil, sum, 10)}))
		return stored, false, err
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

// cmdHdel takes out fields. A hash whose last field goes is gone. What it does not find is to be nowhere, too: it may have been taken out by a write
// that was not confirmed, such as this command when it was sent before. So it writes in any case.
func cmdHdel(c *client, args [][]byte) {
	dropped := 0
	err := c.changeHash(args[1], func(body []byte) (stored []byte, same bool, err error) {
		stored, dropped, err = dropFields(body, args[2:])
		return stored, false, err
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(int64(dropped))
}

func cmdHget(c *client, args [][]byte) {
	c.readField(args, func(value []byte) {
		if value == nil {
			c.writeNull()
			return
		}
		c.writeBulk(value)
	})
}

func cmdHexists(c *client, args [][]byte) {
	c.readField(args, func(value []byte) { c.writeBool(value != nil) })
}

func cmdHstrlen(c *client, args [][]byte) {
	c.readField(args, func(value []byte) { c.writeInt(int64(len(value))) })
}

// readField answers with the value of a field; nil: there is no such field.
func (c *client) readField(args [][]byte, answer func(value []byte)) {
	body, err := c.readHash(args[1])
	var value []byte
	if err == nil {
		value, err = valueOf(body, args[2])
	}
	if err != nil {
		c.fail(err)
		return
	}
	answer(value)
}

func cmdHmget(c *client, args [][]byte) {
	body, err := c.readHash(args[1])
	var values [][]byte
	if err == nil {
		values, err = valuesOf(body, args[2:])
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.writeArray(len(values))
	for _, value := range values {
		if value == nil {
			c.writeNull()
		} else {
			c.writeBulk(value)
		}
	}
}

func cmdHlen(c *client, args [][]byte) {
	body, err := c.readHash(args[1])
	n := 0
	if err == nil {
		n, err = fieldCount(body)
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(int64(n))
}

func cmdHgetall(c *client, args [][]byte) { c.readFields(args[1], c.writeMap, true, true) }
func cmdHkeys(c *client, args [][]byte)   { c.readFields(args[1], c.writeArray, true, false) }
func cmdHvals(c *client, args [][]byte)   { c.readFields(args[1], c.writeArray, false, true) }

// readFields answers with names, values, or both, of all fields.
func (c *client) readFields(key []byte, header func(n int), names, values bool) {
	body, err := c.readHash(key)
	n := 0
	if err == nil {
		n, err = fieldCount(body)
	}
	if err != nil {
		c.fail(err)
		return
	}
	mark := len(c.out)
	header(n)
	for f, err := range fields(body) {
		if err != nil {
			c.out = c.out[:mark]
			c.fail(err)
			return
		}
		if names {
			c.writeBulk(f.name)
		}
		if values {
			c.writeBulk(f.value)
		}
	}
}

// cmdHscan answers with all fields at once, as Redis does of a small hash.
func cmdHscan(c *client, args [][]byte) {
	if _, ok := parseCursor(args[2]); !ok {
		c.writeError("ERR invalid cursor")
		return
	}
	body, err := c.readHash(args[1])
	if err != nil {
		c.fail(err)
		return
	}
	var o scanOptions
	if body != nil { // Redis does not look at the options for an absent key
		var msg string
		if o, msg = c.parseScan(args[3:], false); msg != "" {
			c.writeError(msg)
			return
		}
	}
	n, chosen, err := matchingFields(body, o.match)
	if err != nil {
		c.fail(err)
		return
	}
	c.writeArray(2)
	c.writeBulkString("0")
	c.writeArray(2 * n)
	i := 0
	for f := range fields(body) {
		if chosen[i] {
			c.writeBulk(f.name)
			c.writeBulk(f.value)
		}
		i++
	}
}

// matchingFields tells of each field of a hash whether its name matches pattern (nil: each does), and how many do.
func matchingFields(body []byte, pattern *glob) (n int, chosen []bool, err error) {
	all, err := fieldCount(body)
	if err != nil {
		return 0, nil, err
	}
	chosen = make([]bool, 0, all)
	for f, err := range fields(body) {
		if err != nil {
			return 0, nil, err
		}
		ok := pattern == nil
		if !ok {
			if ok, err = match(pattern, f.name); err != nil {
				return 0, nil, err
			}
		}
		if chosen = append(chosen, ok); ok {
			n++
		}
	}
	return n, chosen, nil
}
