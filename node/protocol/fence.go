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

// testify says, of each member that v leaves out, how long its view lease may still run as far as this acceptor knows.
func (m *Machine) testify(v *pb.View) []*pb.Fence {
	var out []*pb.Fence
	now := m.env.Now()
	for _, id := range m.lay.ids {
		if slices.ContainsFunc(v.GetMembers(), func(mem *pb.Member) bool { return mem.Id == id }) {
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
	now := m.env.Now()
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

// raise keeps what is known of fences; each is a bound of its own, so the earliest counts.
func (m *Machine) raise(id uint64, end int64) {
	if old, ok := m.fences[id]; !ok || end < old {
		m.fences[id] = end
	}
}

// heed keeps what came with a chosen view.
func (m *Machine) heed(d *pb.Decide) {
	if m.lay != nil && (d.View.Chain != m.lay.view.Chain || d.View.Number < m.lay.number()) {
		return
	}
	out, now := leftOut(d.View), m.env.Now()
	for _, f := range d.Fences {
		if contains(out, f.GetMember()) {
			m.raise(f.Member, now+min(max(0, f.Left), m.leaseLeft(now, now)))
		}
	}
}

// decided tells of a chosen view.
func (m *Machine) decided(v *pb.View) *pb.Decide {
	d, now := &pb.Decide{View: v}, m.env.Now()
	for _, id := range leftOut(v) {
		if end, ok := m.fences[id]; ok {
			d.Fences = append(d.Fences, &pb.Fence{Member: id, Left: max(0, end-now)})
		}
	}
	return d
}

// forgetFences drops those of members that no set of the present history has, nor the present view, which a later one may leave out.
func (m *Machine) forgetFences() {
	for id := range m.fences {
		if !m.lay.has(id) && !slices.ContainsFunc(m.hist, func(h *layout) bool { return h.has(id) }) {
			delete(m.fences, id)
		}
	}
}

// ended tells whether the view lease of a member that was left out is known to have ended.
func (m *Machine) ended(id uint64, now int64) bool {
	end, ok := m.fences[id]
	return ok && (now >= end || m.is("no-fence-wait"))
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
