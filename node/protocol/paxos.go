package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// View e+1 is chosen by single-decree Paxos (Lamport, "Paxos Made Simple", 2001, section 2.2) whose acceptors are the
// members of view e (rule 2). Nothing is written to disk: a process that ends never comes back as the same acceptor.

// vote is this node's state as an acceptor of the view that follows the present one.
type vote struct {
	promised *pb.Ballot
	accepted *pb.Ballot
	value    *pb.View
}

// campaign is this node's state as a proposer.
type campaign struct {
	ballot   *pb.Ballot
	value    *pb.View // what we want
	proposal *pb.View // what we must propose: an accepted value we learned of goes first
	highest  *pb.Ballot
	promises map[uint64]bool
	accepts  map[uint64]bool
	fences   map[uint64]int64 // for those whom the proposal leaves out: until when their leases may run, as far as the acceptors know
	second   bool             // in phase two
	since    int64
}

func less(a, b *pb.Ballot) bool {
	if a == nil || b == nil {
		return a == nil && b != nil
	}
	if a.Round != b.Round {
		return a.Round < b.Round
	}
	return a.Proposer < b.Proposer
}

// enough tells whether so many members of the present view are a quorum. In a view of two, the one that remains decides
// alone once the other is proven dead: any earlier quorum of two included it.
func (m *Machine) enough(n int) bool {
	size := len(m.lay.ids)
	if size == 2 && n == 1 {
		return slices.ContainsFunc(m.lay.view.Members, m.provenDead)
	}
	return n >= quorum(size)
}

// propose starts, or restarts, the choice of the next view.
func (m *Machine) propose(v *pb.View) {
	m.prepared(v)
	round := uint64(1)
	if m.vote.promised != nil {
		round = m.vote.promised.Round + 1
	}
	if m.campaign != nil && m.campaign.ballot.Round >= round {
		round = m.campaign.ballot.Round + 1
	}
	c := &campaign{
		ballot: &pb.Ballot{Round: round, Proposer: m.self.Id}, value: v,
		promises: map[uint64]bool{}, accepts: map[uint64]bool{}, fences: map[uint64]int64{}, since: m.now(),
	}
	m.campaign = c
	msg := &pb.Prepare{Ballot: c.ballot, Number: v.Number}
	for _, id := range m.lay.ids {
		if id == m.self.Id {
			m.onPromise(id, m.promise(msg))
		} else {
			m.send(m.peers[id], &pb.Message{Body: &pb.Message_Prepare{Prepare: msg}})
		}
		if m.campaign != c {
			return // chosen at once: a cluster of one
		}
	}
}

// answeredBallot returns our campaign if it is in this phase and an answer to this ballot is one to it; else nil.
func (m *Machine) answeredBallot(second bool, b *pb.Ballot, number uint64) *campaign {
	c := m.campaign
	if c == nil || c.second != second || b.GetProposer() != m.self.Id || b.GetRound() != c.ballot.Round || number != c.value.Number {
		return nil
	}
	return c
}

// promise answers a Prepare for the next view.
func (m *Machine) promise(b *pb.Prepare) *pb.Promise {
	ok := !less(b.Ballot, m.vote.promised)
	if ok {
		m.vote.promised = b.Ballot
	}
	return &pb.Promise{Ballot: b.Ballot, Number: b.Number, Ok: ok, Promised: m.vote.promised, Accepted: m.vote.accepted, Value: m.vote.value}
}

func (m *Machine) onPromise(from uint64, b *pb.Promise) {
	c := m.answeredBallot(false, b.Ballot, b.Number)
	if c == nil {
		return
	}
	if !b.Ok {
		m.outbid(b.Promised)
		return
	}
	c.promises[from] = true
	if b.Accepted != nil && less(c.highest, b.Accepted) {
		c.highest, c.proposal = b.Accepted, b.Value
	}
	if !m.enough(len(c.promises)) || c.proposal == nil && len(m.lay.ids) > 2 && !m.enough(m.staying(c)) {
		return
	}
	if c.proposal == nil {
		c.proposal = c.value
	}
	c.second = true
	msg := &pb.Accept{Ballot: c.ballot, Value: c.proposal}
	for _, id := range m.lay.ids {
		if id == m.self.Id {
			m.onAccepted(id, m.accept(msg))
		} else {
			m.send(m.peers[id], &pb.Message{Body: &pb.Message_Accept{Accept: msg}})
		}
		if m.campaign != c {
			return
		}
	}
}

// staying counts the promises of those whom our own value does not expel. They alone must be a quorum: else one half of an even
// split could, when the first links are mended, throw out the other with the votes of that one. In a view of two the other's
// consent is all there is.
func (m *Machine) staying(c *campaign) int {
	n := 0
	for _, mem := range slices.Concat(c.value.Members, c.value.Leaving) {
		if c.promises[mem.Id] {
			n++
		}
	}
	return n
}

// outbid notes a higher ballot; the next try, after a while, goes above it.
func (m *Machine) outbid(b *pb.Ballot) {
	if less(m.vote.promised, b) {
		m.vote.promised = b
	}
}

// accept answers an Accept. From then on this node confirms the present view to nobody (rule 5).
func (m *Machine) accept(b *pb.Accept) *pb.Accepted {
	ok := !less(b.Ballot, m.vote.promised)
	var fences []*pb.Fence
	if ok {
		m.vote.promised, m.vote.accepted, m.vote.value = b.Ballot, b.Ballot, b.Value
		fences = m.testify(b.Value)
	}
	return &pb.Accepted{Ballot: b.Ballot, Number: b.Value.GetNumber(), Promised: m.vote.promised, Ok: ok, Fences: fences}
}

func (m *Machine) onAccepted(from uint64, b *pb.Accepted) {
	c := m.answeredBallot(true, b.Ballot, b.Number)
	if c == nil {
		return
	}
	if !b.Ok {
		m.outbid(b.Promised)
		return
	}
	c.accepts[from] = true
	m.collect(c, b.Fences)
	if !m.enough(len(c.accepts)) {
		return
	}
	m.campaign = nil
	for _, id := range leftOut(c.proposal) {
		if end, ok := c.fences[id]; ok {
			m.raise(c.proposal, id, end)
		}
	}
	v := c.proposal
	decide := m.decided(v)
	// Chosen. Tell the old members, the new ones and those that leave; then go on in it.
	told := map[uint64]bool{m.self.Id: true}
	for _, mem := range slices.Concat(v.Members, v.Leaving, m.lay.view.Members, m.lay.view.Leaving) {
		if !told[mem.Id] {
			told[mem.Id] = true
			m.send(m.meet(mem), &pb.Message{Body: &pb.Message_Decide{Decide: decide}})
		}
	}
	m.learn(v)
}
