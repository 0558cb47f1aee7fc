package protocol

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// How a process comes into a chain of views, and when it gives one up (rule 2).

// joiner is a process that asks to be let in.
type joiner struct {
	member *pb.Member
	at     int64
}

// onJoin notes a process that asks to be let in; the coordinator acts on it.
func (m *Machine) onJoin(p *peer, member *pb.Member) {
	if m.lay.has(member.Id) {
		m.sendView(p)
		return
	}
	now := m.now()
	j := m.joiners[member.Id]
	if j == nil {
		j = &joiner{member: member}
		m.joiners[member.Id] = j
		m.gatheredAt = now
	}
	j.at = now
}

// watchMajority notes when the majority was lost, and starts over when it has been for long enough (P4).
func (m *Machine) watchMajority(now int64) {
	if m.inTouch() {
		m.lostAt = 0
		// Who has come back, or is a member no more, was forgotten for that time only.
		maps.DeleteFunc(m.forgotten, func(name string, _ bool) bool { return m.forgettable(name) != nil })
		if m.lost {
			m.lost = false
			m.announce()
			m.env.Event("regained", "", "the majority is within reach again")
		}
		return
	}
	if m.lostAt == 0 {
		m.lostAt = now
	}
	without := now - m.lostAt
	if !m.lost && without > m.cfg.ExpelAfter+m.cfg.Lease {
		m.lost = true
		m.announce()
		m.env.Event("lost-majority", "", "no majority of the last view within reach: reads are unsure, writes refused")
	}
	dead := 0
	for _, mem := range m.lay.view.Members {
		if m.provenDead(mem) {
			dead++
		}
	}
	if without > m.cfg.ExpelAfter && !m.enough(len(m.lay.ids)-dead) {
		m.dissolve("a majority of the view has died")
		return
	}
	if m.cfg.ForgetAfter > 0 && without > m.cfg.ForgetAfter {
		m.dissolve("no majority for ForgetAfter")
		return
	}
	if len(m.forgotten) > 0 && without > m.cfg.ExpelAfter {
		counted, alive := 0, 0
		for i, id := range m.lay.ids {
			name := m.lay.view.Members[i].Name
			if m.forgotten[name] && id != m.self.Id {
				continue
			}
			counted++
			if !m.silent(id, now) {
				alive++
			}
		}
		if alive >= quorum(counted) && m.lay.has(m.self.Id) {
			m.dissolve("lost members forgotten on request: " + strings.Join(slices.Sorted(maps.Keys(m.forgotten)), ", "))
		}
	}
}

// Forget takes a lost member out of the count of the majority, here and at every node within reach. Where there is nothing to
// forget, that is the error.
func (m *Machine) Forget(name string) error {
	if err := m.forgettable(name); err != nil {
		return err
	}
	m.forget(name)
	for _, id := range m.order {
		m.send(m.peers[id], &pb.Message{Body: &pb.Message_Forget{Forget: &pb.Forget{Name: name}}})
	}
	return nil
}

func (m *Machine) forget(name string) {
	if !m.forgotten[name] && slices.Contains(namesOf(m.lay.view.Members), name) {
		m.forgotten[name] = true
		m.env.Event("forgotten", name, name+", which is lost, is no longer counted, on request: where those left are a majority without it, they start over, empty")
	}
}

