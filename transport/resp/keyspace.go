package resp

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// cmdDel deletes its keys at the same time. All are tried; if one fails, that is the answer.
func cmdDel(c *client, args [][]byte) {
	keys := args[1:]
	var count atomic.Int64
	ctx := c.context()
	one := func(existed bool, err error) error {
		if err == nil && existed {
			count.Add(1)
		}
		return err
	}
	var err error
	if c.tx.running || len(keys) == 1 { // one after the other, for the sake of watched keys
		for _, key := range keys {
			err = cmp.Or(err, one(c.remove(key, 0)))
		}
	} else {
		err = each(len(keys), func(i int) error {
			return one(c.srv.removeBy(ctx, c.srv.cfg.Backend.Remove, keys[i], 0))
		})
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(count.Load())
}

// cmdExists serves EXISTS and TOUCH, which counts the same.
func cmdExists(c *client, args [][]byte) {
	var count int64
	err := readEach(c, args[1:],
		func(l lookup) (found bool, err error) { return l.found, nil },
		func(_ int, found bool) {
			if found {
				count++
			}
		})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeInt(count)
}

func cmdType(c *client, args [][]byte) {
	switch e, found, err := c.read(args[1]); {
	case err != nil:
		c.fail(err)
	case !found:
		c.writeSimple("none")
	default:
		c.writeSimple(typeName(e))
	}
}

func typeName(e Entry) string {
	switch k, _ := unwrap(e.Value); k {
	case set, parts:
		return "set"
	case hash:
		return "hash"
	}
	return "string"
}

func cmdDBSize(c *client, _ [][]byte) {
	n, err := c.srv.cfg.Backend.Len(c.context())
	if err != nil {
		c.fail(asUnsure(err))
		return
	}
	c.writeInt(int64(n))
}

func cmdFlush(c *client, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !equalFold(args[1], "async") && !equalFold(args[1], "sync") {
		c.writeError(errSyntax)
		return
	}
	if c.tx.running {
		c.tx.watched = nil
	}
	if err := c.srv.cfg.Backend.Clear(c.context()); err != nil {
		c.fail(asUnconfirmed(err))
		return
	}
	c.writeOK()
}

type scanOptions struct {
	match    *glob // nil: all
	count    int
	typeName string // "": all
}

// parseScan reads the options of SCAN or SSCAN; msg is the error, if any.
func (c *client) parseScan(args [][]byte, withType bool) (o scanOptions, msg string) {
	const most = 1 << 20
	o.count = 10
	for ok := true; len(args) > 0; args = args[2:] {
		switch {
		case len(args) == 1:
			return o, errSyntax
		case equalFold(args[0], "count"):
			n, ok := parseInt(args[1])
			if !ok {
				return o, errNotInt
			}
			if n < 1 {
				return o, errSyntax
			}
			o.count = int(min(n, most))
		case equalFold(args[0], "match"):
			if o.match, ok = compileGlob(c.context(), args[1]); !ok {
				return o, errPattern
			}
		case equalFold(args[0], "type") && withType:
			o.typeName = strings.ToLower(string(args[1]))
		default:
			return o, errSyntax
		}
	}
	return o, ""
}

func parseCursor(b []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(b), 10, 64)
	return n, err == nil
}

func cmdScan(c *client, args [][]byte) {
	cursor, ok := parseCursor(args[1])
	if !ok {
		c.writeError("ERR invalid cursor")
		return
	}
	o, msg := c.parseScan(args[2:], true)
	if msg != "" {
		c.writeError(msg)
		return
	}
	keys, next, err := c.scan(cursor, o.count)
	if err == nil {
		keys, err = o.match.matching(keys)
	}
	if err != nil {
		c.fail(err)
		return
	}
	if o.typeName != "" {
		if keys, err = c.ofType(keys, o.typeName); err != nil {
			c.fail(err)
			return
		}
	}
	c.writeArray(2)
	c.writeBulkString(strconv.FormatUint(next, 10))
	c.writeKeys(keys)
}

// scan lists keys as the backend does, without those of the parts of sets.
func (c *client) scan(cursor uint64, count int) (keys []string, next uint64, err error) {
	keys, next, err = c.srv.cfg.Backend.Scan(c.context(), cursor, count)
	return slices.DeleteFunc(keys, isPart), next, asUnsure(err)
}

func (c *client) ofType(keys []string, name string) ([]string, error) {
	if name != "string" && name != "set" && name != "hash" {
		return nil, nil
	}
	raw := make([][]byte, len(keys))
	for i, key := range keys {
		raw[i] = []byte(key)
	}
	var some []string
	err := readEach(c, raw,
		func(l lookup) (is bool, err error) { return l.found && typeName(l.entry) == name, nil },
		func(i int, is bool) {
			if is {
				some = append(some, keys[i])
			}
		})
	return some, err
}

func (c *client) writeKeys(keys []string) {
	c.writeArray(len(keys))
	for _, key := range keys {
		c.writeBulkString(key)
	}
}

// cmdKeys walks through all keys. One that the backend lists twice is answered once.
func cmdKeys(c *client, args [][]byte) {
	const page = 1000
	pattern, ok := compileGlob(c.context(), args[1])
	if !ok {
		c.writeError(errPattern)
		return
	}
	seen := make(map[string]struct{})
	var keys []string
	collected := claim{srv: c.srv}
	defer collected.end()
	for cursor := uint64(0); ; {
		some, next, err := c.scan(cursor, page)
		if err == nil {
			some, err = pattern.matching(some)
		}
		if err != nil {
			c.fail(err)
			return
		}
		for _, key := range some {
			if _, ok := seen[key]; !ok {
				seen[key] = struct{}{}
				keys = append(keys, key)
				if err := collected.add(len(key)); err != nil {
					c.fail(err)
					return
				}
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	c.writeKeys(keys)
}

// cmdRandomKey picks one of the first thousand or so keys.
func cmdRandomKey(c *client, _ [][]byte) {
	const enough = 1000
	chosen, seen := "", 0
	for cursor := uint64(0); ; {
		keys, next, err := c.scan(cursor, enough)
		if err != nil {
			c.fail(err)
			return
		}
		for _, key := range keys {
			if seen++; rand.IntN(seen) == 0 { // each is chosen with the same probability
				chosen = key
			}
		}
		if cursor = next; cursor == 0 || seen >= enough {
			break
		}
	}
	if seen == 0 {
		c.writeNull()
		return
	}
	c.writeBulkString(chosen)
}
