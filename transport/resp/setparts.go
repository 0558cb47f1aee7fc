package resp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// A set that has grown is kept in parts, so that adding a member costs the writing of one part and not of the whole set. Its entry then
// holds an id, and the members lie in up to 16 further entries whose keys are made of that id: each member in the one that a
// hash of it chooses. A part that grows is replaced by 16 of its own in the same way. Parts are written, under an id that nobody
// knows yet, before what they replace is exchanged for the id. So a member is in one reachable place at all times, and what has parts
// never changes but for its removal.
//
// Parts have no TTL: the set ends with its first entry, which has the TTL, and what remains is removed by whoever deletes it, or else
// by the sweeper (sweep.go).
const (
	partPrefix = "\x00huddle\x02" // of the keys of parts; a client's key must not begin so
	fan        = 16
	// A set, or a part, above one of these is split.
	splitStored  = 4 << 10
	splitDecoded = 64 << 10
	// Of a set with a longer key no parts are made: their keys are longer by 26 bytes, and keys are bounded at 1 KiB.
	maxSplitKey = 990
)

func isPart(key string) bool { return strings.HasPrefix(key, partPrefix) }

// partKey is the key of a part. It tells which set it belongs to. It is text if the key of the set is.
func partKey(id partsID, i int, root string) string {
	return partPrefix + hex.EncodeToString(id[:]) + string(rune('a'+i)) + root
}

func splitPartKey(key string) (id partsID, root string, ok bool) {
	const digits = 2 * len(id)
	rest, ok := strings.CutPrefix(key, partPrefix)
	if !ok || len(rest) < digits+1 {
		return id, "", false
	}
	_, err := hex.Decode(id[:], []byte(rest[:digits]))
	return id, rest[digits+1:], err == nil
}

// partOf chooses the part for a member. The id is part of the hash, so members that meet in one part are spread when it is split.
func partOf(id partsID, name []byte) int {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(id[:]) // never fails
	_, _ = d.Write(name)
	return int(d.Sum64() % fan)
}

// tree works on the parts of one set for one command. Its methods are safe for concurrent use.
type tree struct {
	s    *Server
	ctx  context.Context
	root string
	slot chan struct{} // bounds the calls to the backend under way

	judged bool // entries are read from the owner, which judges the conditions of writes
}

func (s *Server) tree(ctx context.Context, root string) *tree {
	return &tree{s: s, ctx: ctx, root: root, slot: make(chan struct{}, fanOut)}
}

// get reads an entry with certainty.
func (t *tree) get(key string) (Entry, bool, error) {
	if t.s.fast != nil && !t.judged {
		if e, found, ok := t.s.fast.LookupNow(key); ok {
			return e, found, nil
		}
	}
	t.slot <- struct{}{}
	defer func() { <-t.slot }()
	l := lookup{}
	if t.judged {
		l = t.s.askTicket(t.ctx, key)
	} else {
		l = t.s.ask(t.ctx, key, true)
	}
	return l.entry, l.found, l.err
}

func (t *tree) set(key string, stored []byte, a SetArgs) error {
	t.slot <- struct{}{}
	defer func() { <-t.slot }()
	a.NoTTL = !a.KeepTTL
	return asUnconfirmed(t.s.cfg.Backend.Set(t.ctx, key, stored, a))
}

func (t *tree) remove(key string, ifVersion uint64) error {
	t.slot <- struct{}{}
	defer func() { <-t.slot }()
	_, err := t.s.cfg.Backend.Remove(t.ctx, key, ifVersion)
	return asUnconfirmed(err)
}

// eachPart calls do with the key of each part of id that some of all belong to, and with these, several at the same time.
func (t *tree) eachPart(id partsID, all []member, do func(key string, some []member) error) error {
	var groups [fan][]member
	for _, m := range all {
		i := partOf(id, m.name)
		groups[i] = append(groups[i], m)
	}
	return each(fan, func(i int) error {
		if len(groups[i]) == 0 {
			return nil
		}
		return do(partKey(id, i, t.root), groups[i])
	})
}

// tooBig tells whether a set is to be split. What cannot be made smaller is not.
func (t *tree) tooBig(all []member, stored []byte) bool {
	most := min(t.s.cfg.splitAt, t.s.cfg.MaxValueBytes)
	return len(all) > 1 && len(t.root) <= maxSplitKey && (len(stored) > most || sizeOf(all) > splitDecoded)
}

// pack returns the form in which members are to be stored; if these are too many for one entry, it has written the parts.
func (t *tree) pack(all []member) ([]byte, error) {
	stored := encodeSet(all)
	if !t.tooBig(all, stored) {
		if len(stored) > t.s.cfg.MaxValueBytes {
			return nil, ErrTooLarge
		}
		return stored, nil
	}
	id := newPartsID()
	err := t.eachPart(id, all, func(key string, some []member) error {
		part, err := t.pack(some)
		if err != nil {
			return err
		}
		return t.set(key, part, SetArgs{})
	})
	if err != nil {
		t.s.discard(t.root, id)
		return nil, err
	}
	return top{id: id}.stored(), nil
}