// forgettable is nil if name is that of a member that is lost.
func (m *Machine) forgettable(name string) error {
	if m.lay == nil {
		return errors.New("this node is in no cluster at present and knows of no lost member; ask one that is")
	}
	i := slices.IndexFunc(m.lay.view.Members, func(mem *pb.Member) bool { return mem.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("%q is no member of the present view; its members are %s", name, strings.Join(namesOf(m.lay.view.Members), ", "))
	case m.lay.ids[i] == m.self.Id:
		return fmt.Errorf("%q is the node that was asked", name)
	case !m.silent(m.lay.ids[i], m.now()):
		return fmt.Errorf("%q is alive, at %s: only a member that is lost can be forgotten", name, m.lay.view.Members[i].Addr)
	}
	return nil
}

// size is what counts of this chain when it meets another: its members, and nothing while it has lost its majority. It serves nobody then, and one
// that serves must not give up what it holds for it, nor wait until it can let somebody in.
func (m *Machine) size() int {
	if m.lost && !m.is("lost-counts") {
		return 0
	}
	return len(m.lay.ids)
}

// announce spreads what cluster this node is in, and notes whether that has become smaller (see betterChain).
func (m *Machine) announce() {
	n, now := len(m.lay.ids), m.now()
	if n < m.shown.size {
		m.shown.larger, m.shown.until = max(m.shown.size, m.shown.before(now)), now+m.cfg.ExpelAfter+m.cfg.Lease
	}
	m.shown.size = n
	m.env.Announce(m.lay.view.Chain, m.lay.number(), m.size())
}

// shown is how many members this chain had when it was last announced, and as how many it counts until others have heard that it has fewer.
type shown struct {
	size, larger int
	until        int64
}

func (s *shown) before(now int64) int {
	if now >= s.until {
		return 0
	}
	return s.larger
}

// betterChain tells whether a peer belongs to another cluster that ours must dissolve into. Of two the smaller one dissolves, of equal ones the
// younger, and none into one that has lost its majority, which can let nobody in.
//
//   - While ours has lost its majority it counts as empty. If it is the smaller one only by that, it waits first, for as long as it took to notice the loss:
//     a network may come back piece by piece, and another cluster be within reach before our own members. It does not wait if one of these is in the other
//     cluster already.
//   - If ours has just lost a member, it still counts as it did before: the other may not have heard of that, and be about to dissolve into ours. Then
//     both would, and nobody find another.
func (m *Machine) betterChain(now int64) bool {
	v, size, waits := m.lay.view, len(m.lay.ids), false
	if !m.is("shrinks-at-once") {
		size = max(size, m.shown.before(now))
	}
	counts := size
	if m.lost {
		counts = m.size()
	}
	for _, id := range m.order {
		p := m.peers[id]
		if p.session == 0 || !p.gossiped || p.chain == 0 || p.chain == v.Chain || m.lay.has(id) || p.size == 0 && !m.is("join-the-lost") {
			continue
		}
		switch better := func(size int) bool { return p.size > size || p.size == size && p.chain < v.Chain }; {
		case better(size), better(counts) && (slices.Contains(namesOf(v.Members), p.member.Name) || m.is("give-way-at-once")):
			return true
		case better(counts):
			waits = true
		}
	}
	switch {
	case !waits:
		m.betterAt = 0
	case m.betterAt == 0:
		m.betterAt = now
	}
	return waits && now-m.betterAt > m.cfg.ExpelAfter+m.cfg.Lease
}

// dissolve gives up the chain itself, and not only this node's place in it.
func (m *Machine) dissolve(why string) {
	m.carry()
	m.startOver(why)
}

// expelled is for who was left out by the others: it goes on as a new member, at once the first time. Who was not in for long before that
// has a link that is still broken, or something of the kind: each time it came in, and was expelled again, its partitions would change
// hands twice, and be nobody's for a lease.
func (m *Machine) expelled(why string) {
	now, pause, again := m.now(), int64(0), "at once"
	if longest := longestPause * m.cfg.ExpelAfter; now-m.cameAt < longest {
		pause = min(max(2*m.pause, m.cfg.ExpelAfter), longest)
		again = fmt.Sprintf("in up to %v, for it was not in for long", time.Duration(pause))
	}
	m.exiled = true
	m.startOver(why + "; joining again " + again)
	m.expelledAt, m.pause = now, pause
}

// Who is expelled again and again stays outside for so many times ExpelAfter at most, and where all whom gossip knows are within its reach.
const longestPause, shorterPause = 32, 2

// mayComeBack tells whether a process that was expelled asks to be let in again.
func (m *Machine) mayComeBack(now int64) bool {
	if now-m.expelledAt >= m.pause {
		return true
	}
	for _, id := range m.order {
		if p := m.peers[id]; p.session == 0 && p.gossiped && !p.barred && p.refused == 0 && !m.provenDead(p.member) {
			return false
		}
	}
	return now-m.expelledAt >= shorterPause*m.cfg.ExpelAfter
}

// startOver gives up the chain: everything held here is dropped, and the process goes on as a new member.
func (m *Machine) startOver(why string) {
	m.env.Event("started-over", "", why)
	if m.leaving && !m.HandedOver() { // there is nobody any more to hand over to
		for p := range m.parts {
			m.lostHere += m.store.Count(p)
		}
	}
	m.lease.until.Store(0)
	m.route.Store(nil)
	m.store.Reset()
	for p := range m.parts {
		m.parts[p].reset()
	}
	gaveUp := viewOf(m.lay).GetChain()
	m.lay, m.hist, m.chosen = nil, nil, nil
	m.forgetView()
	m.joiners, m.leavers, m.keyPulls = map[uint64]*joiner{}, map[uint64]int64{}, map[string]*keyPull{}
	m.held, m.clock, m.past, m.spared = nil, 0, [2]pastClock{}, spared{} // the clock of one chain says nothing in another
	m.abandonWrites()
	m.restartCuts()
	m.holders = 0
	m.lostAt, m.lost, m.betterAt, m.forgotten = 0, false, 0, map[string]bool{}
	m.clash.with, m.found, m.shown = nil, founding{gaveUp: gaveUp}, shown{}
	m.self = &pb.Member{Name: m.self.Name, Id: NewID(m.env.Random()), Addr: m.self.Addr}
	if m.exiled {
		m.self.Id &^= notExiled
	}
	for _, id := range m.order {
		p := m.peers[id]
		p.session, p.proven, p.stash, p.stashed, p.adopted, p.inSync, p.confirm, p.suspects, p.outsideAt = 0, false, nil, 0, 0, 0, 0, nil, 0
		p.lease.until.Store(0)
		p.near.until.Store(0)
		p.lease, p.near, p.grantEnd = &Lease{}, &Lease{}, 0
		p.downAt = m.now()
	}
	waited := m.parked // a read among it is to find what was revoked revoked
	m.parked = nil
	m.revokeAgain()
	m.parked = append(m.parked, waited...)
	m.failAllOps()
	m.knewAt = m.now()
	m.foundAfter = m.knewAt + m.cfg.Settle + m.cfg.ExpelAfter
	m.env.Reincarnate(m.self)
	m.env.Announce(0, 0, 0)
}
