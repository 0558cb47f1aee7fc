package resp

import (
	"bytes"
	"context"
	mathrand "math/rand/v2"
	"time"
)

// Members that name keys leave a set after their keys have gone, so that the tag set of all sessions does not grow without end.
//
// A member is dropped only if a key of its name was seen once and is certainly absent now; what never was a key stays. This is
// looked at when members are added: for each one with a chance of 1 in pruneChance, and then for the whole entry that took it. So
// each member is looked at about once in so many additions to its entry, and about as many dead ones may be in it.
//
// No live member is lost that was added after its key had been set. First the members whose keys are absent are marked, and that write is confirmed. Whoever
// adds one of them later writes the entry, which is another then. Whoever has added it earlier had set the key before that; so after the
// confirmation the key is looked for once more, and only then is the member dropped, if the entry is still the one that was written.
//
// Nor is one lost that is served still: the key may be absent only because its owner had no room for it. So what was found absent the
// second time is removed, unless something has happened to it since, and the member is dropped only if that was confirmed.
const (
	pruneChance = 16
	pruneFrom   = 16  // members of an entry
	pruneMost   = 256 // members looked at in one go
	namedMost   = 64  // added members looked at in one command
	// A look that takes longer tells nothing.
	pruneWait = 250 * time.Millisecond
)

// given returns the distinct members that a command names, in order, each with whether there is a key of its name.
func (c *client) given(names [][]byte) []member {
	names = sorted(names)
	all := make([]member, len(names))
	for i, name := range names {
		all[i].name = name
	}
	some := all[:min(len(all), namedMost)]
	for i, found := range c.srv.keysNow(c.context, some) {
		some[i].named = found == present
	}
	return all
}

type presence int

const (
	unsure presence = iota
	present
	absent
)

// keysNow tells of each member whether there is a key of its name.
func (s *Server) keysNow(ctx func() context.Context, all []member) []presence {
	is := make([]presence, len(all))
	of := func(l lookup) presence {
		switch {
		case l.err != nil:
			return unsure
		case l.found:
			return present
		}
		return absent
	}
	var slow []int
	for i, m := range all {
		if len(m.name) == 0 || isPart(string(m.name)) {
			continue
		}
		if l, ok := s.now(m.name); ok {
			is[i] = of(l)
		} else {
			slow = append(slow, i)
		}
	}
	if len(slow) == 0 {
		return is
	}
	short, cancel := context.WithTimeout(ctx(), pruneWait)
	defer cancel()
	spread(len(slow), func(i int) {
		if len(all[slow[i]].name) <= maxNameKey {
			is[slow[i]] = of(s.ask(short, string(all[slow[i]].name), false))
		}
	})
	return is
}

// maxNameKey is the longest member that is looked for as a key.
const maxNameKey = 1 << 10

// pruneSome looks through some of the entries that took new members.
func (c *client) pruneSome(root string, grown []string) {
	for _, key := range grown {
		if mathrand.N(c.srv.cfg.pruneIn) == 0 {
			c.srv.prune(c.context(), root, key)
		}
	}
}

// prune drops from one entry of a set the members whose keys have gone. What it cannot do now it leaves.
func (s *Server) prune(ctx context.Context, root, key string) {
	t := s.tree(ctx, root)
	all, e, ok := t.leaf(key)
	if !ok || len(all) < pruneFrom {
		return
	}
	gone, changed := t.mark(all)
	if !gone && !changed {
		return
	}
	stored := encodeSet(all)
	if t.set(key, stored, SetArgs{IfVersion: e.Version, KeepTTL: true}) != nil || !gone {
		return
	}
	if _, e, ok = t.leaf(key); !ok || !bytes.Equal(e.Value, stored) {
		return
	}
	if rest := t.withoutGone(all); len(rest) < len(all) {
		_ = t.set(key, encodeSet(rest), SetArgs{IfVersion: e.Version, KeepTTL: true}) // another time, if not now
	}
}

// leaf reads an entry that holds members.
func (t *tree) leaf(key string) ([]member, Entry, bool) {
	k, body, e, err := t.part(key)
	if err != nil || k != set || body == nil {
		return nil, e, false
	}
	all, err := decodeSet(body)
	return all, e, err == nil
}

func (t *tree) context() context.Context { return t.ctx }

// mark notes in all which members are keys, and which were and are none now. gone: some of the latter kind are there. changed: some
// note is new.
func (t *tree) mark(all []member) (gone, changed bool) {
	from := mathrand.N(max(1, len(all)-pruneMost+1))
	some := all[from:min(from+pruneMost, len(all))]
	for i, is := range t.s.keysNow(t.context, some) {
		m := &some[i]
		before := *m
		switch {
		case is == present:
			m.named, m.gone = true, false
		case is == absent && m.named:
			m.gone, gone = true, true
		}
		changed = changed || m.named != before.named || m.gone != before.gone
	}
	return gone, changed
}

// withoutGone returns all without those that are marked and absent still, everywhere. One member stays: an empty set is none.
func (t *tree) withoutGone(all []member) []member {
	var marked []member
	for _, m := range all {
		if m.gone {
			marked = append(marked, m)
		}
	}
	short, cancel := context.WithTimeout(t.ctx, pruneWait)
	defer cancel()
	dead := make([]bool, len(marked))
	spread(len(marked), func(i int) {
		dead[i] = t.s.removeAbsent(short, string(marked[i].name), Ticket{}) == nil
	})
	var out []member
	for i, m := range marked {
		if dead[i] {
			out = append(out, m)
		}
	}
	if len(out) == len(all) {
		out = out[1:]
	}
	return exclude(all, out)
}
