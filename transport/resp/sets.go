package resp

import (
	"bytes"
	"cmp"
	"slices"
	"unsafe"

	"github.com/tidwall/redcon"
)

// sorted returns the distinct members given, in order.
func sorted(given [][]byte) [][]byte {
	given = slices.Clone(given)
	slices.SortFunc(given, bytes.Compare)
	return slices.CompactFunc(given, bytes.Equal)
}

// openSet reads the entry of a set: its members, or with k parts what names its parts. body is nil if it is absent. It is never guessed to be: whoever
// asks for the sessions of a user may be about to end them, and would leave out those that are not named.
func (c *client) openSet(key []byte) (k kind, body []byte, up top, err error) {
	l := c.certain(key)
	if l.err != nil || !l.found {
		return set, nil, top{}, l.err
	}
	switch k, body = unwrap(l.entry.Value); k {
	case plain, hash:
		err = errWrongKind
	case parts:
		up, err = parseTop(body)
	}
	return k, body, up, err
}

// visitSet calls visit with each encoded part of a set, or with the set if it has none. It begins anew, and calls begin again, if the set
// is replaced meanwhile.
func (c *client) visitSet(key []byte, begin func(), visit func(body []byte) error) error {
	for {
		begin()
		k, body, up, err := c.openSet(key)
		switch {
		case err != nil, body == nil:
			return err
		case k == set:
			return visit(body)
		}
		var failed error
		err = c.srv.tree(c.context(), string(key)).walk(up.id, func(_ string, k kind, body []byte) bool {
			if k == set {
				failed = visit(body)
			}
			return failed == nil
		})
		if err = cmp.Or(err, failed); err != nil {
			return err
		}
		// If the set was deleted meanwhile, some of its parts may have been missing.
		k, _, now, err := c.openSet(key)
		if err != nil || k == parts && now.id == up.id {
			return err
		}
	}
}

// readSet collects the encoded members of a set, as much as may go into one reply.
func (c *client) readSet(key []byte, collected *claim) (bodies [][]byte, err error) {
	err = c.visitSet(key, func() {
		bodies = nil
		collected.end()
	}, func(body []byte) error {
		bodies = append(bodies, body)
		return collected.add(len(body))
	})
	return bodies, err
}

func cmdSadd(c *client, args [][]byte) {
	added, grown, err := c.addMembers(args[1], c.given(args[2:]))
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(int64(added))
	c.pruneSome(string(args[1]), grown)
}

// addMembers adds members to a set, and returns how many are new, and the keys of the entries that took these. It writes also those that are
// there: what added them may not have been confirmed, and would be lost with the owner. See cmdHdel.
func (c *client) addMembers(key []byte, given []member) (added int, grown []string, err error) {
	t := c.srv.tree(c.context(), string(key))
	var last partsID
	for before := 0; ; {
		var up *top
		err = c.change(key, func(e Entry, found bool) (err error) {
			added, grown, up, err = c.addToSet(t, key, given, e, found)
			return err
		})
		if err != nil || up == nil {
			return added, grown, err
		}
		if added, grown, err = t.add(up.id, given); err != nil {
			return added, grown, err
		}
		if up.id == last {
			added += before
		}
		last, before = up.id, added
		c.tx.wrote(key, nil)
		// If the set was removed meanwhile, the members are in parts that nobody reads.
		k, _, now, err := c.openSet(key)
		if err != nil || k == parts && now == *up {
			return added, grown, err
		}
	}
}

// addToSet adds members to what the entry of a set holds. up is not nil: it is in parts, where they belong.
func (c *client) addToSet(t *tree, key []byte, given []member, e Entry, found bool) (added int, grown []string, up *top, err error) {
	var body []byte
	k := set
	if found {
		k, body = unwrap(e.Value)
	}
	switch k {
	case plain, hash:
		return 0, nil, nil, errWrongKind
	case parts:
		now, err := parseTop(body)
		if err == nil && now.closing {
			now.closing = false
			err = c.store(key, now.stored(), SetArgs{IfVersion: e.Version, KeepTTL: true})
		}
		return 0, nil, &now, err
	}
	all, err := decodeSet(body)
	if err != nil {
		return 0, nil, nil, err
	}
	with, added := include(all, given)
	stored, err := t.pack(with)
	if err != nil {
		return 0, nil, nil, err
	}
	if added > 0 {
		grown = []string{t.root}
	}
	a := unchangedSince(e, found)
	a.KeepTTL, a.NoTTL = found, !found
	return added, grown, nil, t.exchanged(t.root, stored, e, c.store(key, stored, a))
}

func cmdSrem(c *client, args [][]byte) {
	dropped, err := c.dropMembers(args[1], sorted(args[2:]))
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(int64(dropped))
}

