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

// knowsCuts tells whether all cuts are here that may have ended a value of that age. Those that were confirmed since this node came in are, and the others are
// once those of all sources are: of all partitions, for the sources of one may have died.
func (m *Machine) knowsCuts(age uint64) bool {
	if age >= m.cameIn || m.missing == 0 {
		return true
	}
	for p := range m.parts {
		if slices.ContainsFunc(m.parts[p].sources, func(id uint64) bool { return !m.cutsOf(id).done }) {
			return false
		}
	}
	return true
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
	c.done = !b.MoreCuts
	return c.done || m.is("entries-before-cuts")
}

// sendCuts puts the cuts that were asked for into the answer to a pull, and returns what is left of its size.
func (m *Machine) sendCuts(b *pb.Pull, r *pb.PullReply, left int) int {
	cuts, done := m.store.Cuts(cutOf(b.CutsAfter), max(left, 1))
	for _, c := range cuts {
		r.Cuts = append(r.Cuts, &pb.CutRecord{Tag: c.Tag, All: c.All, Version: c.Version})
		left -= c.Size()
	}
	r.MoreCuts = !done
	return left
}

func cutOf(r *pb.CutRecord) store.CutRecord {
	return store.CutRecord{Tag: r.GetTag(), All: r.GetAll(), Version: r.GetVersion()}
}