func newPartsID() (id partsID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// exchanged takes the error of a write that was to put stored, made by pack, in the place of entry e. If what was refused has parts,
// these are removed, unless it may be in place all the same: a write that was sent twice may refuse itself.
func (t *tree) exchanged(key string, stored []byte, e Entry, err error) error {
	k, body := unwrap(stored)
	if k != parts || !errors.Is(err, ErrCondition) {
		return err
	}
	up, bad := parseTop(body)
	now, found, unsure := t.get(key)
	switch {
	case bad != nil || unsure != nil:
	case found && bytes.Equal(now.Value, stored):
		return nil
	case e.Version != 0 && now.Version != e.Version: // it can never take effect
		t.s.discard(t.root, up.id)
	}
	return err
}

// retry calls once, which changes key on condition, until it returns no ErrCondition.
func (t *tree) retry(key string, once func(t *tree) error) error {
	unlock, err := t.s.changing.lock(t.ctx, key)
	if err != nil {
		return asUnsure(err)
	}
	defer unlock()
	return retry(t.ctx, func(judged bool) error {
		return once(&tree{t.s, t.ctx, t.root, t.slot, t.judged || judged})
	})
}

// add adds members to the parts of id, and returns how many are new, and the keys of the parts that took these.
func (t *tree) add(id partsID, given []member) (added int, grown []string, err error) {
	var mu sync.Mutex
	err = t.eachPart(id, given, func(key string, some []member) error {
		n, at, err := t.addToPart(key, some)
		mu.Lock()
		defer mu.Unlock()
		added += n
		grown = append(grown, at...)
		return err
	})
	return added, grown, err
}

func (t *tree) addToPart(key string, given []member) (added int, grown []string, err error) {
	err = t.retry(key, func(t *tree) error {
		k, body, e, err := t.part(key)
		if err != nil {
			return err
		}
		if k == parts {
			up, err := parseTop(body)
			if err != nil {
				return err
			}
			added, grown, err = t.add(up.id, given)
			return err
		}
		all, err := decodeSet(body)
		if err != nil {
			return err
		}
		with, n := include(all, given)
		if added, grown = n, nil; n > 0 {
			grown = []string{key}
		}
		stored, err := t.pack(with)
		if err != nil {
			return err
		}
		return t.exchanged(key, stored, e, t.set(key, stored, unchangedSince(e, e.Version != 0)))
	})
	return added, grown, err
}

// part reads a part: a set, nil if it is absent, or one in parts again.
func (t *tree) part(key string) (k kind, body []byte, e Entry, err error) {
	e, found, err := t.get(key)
	if err != nil || !found {
		return set, nil, Entry{}, err
	}
	if k, body = unwrap(e.Value); k != set && k != parts {
		return k, nil, e, errCorrupt
	}
	return k, body, e, nil
}

// drop takes members out of the parts of id, and returns how many were there. emptied: a part has none any more.
func (t *tree) drop(id partsID, given []member) (dropped int, emptied bool, err error) {
	var mu sync.Mutex
	err = t.eachPart(id, given, func(key string, some []member) error {
		n, last, err := t.dropFromPart(key, some)
		mu.Lock()
		defer mu.Unlock()
		dropped += n
		emptied = emptied || last
		return err
	})
	return dropped, emptied, err
}

func (t *tree) dropFromPart(key string, given []member) (dropped int, emptied bool, err error) {
	err = t.retry(key, func(t *tree) error {
		dropped, emptied = 0, false
		k, body, e, err := t.part(key)
		if err != nil {
			return err
		}
		if k == parts {
			up, err := parseTop(body)
			if err != nil {
				return err
			}
			dropped, emptied, err = t.drop(up.id, given)
			return err
		}
		all, err := decodeSet(body)
		if err != nil {
			return err
		}
		rest := exclude(all, given)
		dropped = len(all) - len(rest)
		switch {
		case body == nil:
			return t.s.removeAbsent(t.ctx, key, Ticket{})
		case len(rest) == 0:
			emptied = true
			return t.remove(key, e.Version)
		}
		return t.set(key, encodeSet(rest), SetArgs{IfVersion: e.Version})
	})
	return dropped, emptied, err
}

// walk reads all parts of id, several at a time, and calls visit with each, one after the other, until that returns false.
func (t *tree) walk(id partsID, visit func(key string, k kind, body []byte) bool) error {
	level := []partsID{id}
	for len(level) > 0 {
		var next []partsID
		for ; len(level) > 0; level = level[min(len(level), 8):] {
			ids := level[:min(len(level), 8)]
			type found struct {
				k    kind
				body []byte
			}
			got := make([]found, fan*len(ids))
			err := each(len(got), func(i int) error {
				k, body, _, err := t.part(partKey(ids[i/fan], i%fan, t.root))
				got[i] = found{k, body}
				return err
			})
			if err != nil {
				return err
			}
			for i, g := range got {
				if g.body == nil {
					continue
				}
				if !visit(partKey(ids[i/fan], i%fan, t.root), g.k, g.body) {
					return nil
				}
				if g.k == parts {
					up, err := parseTop(g.body)
					if err != nil {
						return err
					}
					next = append(next, up.id)
				}
			}
		}
		level = next
	}
	return nil
}

// empty tells whether no part of id holds a member.
func (t *tree) empty(id partsID) (bool, error) {
	empty := true
	err := t.walk(id, func(_ string, k kind, body []byte) bool {
		if n, err := memberCount(body); k == set && (err != nil || n > 0) {
			empty = false
		}
		return empty
	})
	return empty, err
}

// contains tells of each name whether it is a member.
func (t *tree) contains(id partsID, names [][]byte) ([]bool, error) {
	has := make([]bool, len(names))
	err := each(len(names), func(i int) error {
		for at := id; ; {
			k, body, _, err := t.part(partKey(at, partOf(at, names[i]), t.root))
			if err != nil || body == nil {
				return err
			}
			if k == set {
				found, err := contains(body, names[i:i+1])
				if err == nil {
					has[i] = found[0]
				}
				return err
			}
			up, err := parseTop(body)
			if err != nil {
				return err
			}
			at = up.id
		}
	})
	return has, err
}
