package protocol

import (
	"fmt"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// clash is another live process of this one's name, a member of the cluster, as seen from outside: it keeps this one out.
type clash struct {
	with  *pb.Member // nil: none
	since int64
	told  int64 // when that was last announced; 0: never
}

const tellClash = 60 * sec

// watchName looks, while this process is outside, whether its name is in use, and says so. The session of a process that
// has just died may outlive it by a second or two: that is a restart and no clash.
func (m *Machine) watchName(now int64) {
	c := &m.clash
	var with *pb.Member
	for _, id := range m.named[m.self.Name] {
		if p := m.peers[id]; p.session != 0 && p.chain != 0 {
			with = p.member
			break
		}
	}
	if with.GetId() != c.with.GetId() {
		c.with, c.since = with, now
	}
	if m.clashing(now) && (c.told == 0 || now-c.told >= tellClash) {
		c.told = now
		m.env.Event("name-taken", c.with.Name, fmt.Sprintf("the name %s is held by another live process, at %s (id %016x): this node stays outside the "+
			"cluster until that one ends; give each node a name of its own (--name)", c.with.Name, c.with.Addr, c.with.Id))
	}
}

func (m *Machine) clashing(now int64) bool {
	return m.lay == nil && m.clash.with != nil && now-m.clash.since >= 2*m.cfg.ExpelAfter
}
