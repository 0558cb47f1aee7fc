package resp

import (
	"errors"
	"sync"
	"sync/atomic"
)

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
		if cmd == nil || !cmd.reads || !cmd.fits(len(args)) || cmd.namesPart(args) || len(keys) == most {
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

// kept counts the value of a read that was made ahead, and returns l; or errDropped in its place, if there is no room for the value among the
// reads made together, whose bytes size counts, or among what all clients have. i is its place among these reads: the first is always kept. It
// may be called by several goroutines.
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

// untilDropped returns the lookups before the first that was let go. The next time only so many are read ahead, for what is let go has to be
// read once more; after a time when all were kept, twice as many.
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

// each is spread for what may fail. All are tried; it returns one of the errors.
func each(n int, do func(i int) error) error {
	var failed atomic.Pointer[error]
	spread(n, func(i int) {
		if err := do(i); err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	})
	if err := failed.Load(); err != nil {
		return *err
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
