package protocol

import (
	"fmt"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// From a chosen view to the one gone by: its rings are made first, beside the machine (rule 4).

// learn adopts a chosen view.
func (m *Machine) learn(v *pb.View) {
	if m.lay != nil && (v.Chain != m.lay.view.Chain || v.Number <= m.lay.number()) {
		return
	}
	member, leaver := lists(v.Members, m.self.Id), lists(v.Leaving, m.self.Id)
	if m.lay == nil && (!member || m.promisedAway(v.Chain)) {
		return
	}
	guest := m.leaving && !member && !leaver
	if m.lay != nil && !member && !leaver && !guest {
		m.expelled("expelled from the cluster")
		return
	}
	if m.lay != nil { // a member all along? A set in between without us would mean that we missed writes.
		for _, s := range v.History {
			if s.Number > m.lay.number() && !lists(s.Members, m.self.Id) && !leaver && !guest {
				m.expelled("left out of a view in between")
				return
			}
		}
	}
	if !m.prepared(v) {
		if c := m.chosen; c == nil || c.Chain != v.Chain || c.Number < v.Number {
			m.chosen = v
		}
		return
	}
	if c := m.chosen; c != nil && (c.Chain != v.Chain || c.Number <= v.Number) {
		m.chosen = nil
	}
	m.adopt(v)
}

// prepared tells whether the rings of a view are there, and asks for those that are not.
func (m *Machine) prepared(v *pb.View) bool {
	m.lays.limit = 2 * (len(v.History) + 2)
	ok := true
	need := func(members []*pb.Member) {
		names := namesOf(members)
		if m.lays.has(names) {
			return
		}
		ok = false
		key, now := cacheKey(names), m.now()
		if at, asked := m.building[key]; !asked || now-at > 5*sec {
			m.building[key] = now
			m.env.Build(names)
		}
	}
	need(v.Members)
	for _, s := range v.History {
		need(s.Members)
	}
	return ok
}

// Built brings the ring that Env.Build asked for; nil if there is none for these names.
func (m *Machine) Built(names []string, t *ring.Table) {
	delete(m.building, cacheKey(names))
	if t == nil || m.left {
		return
	}
	if !m.lays.has(names) {
		m.lays.add(names, t)
	}
	if v := m.chosen; v != nil && m.prepared(v) {
		m.learn(v)
	}
}

// describe says in words what changed between two views.
func describe(old, v *pb.View) string {
	names := func(v *pb.View) map[string]uint64 {
		out := map[string]uint64{}
		for _, mem := range v.GetMembers() {
			out[mem.Name] = mem.Id
		}
		return out
	}
	a, b := names(old), names(v)
	text := fmt.Sprintf("view %d: %d members", v.Number, len(v.Members))
	if len(v.Members) == 1 {
		text = fmt.Sprintf("view %d: 1 member", v.Number)
	}
	for _, mem := range v.Members {
		if a[mem.Name] == 0 {
			text += ", " + mem.Name + " in"
		} else if a[mem.Name] != mem.Id {
			text += ", " + mem.Name + " anew"
		}
	}
	for _, mem := range old.GetMembers() {
		if b[mem.Name] == 0 {
			text += ", " + mem.Name + " out"
		}
	}
	if len(v.History) == 0 {
		text += ", settled"
	}
	return text
}
