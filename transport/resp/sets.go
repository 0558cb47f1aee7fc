package resp

import (
	"bytes"
	"slices"
)

// readSet answers for a reading command on a set. ok is false when that is done: an error.
func (c *client) readSet(key []byte) (body []byte, n int, ok bool) {
	e, found, err := c.read(key)
	if err != nil {
		c.fail(err)
		return nil, 0, false
	}
	if !found {
		return []byte{0}, 0, true
	}
	k, body := unwrap(e.Value)
	if k != set {
		c.writeError(errWrongType)
		return nil, 0, false
	}
	if n, err = memberCount(body); err != nil {
		c.fail(err)
		return nil, 0, false
	}
	return body, n, true
}

// sorted returns the distinct members given, in order.
func sorted(given [][]byte) [][]byte {
	given = slices.Clone(given)
	slices.SortFunc(given, bytes.Compare)
	return slices.CompactFunc(given, bytes.Equal)
}

func cmdSadd(c *client, args [][]byte) {
	given := sorted(args[2:])
	c.changeSet(args[1], func(body []byte) (setWriter, int, error) { return union(body, given) })
}

func cmdSrem(c *client, args [][]byte) {
	given := sorted(args[2:])
	c.changeSet(args[1], func(body []byte) (setWriter, int, error) {
		if body == nil {
			return setWriter{}, 0, nil
		}
		return without(body, given)
	})
}

// changeSet replaces a set (nil: absent) by what edit makes of it, and answers with the number of members that edit changed.
func (c *client) changeSet(key []byte, edit func(body []byte) (setWriter, int, error)) {
	wrongType, changed := false, 0
	err := c.change(key, func(e Entry, found bool) error {
		var body []byte
		if found {
			var k kind
			if k, body = unwrap(e.Value); k != set {
				wrongType = true
				return nil
			}
		}
		w, n, err := edit(body)
		changed = n
		switch {
		case err != nil, n == 0:
			return err
		case w.count == 0:
			_, err := c.remove(key, e.Version)
			return err
		case w.count > maxSetMembers:
			return errMembers
		}
		stored := w.stored()
		if len(stored) > c.srv.cfg.MaxValueBytes {
			return ErrTooLarge
		}
		a := unchangedSince(e, found)
		a.KeepTTL = found
		return c.store(key, stored, a)
	})
	switch {
	case err != nil:
		c.fail(err)
	case wrongType:
		c.writeError(errWrongType)
	default:
		c.writeInt(int64(changed))
	}
}

func cmdSmembers(c *client, args [][]byte) {
	if body, n, ok := c.readSet(args[1]); ok {
		c.writeMembers(body, n, c.writeSet, nil)
	}
}

// writeMembers answers with the members of a set that match pattern (nil: all).
func (c *client) writeMembers(body []byte, n int, header func(n int), pattern []byte) {
	mark := len(c.out)
	if pattern != nil {
		n = 0
		for m, err := range members(body) {
			if err == nil && match(string(pattern), string(m)) {
				n++
			}
		}
	}
	header(n)
	for m, err := range members(body) {
		switch {
		case err != nil:
			c.out = c.out[:mark]
			c.fail(err)
			return
		case pattern == nil || match(string(pattern), string(m)):
			c.writeBulk(m)
		}
	}
}

func cmdScard(c *client, args [][]byte) {
	if _, n, ok := c.readSet(args[1]); ok {
		c.writeInt(int64(n))
	}
}

func cmdSismember(c *client, args [][]byte) {
	body, _, ok := c.readSet(args[1])
	if !ok {
		return
	}
	has, err := contains(body, args[2:])
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBool(has[0])
}

func cmdSmismember(c *client, args [][]byte) {
	body, _, ok := c.readSet(args[1])
	if !ok {
		return
	}
	has, err := contains(body, args[2:])
	if err != nil {
		c.fail(err)
		return
	}
	c.writeArray(len(has))
	for _, h := range has {
		c.writeBool(h)
	}
}

// contains tells which of given are members of a set.
func contains(body []byte, given [][]byte) ([]bool, error) {
	has := make([]bool, len(given))
	byMember := make(map[string][]int, len(given))
	for i, g := range given {
		byMember[string(g)] = append(byMember[string(g)], i)
	}
	for m, err := range members(body) {
		if err != nil {
			return nil, err
		}
		for _, i := range byMember[string(m)] {
			has[i] = true
		}
	}
	return has, nil
}

func cmdSscan(c *client, args [][]byte) {
	if _, ok := parseCursor(args[2]); !ok {
		c.writeError("ERR invalid cursor")
		return
	}
	e, found, err := c.read(args[1])
	if err != nil {
		c.fail(err)
		return
	}
	if !found {
		c.writeArray(2)
		c.writeBulkString("0")
		c.writeArray(0)
		return
	}
	k, body := unwrap(e.Value)
	if k != set {
		c.writeError(errWrongType)
		return
	}
	o, msg := parseScan(args[3:], false)
	if msg != "" {
		c.writeError(msg)
		return
	}
	n, err := memberCount(body)
	if err != nil {
		c.fail(err)
		return
	}
	c.writeArray(2)
	c.writeBulkString("0")
	c.writeMembers(body, n, c.writeArray, o.match)
}
