package protocol

import (
	"cmp"
	"maps"
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// cut is a Clear or an InvalidateTags under way at the node that was asked for it (rule 10). Round one collects the
// highest clock of all members, round two voids the scope at each of them up to a version above it.
//
// A member answers round one only while its view lease runs, and who cuts begins round two only while its own does. So nobody has confirmed a write
// in a later view, or given a ticket there for what the member owned, which would be above that version. A change of the view starts it over, and so
// does a member that answers round two with its clock again, for the sake of a save (save.go). Who leaves may do one too, from outside the view: it
// hears all the members.
type cut struct {
	id       uint64
	tags     []string // nil: everything
	begun    int64
	deadline int64
	giveUp   int64
	round    int
	number   uint64 // of the message ids of this round
	asked    int64  // when this round was last sent
	told     int64  // no clock that round one has brought is of before
	waiting  []uint64
	records  []*pb.CutRecord
	tried    bool // some of the members may have been told
	done     func(Result)
}

// Cut voids all entries that have one of the tags; without tags, all entries. It goes on until giveUp.
func (m *Machine) Cut(tags []string, deadline, giveUp int64, done func(Result)) {
	m.Counters.Cuts.Add(1)
	if m.left || m.parting {
		done(Result{Status: pb.Status_UNSURE, Closed: true})
		return
	}
	if len(m.cuts) >= mostCuts {
		done(Result{Status: pb.Status_FULL})
		return
	}
	c := &cut{id: m.nextID(), begun: m.now(), tags: tags, deadline: deadline, giveUp: max(deadline, giveUp), done: done}
	m.cuts[c.id] = c
	m.startCut(c)
}

// mostCuts bounds the cuts under way at this node. Those that go on after their callers have given up are among them.
const mostCuts = 1 << 13

func (m *Machine) startCut(c *cut) {
	delete(m.cutBy, c.number)
	c.round, c.waiting, c.number = 0, nil, 0
	if m.lay == nil || m.spent() {
		return
	}
	c.round, c.tried, c.told = 1, true, m.now()
	m.sendRound(c)
	if len(c.waiting) == 0 {
		m.secondRound(c)
	}
}

// sendRound sends the message of the present round to every other member, and to those that still hand over.
func (m *Machine) sendRound(c *cut) {
	c.waiting = c.waiting[:0]
	delete(m.cutBy, c.number)
	c.number, c.asked = m.nextID(), m.now()
	m.cutBy[c.number] = c
	for _, id := range m.lay.ids {
		if id != m.self.Id {
			c.waiting = append(c.waiting, id)
		}
	}
	for _, mem := range m.lay.view.Leaving {
		if mem.Id != m.self.Id && !m.silent(mem.Id, m.now()) {
			c.waiting = append(c.waiting, mem.Id)
		}
	}
	for _, id := range c.waiting {
		m.sendCut(c, m.peers[id])
	}
}

func (m *Machine) dropCut(c *cut) {
	delete(m.cuts, c.id)
	delete(m.cutBy, c.number)
}

func (m *Machine) onCutClock(p *peer, msg *pb.Message) {
	if m.lay.self < 0 || m.leased() || m.is("cut-without-lease") { // else it is asked again
		m.reply(p, msg, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}})
	}
}

// answeredRound returns the cut whose present round a member has answered, if it is still of this view, and does not wait for it any more.
func (m *Machine) answeredRound(p *peer, msg *pb.Message) *cut {
	c := m.cutBy[msg.Id]
	if c == nil || msg.View != m.lay.number() {
		return nil
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(id uint64) bool { return id == p.member.Id })
	return c
}

func (m *Machine) onCutClockReply(p *peer, msg *pb.Message) {
	switch c := m.answeredRound(p, msg); {
	case c == nil:
	case c.round == 2: // its version is too low
		m.startCut(c)
	case len(c.waiting) == 0:
		m.secondRound(c)
	}
}

