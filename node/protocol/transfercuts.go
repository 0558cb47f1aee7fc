package protocol

import (
	"slices"

	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// cutPull is how far the remembered cuts of a source have come, in the present view (rule 10). They come once, before the first entry from
// there: a partition is complete only when its sources have been read, so nothing pulled is served before their cuts are here. A cut that a
// source learns of after it has sent its last one is not missed. Either it is under way in this view, and is not confirmed before this node has
// it too; or the source has pulled it, from a node that this one reads as well, or that held nothing of what is read here.
type cutPull struct {
	last *pb.CutRecord // of a tag; nil: none yet
	done bool
}

// cutsOf is how far the cuts of a source have come.
func (m *Machine) cutsOf(id uint64) *cutPull {
	c := m.cutPulls[id]
	if c == nil {
		c = &cutPull{}
		m.cutPulls[id] = c
	}
	return c
}

// knowsCuts tells whether all cuts are here that may have ended a value of that age. Those that were confirmed since this node came in are, and the others once
// they have been read from those who knew them.
func (m *Machine) knowsCuts(age uint64) bool { return age >= m.cutsFrom }

// setTellers decides who can tell the cuts of before this node came in, by which the ages of values are judged (rule 10): the members of the last
// set in which all were in sync. Each had read those cuts or was there, and none has been confirmed without it since.
//
//   - One that has stayed will do. Mostly it is a source of entries as well. But who takes the place of one that has died with the only copies of all it
//     held has nothing to pull, and yet it may be given a value that was read elsewhere, and has been ended.
//   - If all of them leave, all have to be read, for a cut may not have waited for each one that leaves (sendRound).
//   - If none has stayed and one has gone, nobody can tell: what is older is not confirmed.
//
// Who was in sync without having been told, for that reason, says so to those that come in after it: what they have from it alone they do not confirm
// either.
func (m *Machine) setTellers() {
	if !m.cutsUnread || len(m.hist) == 0 || !m.lay.has(m.self.Id) {
		return
	}
	var stay, leave []uint64
	lost := false
	for _, id := range m.hist[0].ids {
		switch {
		case id == m.self.Id:
		case m.lay.has(id):
			stay = append(stay, id)
		case m.lay.isLeaving(id):
			leave = append(leave, id)
		default:
			lost = true
		}
	}
	if m.tellers = stay; len(stay) == 0 && !lost {
		m.tellers = leave
	}
}

// told: all cuts of a source are here, which knows those that may have ended a value of an age of from or later. If it does not know all the others of those
// that stay may know more; of those that leave all are needed.
func (m *Machine) told(id, from uint64) {
	i := slices.Index(m.tellers, id)
	if i < 0 {
		return
	}
	m.tellers = slices.Delete(m.tellers, i, i+1)
	switch stays := m.lay.has(id); {
	case stays:
		m.cutsFrom = min(m.cutsFrom, from)
	case from > 0:
		m.tellers = nil
	case len(m.tellers) == 0:
		m.cutsFrom = 0
	}
	if len(m.tellers) > 0 && m.cutsFrom > 0 {
		return
	}
	m.tellers, m.cutsUnread = nil, false
	if m.missing == 0 {
		m.askLeases(m.now()) // tells the coordinator that we are in sync
	}
}

// pulledCuts takes the cuts of a chunk, and tells whether the source has no more: only then are its entries taken.
func (m *Machine) pulledCuts(pl *pull, b *pb.PullReply) bool {
	c := m.cutsOf(pl.peer)
	if !pl.cuts {
		return c.done
	}
	m.applyCuts(b.Cuts)
	for _, r := range b.Cuts {
		m.allowance -= int64(cutOf(r).Size())
		if r.Tag != "" {
			c.last = r
		}
	}
	if c.done = !b.MoreCuts; c.done {
		m.told(pl.peer, b.CutsFrom)
	}
	return c.done || m.is("entries-before-cuts")
}

// sendCuts puts the cuts that were asked for into the answer to a pull, and returns what is left of its size.
func (m *Machine) sendCuts(b *pb.Pull, r *pb.PullReply, left int) int {
	cuts, done := m.store.Cuts(cutOf(b.CutsAfter), max(left, 1))
	for _, c := range cuts {
		r.Cuts = append(r.Cuts, &pb.CutRecord{Tag: c.Tag, All: c.All, Version: c.Version})
		left -= c.Size()
	}
	r.MoreCuts, r.CutsFrom = !done, m.cutsFrom
	return left
}

func cutOf(r *pb.CutRecord) store.CutRecord {
	return store.CutRecord{Tag: r.GetTag(), All: r.GetAll(), Version: r.GetVersion()}
}
