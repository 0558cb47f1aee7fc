package resp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
	"unsafe"
)

// lookup is the answer to a read.
type lookup struct {
	entry  Entry
	found  bool
	ticket Ticket // of a key that is absent, if it was asked for
	err    error
}

// now asks local memory. key is the client's own bytes: a string is laid over them, for LookupNow does not keep it.
func (s *Server) now(key []byte) (l lookup, ok bool) {
	if s.fast == nil {
		return lookup{}, false
	}
	l.entry, l.found, ok = s.fast.LookupNow(unsafe.String(unsafe.SliceData(key), len(key)))
	return l, ok
}

// ask asks the backend. With wait it asks again until the answer is certain or ctx ends.
func (s *Server) ask(ctx context.Context, key string, wait bool) lookup {
	return again(ctx, wait, func() (l lookup) {
		l.entry, l.found, l.err = s.cfg.Backend.Lookup(ctx, key)
		return l
	})
}

// askTicket is ask with wait, and brings a ticket if the key is absent and the backend gives any.
func (s *Server) askTicket(ctx context.Context, key string) lookup {
	if s.fill == nil {
		return s.ask(ctx, key, true)
	}
	return again(ctx, true, func() (l lookup) {
		l.entry, l.found, l.ticket, l.err = s.fill.LookupOrTicket(ctx, key)
		return l
	})
}

// again looks up once, or with wait until the answer is certain or ctx ends.
func again(ctx context.Context, wait bool, look func() lookup) lookup {
	const shortest, longest = 2 * time.Millisecond, 50 * time.Millisecond
	for pause := shortest; ; pause = min(2*pause, longest) {
		l := look()
		if l.err == nil || !wait || !errors.Is(l.err, ErrUnsure) || !sleep(ctx, pause) {
			l.err = asUnsure(l.err)
			return l
		}
	}
}

// read answers a reading command. The reads that follow it in the pipeline are made along with it if it takes time.
func (c *client) read(key []byte) (Entry, bool, error) {
	if len(c.ahead) > 0 {
		l := c.ahead[0]
		c.ahead = c.ahead[1:]
		return l.entry, l.found, l.err
	}
	l, ok := c.srv.now(key)
	if !ok {
		all := c.readAll(c.readsFrom(key, c.rest))
		l, c.ahead = all[0], all[1:]
	}
	return l.entry, l.found, l.err
}

// readsFrom returns the key of a reading command, and those of the reading commands that follow it.
func (c *client) readsFrom(key []byte, following [][][]byte) [][]byte {
	keys := [][]byte{key}
	for _, args := range following {
		cmd := c.srv.find(args[0])
		if cmd == nil || !cmd.reads || !cmd.fits(len(args)) || cmd.namesPart(args) || c.tx.open || len(keys) == mostAhead {
			break
		}
		keys = append(keys, args[1])
	}
	return keys
}

// readAll reads several keys at the same time.
func (c *client) readAll(keys [][]byte) []lookup {
	all := make([]lookup, len(keys))
	var slow []int
	for i, key := range keys {
		l, ok := c.srv.now(key)
		if !ok {
			slow = append(slow, i)
		}
		all[i] = l
	}
	if len(slow) == 0 {
		return all
	}
	ctx, wait := c.context(), true
	if c.srv.cfg.WhenUnsure == Miss {
		short, cancel := context.WithTimeout(ctx, unsureWait)
		defer cancel()
		ctx, wait = short, false
	}
	spread(len(slow), func(i int) {
		l := c.srv.ask(ctx, string(keys[slow[i]]), wait)
		if !wait && missing(l.err) {
			l = lookup{}
		}
		all[slow[i]] = l
	})
	return all
}

// spread calls do for 0 to n-1, several at the same time, and returns when all are done.
func spread(n int, do func(i int)) {
	if n == 1 {
		do(0)
		return
	}
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(n, fanOut) {
		wg.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

// present reads an entry that is about to be changed: it is never guessed to be absent.
func (c *client) present(key []byte) (Entry, bool, error) {
	l, ok := c.srv.now(key)
	if !ok {
		l = c.srv.ask(c.context(), string(key), true)
	}
	if l.err == nil && !c.tx.unchanged(key, l.entry.Version) {
		return Entry{}, false, errConflict
	}
	return l.entry, l.found, l.err
}

// store writes an entry. Inside an EXEC, the first write to a watched key is made on condition that it has not changed.
func (c *client) store(key, stored []byte, a SetArgs) error {
	at, watched := c.tx.guards(key)
	switch {
	case !watched || a.IfVersion != 0:
	case at.version == 0 && a.IfPresent, at.version != 0 && a.IfAbsent:
		return ErrCondition
	case at.version == 0:
		a.IfAbsent, a.Ticket = true, at.ticket
	default:
		a.IfPresent, a.IfVersion = false, at.version
	}
	err := asUnconfirmed(c.srv.cfg.Backend.Set(c.context(), string(key), stored, a))
	if watched && errors.Is(err, ErrCondition) {
		return errConflict
	}
	c.tx.wrote(key, err)
	return err
}

// remove deletes a key.
func (c *client) remove(key []byte, ifVersion uint64) (bool, error) {
	at, watched := c.tx.guards(key)
	if watched && ifVersion == 0 {
		ifVersion = at.version
	}
	before, _ := c.srv.now(key)
	existed, err := c.srv.cfg.Backend.Remove(c.context(), string(key), ifVersion)
	if err = asUnconfirmed(err); err == nil {
		c.srv.removed(string(key), before)
	}
	if watched && errors.Is(err, ErrCondition) {
		return false, errConflict
	}
	c.tx.wrote(key, err)
	return existed, err
}

// touch gives a key a new TTL; 0: no end.
func (c *client) touch(key []byte, ttl time.Duration) (bool, error) {
	existed, err := c.srv.cfg.Backend.Touch(c.context(), string(key), ttl)
	c.tx.wrote(key, err)
	return existed, asUnconfirmed(err)
}

// change reads an entry and lets update write it on condition that it has not changed meanwhile, again and again until that works.
// update returns ErrCondition to try again.
func (c *client) change(key []byte, update func(e Entry, found bool) error) error {
	const longest = 20 * time.Millisecond
	unlock, err := c.srv.changing.lock(c.context(), string(key))
	if err != nil {
		return asUnsure(err)
	}
	defer unlock()
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		e, found, err := c.present(key)
		if err != nil {
			return err
		}
		if err = update(e, found); !errors.Is(err, ErrCondition) {
			return err
		}
		if !sleep(c.context(), rand.N(pause)) {
			return err
		}
	}
}

// unchangedSince is the condition that an entry is still the one that was read.
func unchangedSince(e Entry, found bool) SetArgs {
	if !found {
		return SetArgs{IfAbsent: true}
	}
	return SetArgs{IfVersion: e.Version}
}
