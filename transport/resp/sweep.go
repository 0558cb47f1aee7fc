package resp

import (
	"context"
	"math/rand/v2"
	"time"
)

// A set in parts ends with its first entry: by DEL, by its TTL, because something else is written over it, because it was evicted.
// Whoever deletes it removes its parts too, if the front has the entry at hand. For all other cases, and for what a crash leaves, each
// front walks over the keys now and then and removes parts that no set names. It does so only when it has met them in two walks,
// for those of a set that is being split are named in the end.
const (
	sweepEvery = time.Hour
	sweepPage  = 1000
	sweepPause = 50 * time.Millisecond // between pages
	sweepMost  = 100_000               // parts looked at in one walk
	sweepWait  = time.Minute           // for one page, or for one set
)

// sweep walks until the server closes.
func (s *Server) sweep() {
	var suspects map[string]struct{}
	for sleep(s.ctx, sweepEvery/2+rand.N(sweepEvery)) {
		var removed int
		if suspects, removed = s.sweepOnce(suspects); removed > 0 {
			s.log.Info("removed parts of sets that are gone", "entries", removed)
		}
	}
}

// sweepOnce removes those parts that no set names and that are among suspects, and returns the others that no set names.
func (s *Server) sweepOnce(suspects map[string]struct{}) (next map[string]struct{}, removed int) {
	next = make(map[string]struct{})
	for root, keys := range s.partsBySet() {
		ctx, cancel := context.WithTimeout(s.ctx, sweepWait)
		if live, err := s.liveParts(ctx, root); err == nil {
			for _, key := range keys {
				if id, _, _ := splitPartKey(key); live[id] {
					continue
				}
				if _, twice := suspects[key]; !twice {
					next[key] = struct{}{}
				} else if _, err := s.cfg.Backend.Remove(ctx, key, 0); err == nil {
					removed++
				}
			}
		}
		cancel()
	}
	return next, removed
}

// partsBySet lists the keys of parts by the sets they belong to, as far as it can.
func (s *Server) partsBySet() map[string][]string {
	all := make(map[string][]string)
	n := 0
	for cursor := uint64(0); ; {
		ctx, cancel := context.WithTimeout(s.ctx, sweepWait)
		keys, next, err := s.cfg.Backend.Scan(ctx, cursor, sweepPage)
		cancel()
		if err != nil {
			return all
		}
		for _, key := range keys {
			if _, root, ok := splitPartKey(key); ok && n < sweepMost {
				all[root] = append(all[root], key)
				n++
			}
		}
		if cursor = next; cursor == 0 || !sleep(s.ctx, sweepPause) {
			return all
		}
	}
}

// liveParts returns the ids that the entry of a set, or one of its parts, names.
func (s *Server) liveParts(ctx context.Context, root string) (map[partsID]bool, error) {
	live := make(map[partsID]bool)
	t := s.tree(ctx, root)
	e, found, err := t.get(root)
	if err == nil && !found {
		err = s.removeAbsent(ctx, root, Ticket{}) // who is served it still is not to find parts missing
	}
	if err != nil || !found {
		return live, err
	}
	k, body := unwrap(e.Value)
	if k != parts {
		return live, nil
	}
	up, err := parseTop(body)
	if err != nil {
		return nil, err
	}
	live[up.id] = true
	err = t.walk(up.id, func(_ string, k kind, body []byte) bool {
		if k == parts {
			if below, err := parseTop(body); err == nil {
				live[below.id] = true
			}
		}
		return true
	})
	return live, err
}

// discard removes, in the background, parts that nothing names any more. If too much of that is under way it leaves it to the sweeper.
// It is called on the goroutine of a connection.
func (s *Server) discard(root string, id partsID) {
	select {
	case s.discards <- struct{}{}:
	default:
		return
	}
	s.serving.Go(func() {
		defer func() { <-s.discards }()
		ctx, cancel := context.WithTimeout(s.ctx, sweepWait)
		defer cancel()
		t := s.tree(ctx, root)
		var keys []string
		if t.walk(id, func(key string, _ kind, _ []byte) bool {
			keys = append(keys, key)
			return true
		}) == nil {
			_ = each(len(keys), func(i int) error { return t.remove(keys[i], 0) }) // the sweeper finds what is left
		}
	})
}

// removed is called after the entry of key was removed; before is what it held.
func (s *Server) removed(key string, before lookup) {
	if k, body := unwrap(before.entry.Value); before.found && k == parts {
		if up, err := parseTop(body); err == nil {
			s.discard(key, up.id)
		}
	}
}
