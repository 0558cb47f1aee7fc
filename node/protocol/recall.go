package protocol

import (
	"cmp"
	"math"
	"slices"
	"strings"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Who keeps a near copy does not say when it drops it. So a note of one may stay for as long as the session, and notes of keys that nobody
// reads any more would in the end keep all others out. When few are left, an old one is recalled for each that is made (rule 12): its holder is
// told to drop the near copy, as by a write, and the note goes when that is confirmed, for until then a write has to wait for the holder.

const (
	recallSample = 64   // notes that the older half is recalled of; the owner does not see hits, so what it takes for old may be in use, and is read again
	recallSpare  = 1024 // notes at most that are kept free, and recalls under way
	recallLooks  = 8    // notes looked at for one that is made
)

// recalls are the notes on their way out.
type recalls struct {
	hand int    // the partition that was looked at last
	old  []note // to be recalled next
	sent []recall
}

// note is a holder with what it holds.
type note struct {
	part int
	key  string
	holder
}

// recall is one that was not answered yet. They are in the order of their ids.
type recall struct {
	id   uint64
	at   int64
	part int
	key  string
}

// recall recalls one note if there is hardly room for more. An answer may not come, for the view has changed or the session has ended:
// then its place is free after a while, and the note, if it is still there, has its turn again.
func (m *Machine) recall() {
	r, now := &m.recalls, m.now()
	for len(r.sent) > 0 && now-r.sent[0].at > m.cfg.ExpelAfter {
		r.sent = r.sent[1:]
	}
	spare := max(1, min(m.cfg.MaxHolders/16, recallSpare))
	if m.holders < m.cfg.MaxHolders-spare || len(r.sent) >= spare {
		return
	}
	for range recallLooks {
		if len(r.old) == 0 && !m.gatherOld() {
			return
		}
		n := r.old[len(r.old)-1]
		r.old = r.old[:len(r.old)-1]
		p := m.peers[n.peer]
		switch {
		case !slices.Contains(m.parts[n.part].holders[n.key], n.holder): // written, or read again
			continue
		case m.void(n.holder, now):
			m.dropNotes(n.part, n.key, func(h holder) bool { return h == n.holder })
			return
		case p.session != n.session: // soon void
			continue
		}
		id := m.nextID()
		r.sent = append(r.sent, recall{id, now, n.part, n.key})
		m.send(p, &pb.Message{Id: id, Body: &pb.Message_Invalidate{Invalidate: &pb.Invalidate{Key: n.key, Version: math.MaxUint64}}})
		if m.is("recall-unconfirmed") {
			m.dropped(p, n.part, n.key, id)
		}
		return
	}
}

// gatherOld takes the notes of some partitions, and of these the older half: a hand goes round over all, so that those of keys that are
// read again, by which they become new, stay.
func (m *Machine) gatherOld() bool {
	r := &m.recalls
	for range m.parts {
		r.hand = (r.hand + 1) % len(m.parts)
		for key, hs := range m.parts[r.hand].holders {
			for _, h := range hs {
				r.old = append(r.old, note{r.hand, key, h})
			}
		}
		if len(r.old) >= recallSample {
			break
		}
	}
	slices.SortFunc(r.old, func(a, b note) int { return cmp.Compare(a.noted, b.noted) })
	half := (len(r.old) + 1) / 2
	clear(r.old[half:])
	r.old = r.old[:half]
	return half > 0
}

// recalled: a holder has answered an Invalidate that was no write's.
func (m *Machine) recalled(p *peer, id uint64) {
	sent := m.recalls.sent
	if i, ok := slices.BinarySearchFunc(sent, id, func(r recall, id uint64) int { return cmp.Compare(r.id, id) }); ok {
		r := sent[i]
		m.recalls.sent = slices.Delete(sent, i, i+1)
		m.dropped(p, r.part, r.key, id)
	}
}

// dropped: a holder has dropped what it held when it was sent the message of that id. A later read has a note of its own.
func (m *Machine) dropped(p *peer, part int, key string, id uint64) {
	m.dropNotes(part, key, func(h holder) bool { return h.peer == p.member.Id && h.noted < id })
}

func (m *Machine) dropNotes(part int, key string, gone func(holder) bool) {
	pt := &m.parts[part]
	hs := pt.holders[key]
	n := len(hs)
	rest := slices.DeleteFunc(hs, gone)
	m.holders -= n - len(rest)
	switch len(rest) {
	case n:
	case 0:
		delete(pt.holders, key)
	default:
		pt.holders[strings.Clone(key)] = rest // for the map keeps the key it is given last
	}
}

// void tells that a near copy cannot be there any more: the entry has ended by itself, or the session under which it was kept has ended and
// with it, or after it, the lease.
func (m *Machine) void(h holder, now int64) bool {
	p := m.peers[h.peer]
	return h.until != 0 && now-sec > h.until || p == nil || p.session != h.session && (p.proven || p.grantEnd < now)
}
