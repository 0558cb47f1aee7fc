package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Fences tell when the view lease of a member that was left out has ended, sooner than a whole lease after the view was adopted.
//
// Such a lease is made of the confirmations of a quorum of the view before. That quorum has a member in common with the one that
// accepted the new view, and who has accepted confirms no more. So the lease ends no later than one lease after the last
// confirmation that any of those acceptors gave; or, if it was carried over from an earlier view, than one lease after they adopted
// the view before, for it began before that was chosen. They say so as they accept, in time remaining: whoever is told later, by
// the same figure, waits longer.
//
// All that a member serves, it serves under its view lease: copies and near copies too (ReadAt, onGet), beside the pair lease of their owner. That
// owner may be one that stays and has granted until a moment ago, to a member that no majority hears; no quorum need know of it.

// testify says, of each member that v leaves out, how long its view lease may still run as far as this acceptor knows.
func (m *Machine) testify(v *pb.View) []*pb.Fence {
	var out []*pb.Fence
	now := m.now()
	for _, id := range m.lay.ids {
		if lists(v.GetMembers(), id) {
			continue
		}
		from := now // its own lease may be of confirmations that no other acceptor knows of
		if p := m.peers[id]; p != nil && id != m.self.Id {
			if from = p.confirmedAt; !m.is("fence-without-adoption") {
				from = max(from, m.lay.adoptedAt)
			}
		}
		out = append(out, &pb.Fence{Member: id, Left: m.leaseLeft(from, now)})
	}
	return out
}

// leaseLeft is how long a lease that was confirmed at that time may still run, with the margin for drift.
func (m *Machine) leaseLeft(from, now int64) int64 {
	return max(0, from+m.cfg.Lease+m.cfg.Lease/driftShare-now)
}

// collect adds what an acceptor says of those whom the proposal leaves out. Of whom it says nothing, it knows nothing.
func (m *Machine) collect(c *campaign, said []*pb.Fence) {
	now := m.now()
	for _, id := range m.lay.ids {
		left := m.leaseLeft(now, now)
		for _, f := range said {
			if f.Member == id {
				left = min(left, max(0, f.Left))
			}
		}
		c.fences[id] = max(c.fences[id], now+left)
	}
}

// fence bounds every view lease of a member in the sets of a chain before a view.
type fence struct {
	chain, view uint64
	end         int64
}

// raise keeps what is known of a member that v leaves out. Each is a bound of its own, so the earliest counts; but what was said when it was
// left out before says nothing of the time since it was let in again: an id may be, if its process has learned of none of that.
func (m *Machine) raise(v *pb.View, id uint64, end int64) {
	switch old, ok := m.fences[id]; {
	case !ok:
	case m.is("fence-for-good"):
		end = min(end, old.end)
	case old.chain != v.Chain:
	case old.view > v.Number:
		return
	case old.view > lastSet(v, id):
		end = min(end, old.end)
	}
	m.fences[id] = fence{v.Chain, v.Number, end}
}

// lastSet is the number of the last set of a view's history that has the member.
func lastSet(v *pb.View, id uint64) (last uint64) {
	for _, s := range v.History {
		if s.Number > last && lists(s.Members, id) {
			last = s.Number
		}
	}
	return last
}

// heed keeps what came with a chosen view.
func (m *Machine) heed(d *pb.Decide) {
	if m.lay != nil && (d.View.Chain != m.lay.view.Chain || d.View.Number < m.lay.number()) {
		return
	}
	out, now := leftOut(d.View), m.now()
	for _, f := range d.Fences {
		if slices.Contains(out, f.GetMember()) {
			m.raise(d.View, f.Member, now+min(max(0, f.Left), m.leaseLeft(now, now)))
		}
	}
}

// decided tells of a chosen view.
func (m *Machine) decided(v *pb.View) *pb.Decide {
	d, now := &pb.Decide{View: v}, m.now()
	for _, id := range leftOut(v) {
		if f, ok := m.fences[id]; ok && f.chain == v.Chain {
			d.Fences = append(d.Fences, &pb.Fence{Member: id, Left: max(0, f.end-now)})
		}
	}
	return d
}

// forgetFences drops what says nothing any more: of other chains, of members of no set of the history, and of those that have been let in since.
func (m *Machine) forgetFences() {
	if m.is("fence-for-good") {
		return
	}
	for id, f := range m.fences {
		last := lastSet(m.lay.view, id)
		if m.lay.has(id) {
			last = m.lay.number()
		}
		if f.chain != m.lay.view.Chain || last == 0 || f.view <= last {
			delete(m.fences, id)
		}
	}
}

// ended tells whether the view lease of a member that was left out is known to have ended.
func (m *Machine) ended(id uint64, now int64) bool {
	f, ok := m.fences[id]
	return ok && (now >= f.end || m.is("no-fence-wait"))
}

// leftOut lists the members of the sets of a view's history that it does not have.
func leftOut(v *pb.View) []uint64 {
	if len(v.History) == 0 {
		return nil
	}
	seen := make(map[uint64]bool, len(v.Members))
	for _, mem := range v.Members {
		seen[mem.Id] = true
	}
	var out []uint64
	for _, s := range v.History {
		for _, mem := range s.Members {
			if !seen[mem.Id] {
				seen[mem.Id] = true
				out = append(out, mem.Id)
			}
		}
	}
	return out
}