func (m *Machine) secondRound(c *cut) {
	if m.spent() {
		c.round = 0 // it starts over in the next view
		return
	}
	if m.lay.self >= 0 && !m.leased() && !m.is("cut-without-lease") {
		return // tickCuts tries again
	}
	c.round = 2
	version := m.nextVersion()
	c.records = nil
	if c.tags == nil {
		c.records = append(c.records, &pb.CutRecord{All: true, Version: version})
	}
	for _, tag := range c.tags {
		c.records = append(c.records, &pb.CutRecord{Tag: tag, Version: version})
	}
	m.applyCuts(c.records)
	m.sendRound(c)
	m.finishCut(c)
}

func (m *Machine) onCut(p *peer, msg *pb.Message, b *pb.Cut) {
	m.applyCuts(b.Cuts)
	if slices.ContainsFunc(b.Cuts, func(c *pb.CutRecord) bool { return c.Version < m.spared.of(c.Tag) }) && !m.is("spared-for-good") {
		if !m.is("spare-again") {
			m.spared.nothing = m.now() + m.cfg.Lease
		}
		m.reply(p, msg, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}})
		return
	}
	m.reply(p, msg, &pb.Message{Body: &pb.Message_CutReply{CutReply: &pb.CutReply{}}})
}

func (m *Machine) onCutReply(p *peer, msg *pb.Message) {
	if c := m.answeredRound(p, msg); c != nil {
		m.finishCut(c)
	}
}

// finishCut: every member has confirmed, and whoever was in an earlier view has adopted this one or lost its leases.
func (m *Machine) finishCut(c *cut) {
	if c.round != 2 || len(c.waiting) > 0 || !m.barrierOff && !m.is("cut-without-barrier") {
		return
	}
	if m.now()-c.told > m.keepClock()/2 && !m.is("endless-cut") { // saves of meanwhile may be younger (save.go)
		m.startCut(c)
		return
	}
	m.endCut(c, Result{Status: pb.Status_OK})
}

// endCut ends a cut, and tells its caller if that still waits.
func (m *Machine) endCut(c *cut, r Result) {
	m.dropCut(c)
	if c.done == nil {
		m.late("cut", r.Status, c.begun)
		return
	}
	r.Tried = c.tried
	c.done(r)
	c.done = nil
}

func (m *Machine) sortedCuts() []*cut {
	return slices.SortedFunc(maps.Values(m.cuts), func(a, b *cut) int { return cmp.Compare(a.id, b.id) })
}

func (m *Machine) finishCuts() {
	for _, c := range m.sortedCuts() {
		m.finishCut(c)
	}
}

func (m *Machine) restartCuts() {
	for _, c := range m.sortedCuts() {
		m.startCut(c)
	}
}

// resendCuts repeats a round on a new session; it is idempotent.
func (m *Machine) resendCuts(p *peer) {
	for _, c := range m.sortedCuts() {
		if slices.Contains(c.waiting, p.member.Id) {
			m.sendCut(c, p)
		}
	}
}

// sendCut sends one member the message of the present round.
func (m *Machine) sendCut(c *cut, p *peer) {
	if c.round == 1 {
		m.send(p, &pb.Message{Id: c.number, Body: &pb.Message_CutClock{CutClock: &pb.CutClock{}}})
	} else {
		m.send(p, &pb.Message{Id: c.number, Body: &pb.Message_Cut{Cut: &pb.Cut{Cuts: c.records}}})
	}
}

func (m *Machine) tickCuts(now int64) {
	for _, c := range m.sortedCuts() {
		switch {
		case c.round == 1 && len(c.waiting) == 0:
			m.secondRound(c)
		case c.round == 1 && now-c.asked >= m.cfg.Lease/LeasesRenewed && (m.inTouch() || m.is("ask-in-vain")): // some may have had no lease
			c.asked = now
			for _, id := range c.waiting {
				m.sendCut(c, m.peers[id])
			}
		}
		if now >= c.deadline && c.done != nil {
			m.Counters.Unconfirmed.Add(1)
			c.done(Result{Status: pb.Status_UNSURE, Tried: true, NoMajority: m.NoMajority()})
			c.done = nil
		}
		if now >= c.giveUp {
			m.endCut(c, Result{Status: pb.Status_UNSURE})
		}
	}
}

func (m *Machine) applyCuts(cs []*pb.CutRecord) {
	for _, c := range cs {
		m.store.Cut(c.Tag, c.All, c.Version)
		m.clock = max(m.clock, c.Version+1) // above it: a ticket given out now is younger than the cut
	}
}
