package resp

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

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
		return c.conflict(key)
	}
	c.tx.wrote(key, err)
	return err
}

// conflict is the error of a write to a watched key that has changed. Perhaps its owner has only evicted it, and this node goes on serving it from
// memory: it is then removed here too, or each further WATCH would end in the same way.
func (c *client) conflict(key []byte) error {
	_ = c.srv.removeAbsent(c.context(), string(key), Ticket{}) // another time, if not now
	return errConflict
}

// remove deletes a key.
func (c *client) remove(key []byte, ifVersion uint64) (bool, error) {
	return c.removeBy(c.srv.cfg.Backend.Remove, key, ifVersion)
}

// unset is remove that is never final: nobody has asked for the key to be deleted.
func (c *client) unset(key []byte, ifVersion uint64) (bool, error) {
	if c.srv.unset == nil {
		return c.remove(key, ifVersion)
	}
	return c.removeBy(c.srv.unset.Unset, key, ifVersion)
}

func (c *client) removeBy(how remover, key []byte, ifVersion uint64) (bool, error) {
	at, watched := c.tx.guards(key)
	if watched && ifVersion == 0 {
		ifVersion = at.version
	}
	existed, err := c.srv.removeBy(c.context(), how, key, ifVersion)
	if watched && errors.Is(err, ErrCondition) {
		return false, c.conflict(key)
	}
	c.tx.wrote(key, err)
	return existed, err
}

// remover is Backend.Remove, or UnsetBackend.Unset.
type remover func(ctx context.Context, key string, ifVersion uint64) (existed bool, err error)

// removeBy deletes a key, and with it the parts of a set that it is known to hold.
func (s *Server) removeBy(ctx context.Context, how remover, key []byte, ifVersion uint64) (bool, error) {
	before, _ := s.now(key)
	existed, err := how(ctx, string(key), ifVersion)
	if err == nil {
		s.removed(string(key), before)
	}
	return existed, asUnconfirmed(err)
}

// removeAsSeen deletes a key on condition that it is as it was seen, and tells whether it was there.
func (c *client) removeAsSeen(key []byte, e Entry, found bool) (bool, error) {
	if found {
		return c.remove(key, e.Version)
	}
	at, watched := c.tx.guards(key)
	err := c.srv.removeAbsent(c.context(), string(key), at.ticket)
	if watched && errors.Is(err, ErrCondition) {
		return false, errConflict
	}
	c.tx.wrote(key, err)
	return false, err
}

// removeAbsent deletes a key that was found absent, for its owner may have evicted what other nodes still serve. It is ErrCondition if the
// key is there by now, or something has happened to it since the ticket was given. Without a ticket it asks for one.
func (s *Server) removeAbsent(ctx context.Context, key string, ticket Ticket) error {
	if ticket == (Ticket{}) {
		l := s.askTicket(ctx, key)
		switch {
		case l.err != nil:
			return l.err
		case l.found:
			return ErrCondition
		}
		ticket = l.ticket
	}
	if s.fill == nil {
		return nil
	}
	return asUnconfirmed(s.fill.RemoveAbsent(ctx, key, ticket))
}

// touch gives a key a new TTL; 0: no end. Of a key that is watched it is that of the entry that was watched.
func (c *client) touch(key []byte, ttl time.Duration, ifVersion uint64) (bool, error) {
	at, watched := c.tx.guards(key)
	if watched {
		ifVersion = at.version
	}
	existed, err := c.srv.cfg.Backend.Touch(c.context(), string(key), ttl, ifVersion)
	if watched && errors.Is(err, ErrCondition) {
		return false, c.conflict(key)
	}
	c.tx.wrote(key, err)
	return existed, asUnconfirmed(err)
}

// change reads an entry and lets update write it on condition that it has not changed meanwhile, again and again until that works.
// update returns ErrCondition to try again.
func (c *client) change(key []byte, update func(e Entry, found bool) error) error {
	unlock, err := c.srv.changing.lock(c.context(), string(key))
	if err != nil {
		return asUnsure(err)
	}
	defer unlock()
	return retry(c.context(), func(judged bool) error {
		e, found, err := c.entry(key, judged)
		if err != nil {
			return err
		}
		return update(e, found)
	})
}

// retry calls once, which changes something on condition, until it returns no ErrCondition, or ctx has ended. From the second time on judged is
// true: entries are to be read from the owner, which judges the conditions, for memory may hold for long what the owner has evicted.
func retry(ctx context.Context, once func(judged bool) error) error {
	const longest = 20 * time.Millisecond
	judged := false
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		err := once(judged)
		if !errors.Is(err, ErrCondition) || !sleep(ctx, rand.N(pause)) {
			return err
		}
		judged = true
	}
}

// entry reads an entry with certainty; judged: from the owner, which judges the conditions of writes.
func (c *client) entry(key []byte, judged bool) (Entry, bool, error) {
	if judged {
		return c.judged(key)
	}
	return c.present(key)
}

// unchangedSince is the condition that an entry is still the one that was read.
func unchangedSince(e Entry, found bool) SetArgs {
	if !found {
		return SetArgs{IfAbsent: true}
	}
	return SetArgs{IfVersion: e.Version}
}
