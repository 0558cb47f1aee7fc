package resp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
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
	if len(c.ahead) == 0 {
		if l, ok := c.srv.now(key); ok {
			return l.entry, l.found, l.err
		}
		c.ahead = c.readAll(c.readsFrom(key, c.rest))
	}
	l := c.ahead[0]
	c.ahead[0] = lookup{} // or else it would be kept until all are answered
	c.ahead = c.ahead[1:]
	if c.aheadHeld.n.Load() != 0 {
		c.aheadHeld.giveBack(len(l.entry.Value))
	}
	return l.entry, l.found, l.err
}

// forgetAhead lets go of what has been read ahead.
func (c *client) forgetAhead() {
	if c.ahead = nil; c.aheadHeld.n.Load() != 0 {
		c.aheadHeld.end()
	}
}

// readsFrom returns the key of a reading command, and those of the reading commands that follow it.
func (c *client) readsFrom(key []byte, following [][][]byte) [][]byte {
	most := c.aheadMost
	if most == 0 {
		most = mostAhead
	}
	most = min(most, 1+c.srv.aheadRoom())
	keys := [][]byte{key}
	for _, args := range following {
		cmd := c.srv.find(args[0])
		if cmd == nil || !cmd.reads || !cmd.fits(len(args)) || cmd.namesPart(args) || c.tx.open || len(keys) == most {
			break
		}
		keys = append(keys, args[1])
	}
	return keys
}

// aheadBytes is about what the values of reads that are made ahead may take. Those beyond are read when they are needed, for a
// backend may have to make a copy of each.
const aheadBytes = 8 << 20

// errDropped stands for a value that was read ahead and let go, for there were too many bytes of them.
var errDropped = errors.New("dropped")

// kept returns l, or what stands for it if it is not to be kept: there are too many bytes of them, or too many of what all clients have. size
// counts the bytes of reads made together, of which this is the one at i. The first is always kept. It may be called by several goroutines.
func (c *client) kept(l lookup, i int, size *atomic.Int64) lookup {
	n := len(l.entry.Value)
	c.srv.readSize.Add((int64(n) - c.srv.readSize.Load()) / 16)
	if all := size.Add(int64(n)); i > 0 && (all > aheadBytes || !c.srv.mayBuffer(n)) {
		size.Add(aheadBytes) // those that follow would be read in vain
		return lookup{err: errDropped}
	}
	c.aheadHeld.hold(n)
	l.entry.Tags = nil // they are not counted, and who changes an entry reads it anew
	return l
}

// aheadRoom is how many values there is room for, by the size of those that were read last.
func (s *Server) aheadRoom() int {
	return int(max(0, s.cfg.maxBuffered/4*3-s.buffered.Load()) / max(1, s.readSize.Load()))
}

// untilDropped returns the lookups before the first that was let go. So many are read the next time, and twice as many after a time
// when all were kept: what is let go is read once more.
func (c *client) untilDropped(all []lookup) []lookup {
	for i, l := range all {
		if errors.Is(l.err, errDropped) {
			c.aheadMost = i
			for _, l := range all[i:] {
				c.aheadHeld.giveBack(len(l.entry.Value))
			}
			clear(all[i:])
			return all[:i:i]
		}
	}
	if c.aheadMost > 0 && len(all) == c.aheadMost {
		c.aheadMost = min(2*c.aheadMost, mostAhead)
	}
	return all
}

// readAll reads several keys at the same time: the first, and of the others as many as may be read ahead.
func (c *client) readAll(keys [][]byte) []lookup {
	all := make([]lookup, len(keys))
	var slow []int
	var size atomic.Int64
	for i, key := range keys {
		l, ok := c.srv.now(key)
		if !ok {
			slow = append(slow, i)
			continue
		}
		if all[i] = c.kept(l, i, &size); all[i].err != nil {
			all = all[:i]
			break
		}
	}
	if len(slow) > 0 {
		ask, end := c.asking()
		defer end()
		each := int(c.srv.readSize.Load())
		c.aheadHeld.hold(each * len(slow)) // until it is known what they take
		spread(len(slow), func(n int) {
			i := slow[n]
			defer c.aheadHeld.giveBack(each)
			if i > 0 && size.Load() > aheadBytes {
				all[i] = lookup{err: errDropped}
				return
			}
			all[i] = c.kept(ask(keys[i]), i, &size)
		})
	}
	return c.untilDropped(all)
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

// readEach reads any number of keys, mostAhead of them at a time. of makes of each what is needed of it, so that no value has to be
// kept for longer; it may be called by several goroutines. take gets that in the order of the keys. The first error, of a read or
// of of, ends it, and is returned.
func readEach[T any](c *client, keys [][]byte, of func(lookup) (T, error), take func(i int, v T)) error {
	var ask func([]byte) lookup
	got := make([]T, min(len(keys), mostAhead))
	slow := make([]int, 0, len(got))
	for from := 0; from < len(keys); from += mostAhead {
		some := keys[from:min(from+mostAhead, len(keys))]
		slow = slow[:0]
		var failed atomic.Pointer[error]
		for i, key := range some {
			l, ok := c.srv.now(key)
			if !ok {
				slow = append(slow, i)
				continue
			}
			var err error
			if got[i], err = of(l); err != nil {
				return err
			}
		}
		if len(slow) > 0 && ask == nil {
			var end func()
			ask, end = c.asking()
			defer end()
		}
		spread(len(slow), func(n int) {
			if failed.Load() != nil {
				return
			}
			i := slow[n]
			l := ask(some[i])
			err := l.err
			if err == nil {
				got[i], err = of(l)
			}
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
		if err := failed.Load(); err != nil {
			return *err
		}
		for i, v := range got[:len(some)] {
			take(from+i, v)
		}
	}
	return nil
}

// spread calls do for 0 to n-1, several at the same time, and returns when all are done.
func spread(n int, do func(i int)) {
	switch n {
	case 0:
		return
	case 1:
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

// judged is present, with the entry that the conditions of a write are judged by.
func (c *client) judged(key []byte) (Entry, bool, error) {
	return c.unlessChanged(key, c.srv.askTicket(c.context(), string(key)))
}

func (c *client) unlessChanged(key []byte, l lookup) (Entry, bool, error) {
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
		return c.conflict(key)
	}
	c.tx.wrote(key, err)
	return err
}

// conflict is the error of a write to a watched key that has changed. If all that has changed is that it was lost for want of room, memory
// may hold it for long: without its removal, the same would happen to each further WATCH.
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

// removeAbsent deletes a key that was found absent: whoever said so may have lost for want of room what is served elsewhere. It is
// ErrCondition if the key is there by now, or something has happened to it since ticket; without one it is asked for.
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
	const longest = 20 * time.Millisecond
	unlock, err := c.srv.changing.lock(c.context(), string(key))
	if err != nil {
		return asUnsure(err)
	}
	defer unlock()
	look := c.present
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		e, found, err := look(key)
		if err != nil {
			return err
		}
		look = c.judged // memory may hold for long what conditions are not judged by
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
