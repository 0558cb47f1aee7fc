package protocol

import (
	"cmp"
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Who gives up a chain takes its revocations along, and issues them anew in the one it comes into: what was revoked while two parts were
// apart stays dead when they meet. A revocation may be made twice, or late, for it is final. A plain deletion or a cut may not: it would
// end what was written in the other chain since.

// carriedAtOnce bounds the revocations that are under way again at a time. So many go out as the node comes in, before the reads that wait for that.
const carriedAtOnce = 1024

// carried are the revocations still to be issued anew, in the order in which they were made: should there be no room for all, the oldest goes, as ever. The
// store bounds the room for revocations, and so their number.
type carried struct {
	left     []revocation
	underWay int // issued, and not answered yet
}

type revocation struct {
	key   string
	until int64
}

// carry takes the revocations from the store, which is about to be emptied.
func (m *Machine) carry() {
	if m.is("leave-revocations") {
		return
	}
	left := m.carried.left
	for p := range m.parts {
		for _, e := range m.store.Revocations(p) {
			left = append(left, revocation{strings.Clone(e.Key), e.Expires})
		}
	}
	slices.SortFunc(left, func(a, b revocation) int {
		return cmp.Or(cmp.Compare(a.until, b.until), cmp.Compare(a.key, b.key))
	})
	m.carried.left = left
	if len(left) > 0 {
		m.log.Info("the revocations made in the cluster that is given up are issued anew in the next", "revocations", len(left))
	}
}

// revokeAgain issues some of them, until they would have ended.
func (m *Machine) revokeAgain() {
	c := &m.carried
	for range min(len(c.left), carriedAtOnce-c.underWay, mostOps-m.operations()) {
		r := c.left[0]
		c.left = c.left[1:]
		c.underWay++
		m.submit(&op{
			write: &pb.Write{Key: r.key, Kind: pb.Kind_REVOKED}, part: ring.PartitionOf(r.key, len(m.parts)), deadline: r.until,
			done: func(res Result) {
				if c.underWay--; res.Status == pb.Status_FULL {
					c.left = append(c.left, r)
				}
			},
		})
	}
}
