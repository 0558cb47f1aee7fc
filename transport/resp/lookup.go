package resp

import (
	"context"
	"errors"
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

// asking returns what asks the backend for a key, as Config.WhenUnsure says. Several goroutines may call it until end is called.
func (c *client) asking() (ask func(key []byte) lookup, end func()) {
	ctx, wait, end := c.context(), true, func() {}
	if c.srv.cfg.WhenUnsure == Miss {
		ctx, end = context.WithTimeout(ctx, unsureWait)
		wait = false
	}
	return func(key []byte) lookup {
		l := c.srv.ask(ctx, string(key), wait)
		if !wait && missing(l.err) {
			l = lookup{}
		}
		return l
	}, end
}

// certain reads an entry, and waits until it is sure what it holds.
func (c *client) certain(key []byte) lookup {
	l, ok := c.srv.now(key)
	if !ok {
		l = c.srv.ask(c.context(), string(key), true)
	}
	return l
}

// present reads an entry that is about to be changed: it is never guessed to be absent.
func (c *client) present(key []byte) (Entry, bool, error) {
	return c.unlessChanged(key, c.certain(key))
}

// judged is present, but asks the owner, which judges the conditions of writes.
func (c *client) judged(key []byte) (Entry, bool, error) {
	return c.unlessChanged(key, c.srv.askTicket(c.context(), string(key)))
}

func (c *client) unlessChanged(key []byte, l lookup) (Entry, bool, error) {
	if l.err == nil && !c.tx.unchanged(key, l.entry.Version) {
		return Entry{}, false, errConflict
	}
	return l.entry, l.found, l.err
}