// dropMembers takes members out of a set and returns how many were there. Those that are not found are to be nowhere, too: see cmdHdel.
func (c *client) dropMembers(key []byte, names [][]byte) (dropped int, err error) {
	given := make([]member, len(names))
	for i, name := range names {
		given[i].name = name
	}
	var up *top
	err = c.change(key, func(e Entry, found bool) error {
		dropped, up = 0, nil
		if !found {
			_, err := c.removeAsSeen(key, e, found)
			return err
		}
		k, body := unwrap(e.Value)
		switch k {
		case plain, hash:
			return errWrongKind
		case parts:
			now, err := parseTop(body)
			up = &now
			return err
		}
		all, err := decodeSet(body)
		if err != nil {
			return err
		}
		rest := exclude(all, given)
		if dropped = len(all) - len(rest); len(rest) == 0 {
			_, err := c.remove(key, e.Version)
			return err
		}
		return c.store(key, encodeSet(rest), SetArgs{IfVersion: e.Version, KeepTTL: true})
	})
	if err != nil || up == nil {
		return dropped, err
	}
	t := c.srv.tree(c.context(), string(key))
	dropped, emptied, err := t.drop(up.id, given)
	c.tx.wrote(key, nil)
	if err == nil && emptied {
		err = c.closeIfEmpty(t, key, up.id)
	}
	return dropped, err
}

// closeIfEmpty removes a set in parts if it has no member. It first says so in the set's entry. Who adds a member afterwards takes
// that back, and then the set is not removed. Who added one before, and finds it said only then, adds it again.
func (c *client) closeIfEmpty(t *tree, key []byte, id partsID) error {
	if empty, err := t.empty(id); err != nil || !empty {
		return err
	}
	closing := top{id, true}.stored()
	err := c.change(key, func(e Entry, found bool) error {
		if k, body := unwrap(e.Value); !found || k != parts || !bytes.Equal(body, top{id: id}.stored()[len(magic)+1:]) {
			return nil // another set, or on its way out
		}
		return c.store(key, closing, SetArgs{IfVersion: e.Version, KeepTTL: true})
	})
	if err != nil {
		return err
	}
	return c.change(key, func(e Entry, found bool) error {
		if !found || !bytes.Equal(e.Value, closing) {
			return nil
		}
		empty, err := t.empty(id)
		switch {
		case err != nil:
			return err
		case empty:
			_, err = c.remove(key, e.Version)
			return err
		}
		return c.store(key, top{id: id}.stored(), SetArgs{IfVersion: e.Version, KeepTTL: true})
	})
}

func cmdSmembers(c *client, args [][]byte) {
	collected := claim{srv: c.srv}
	defer collected.end()
	bodies, err := c.readSet(args[1], &collected)
	if err != nil {
		c.fail(err)
		return
	}
	c.writeMembers(bodies, c.writeSet, nil)
}

// writeMembers answers with the members of a set that match pattern (nil: all).
func (c *client) writeMembers(bodies [][]byte, header func(n int), pattern *glob) {
	mark := len(c.out)
	err := c.appendMembers(bodies, header, pattern)
	if err != nil {
		c.out = c.out[:mark]
		c.fail(err)
	}
}

func (c *client) appendMembers(bodies [][]byte, header func(n int), pattern *glob) error {
	if pattern == nil {
		n, err := countMembers(bodies)
		if err != nil {
			return err
		}
		header(n)
		for _, body := range bodies {
			for m, err := range members(body) {
				if err != nil {
					return err
				}
				c.writeBulk(m.name)
			}
		}
		return nil
	}
	n := 0
	var some []byte // encoded, for a name is valid until the next
	for _, body := range bodies {
		for m, err := range members(body) {
			if err != nil {
				return err
			}
			switch ok, err := match(pattern, m.name); {
			case err != nil:
				return err
			case ok && len(c.out)+len(some)+len(m.name) > maxReplyBytes:
				return errOver
			case ok:
				n++
				some = redcon.AppendBulk(some, m.name)
			}
		}
	}
	header(n)
	c.writeRaw(unsafe.String(unsafe.SliceData(some), len(some)))
	return nil
}

func countMembers(bodies [][]byte) (sum int, err error) {
	for _, body := range bodies {
		n, err := memberCount(body)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func cmdScard(c *client, args [][]byte) {
	n := 0
	err := c.visitSet(args[1], func() { n = 0 }, func(body []byte) error {
		more, err := memberCount(body)
		n += more
		return err
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(int64(n))
}

// hasMembers tells of each name whether it is a member of a set.
func (c *client) hasMembers(key []byte, names [][]byte) ([]bool, error) {
	for {
		k, body, up, err := c.openSet(key)
		switch {
		case err != nil, body == nil:
			return make([]bool, len(names)), err
		case k == set:
			return contains(body, names)
		}
		has, err := c.srv.tree(c.context(), string(key)).contains(up.id, names)
		if err != nil {
			return nil, err
		}
		if k, _, now, err := c.openSet(key); err != nil || k == parts && now.id == up.id {
			return has, err
		}
	}
}

func cmdSismember(c *client, args [][]byte) {
	has, err := c.hasMembers(args[1], args[2:])
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBool(has[0])
}

func cmdSmismember(c *client, args [][]byte) {
	has, err := c.hasMembers(args[1], args[2:])
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
		for _, i := range byMember[string(m.name)] {
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
	collected := claim{srv: c.srv}
	defer collected.end()
	bodies, err := c.readSet(args[1], &collected)
	if err != nil {
		c.fail(err)
		return
	}
	var o scanOptions
	if bodies != nil { // Redis does not look at the options for an absent key
		var msg string
		if o, msg = c.parseScan(args[3:], false); msg != "" {
			c.writeError(msg)
			return
		}
	}
	c.writeArray(2)
	c.writeBulkString("0")
	c.writeMembers(bodies, c.writeArray, o.match)
}
