package protocol

import (
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Status is a summary for those who watch.
type Status struct {
	Chain, View                uint64
	Members                    int
	Acting, InSync, Settled    bool
	Leaving                    bool // Leave has been called
	Partitions, Owned, Pending int
	ToPull                     int        // partitions that were to be pulled when the hand-over under way began
	Met                        int        // outside: processes within reach by their names, this one among them
	Knows                      bool       // outside: of a process that is in a cluster
	Paused                     bool       // outside: it was expelled soon after it had come in, and does not ask to be let in yet
	Exiled                     bool       // outside: it founds no cluster, for one that has left it out, or had yet to let it in, may be there
	Reached                    bool       // outside: somebody at an address to join, or nobody is to be met
	NameHeldBy                 *pb.Member // another live process of this one's name, which keeps this one out
}

// Status returns the present summary.
func (m *Machine) Status() Status {
	s := Status{Partitions: len(m.parts), InSync: m.InSync(), Leaving: m.leaving, Pending: m.missing, ToPull: m.toPull}
	if m.clashing(m.now()) {
		s.NameHeldBy = m.clash.with
	}
	if m.lay == nil {
		s.Reached, s.Paused, s.Exiled = m.reached || m.cfg.Solo, !m.mayComeBack(m.now()), m.inExile(m.now())
		met := map[string]bool{m.self.Name: true}
		for _, p := range m.peers {
			if p.session != 0 {
				met[p.member.Name] = true
			}
			s.Knows = s.Knows || p.chain != 0 && (p.session != 0 || p.gossiped)
		}
		s.Met = len(met)
		return s
	}
	s.Chain, s.View, s.Members = m.lay.view.Chain, m.lay.number(), len(m.lay.ids)
	s.Acting = m.lay.has(m.self.Id) && m.leased()
	s.Settled = len(m.lay.view.History) == 0
	for p := range m.parts {
		if m.parts[p].owner {
			s.Owned++
		}
	}
	return s
}

// InSync tells whether this node is an acting member that holds all it should hold, and does not leave.
func (m *Machine) InSync() bool {
	return m.lay != nil && !m.leaving && m.inSyncNow() && m.leased()
}

// MemberStatus is one member as this node sees it.
type MemberStatus struct {
	Member *pb.Member
	Self   bool
	State  string
	Share  float64
}

// Members lists the present view, in the order of names; before there is one, this node alone.
func (m *Machine) Members() []MemberStatus {
	if m.lay == nil {
		return []MemberStatus{{Member: m.self, Self: true, State: "joining"}}
	}
	now := m.now()
	owned := make([]int, len(m.lay.ids))
	for p := range m.parts {
		owned[m.lay.table.Owner(p)]++
	}
	var out []MemberStatus
	for i, mem := range m.lay.view.Members {
		s := MemberStatus{Member: mem, Self: mem.Id == m.self.Id, State: "member", Share: float64(owned[i]) / float64(len(m.parts))}
		if _, leaves := m.leavers[mem.Id]; leaves {
			s.State = "leaving"
		} else if !s.Self && m.silent(mem.Id, now) {
			s.State = "silent"
		}
		out = append(out, s)
	}
	for _, mem := range m.lay.view.Leaving {
		out = append(out, MemberStatus{Member: mem, Self: mem.Id == m.self.Id, State: "leaving"})
	}
	return out
}

// Locate says in which partition a key is, and who holds that.
func (m *Machine) Locate(key string) (partition int, owner string, copies []string) {
	partition = ring.PartitionOf(key, len(m.parts))
	if m.lay == nil {
		return partition, "", nil
	}
	for k, i := range m.lay.table.Owners(partition) {
		if k == 0 {
			owner = m.lay.view.Members[i].Name
		} else {
			copies = append(copies, m.lay.view.Members[i].Name)
		}
	}
	return partition, owner, copies
}
