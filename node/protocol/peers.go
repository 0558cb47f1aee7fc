package protocol

import pb "github.com/huddle-cache/huddle/transport/peerpb"

// peer is what this node knows of another one.
type peer struct {
	member    *pb.Member
	session   uint64 // 0: none
	proven    bool   // a message has come on the session: the other side has dropped what it held under earlier ones
	heard     int64  // when the last message came
	calls     int    // how often it was asked to be heard since (found.go)
	answers   int64  // when it was asked what it has answered last
	metAt     int64  // when we first heard of it
	aliveAt   int64  // when it was last asked whether it runs, and has answered; 0: never
	outsideAt int64  // when it was asked, of this session, whether it is in no cluster, and has said so; 0: it has not
	waitsFor  uint64 // the chain that it waits for, by what it has said on this session: it founds none
	downAt    int64  // when the session ended, or the peer was met
	goes      bool   // gossip has told that it is about to go
	barred    bool   // it and this node do not go together, and have no session
	refused   int64  // when its port first refused a connection since the last session; 0: it did not

	// What it grants to us.
	lease   *Lease // for copies: outlives sessions
	near    *Lease // for near copies: of this session
	confirm int64  // when we asked for its latest confirmation of the present view; 0: none
	asked   int64  // when we asked last

	// What we grant to it.
	grantEnd    int64 // until when it may serve under our grants, on our clock
	confirmedAt int64 // when we last confirmed a view to it

	adopted uint64 // highest view of our chain it is known to have adopted
	inSync  uint64 // highest view of our chain it is known to be in sync in

	// What it announced by gossip.
	gossiped   bool
	chain      uint64
	size       int
	suspects   []uint64
	suspectsAt int64
	decidedAt  int64 // when we last sent it our view, or a hint of it
	stash      []*pb.Message
	stashed    int // bytes of the stash

	backlog   []*write // that this copy is to confirm, and that wait for their turn
	confirmed int64    // when it last confirmed one
}

// Found tells of a process that gossip knows, and of the cluster it says it is in.
func (m *Machine) Found(member *pb.Member, chain uint64, size int) {
	m.stirred = true
	if member.Id == m.self.Id || member.Id == 0 {
		return
	}
	p := m.meet(member)
	if chain == 0 { // gossip is behind what the peer has told us itself: who leaves a chain goes on under another id
		chain = p.chain
	}
	p.gossiped, p.chain, p.size = true, chain, size
}

// Goes tells of a process that gossip knows, and that is about to go.
func (m *Machine) Goes(id uint64) {
	if p := m.peers[id]; p != nil {
		p.goes = true
	}
}

// Gone tells that gossip no longer knows a process.
func (m *Machine) Gone(id uint64) {
	m.stirred = true
	p := m.peers[id]
	if p == nil {
		return
	}
	p.gossiped = false
	m.dropIfUseless(id)
}

// Reached tells that some join address has been reached.
func (m *Machine) Reached() { m.reached = true }

// meet returns the peer's record, made and connected if need be.
func (m *Machine) meet(member *pb.Member) *peer {
	p := m.peers[member.Id]
	if p == nil {
		p = &peer{member: member, lease: &Lease{}, near: &Lease{}, downAt: m.now(), metAt: m.now()}
		m.peers[member.Id] = p
		m.order = insertSorted(m.order, member.Id)
		m.named[member.Name] = insertSorted(m.named[member.Name], member.Id)
		m.metAt = m.now()
		m.env.Connect(member)
		m.askAlive(member.Name)
	}
	return p
}

// dropIfUseless forgets a peer that is no member, not gossiped, not connected and under none of our grants.
func (m *Machine) dropIfUseless(id uint64) {
	p := m.peers[id]
	if p == nil || p.gossiped || p.session != 0 || m.lay.has(id) || m.lay.isLeaving(id) || p.grantEnd > m.now() {
		return
	}
	if m.mayGoOn(p) {
		if m.now()-p.downAt <= m.cfg.ExpelAfter { // by then its port refuses, if it has ended
			return
		}
		m.found.unseen = p.chain
	}
	delete(m.peers, id)
	m.order = removeSorted(m.order, id)
	if m.named[p.member.Name] = removeSorted(m.named[p.member.Name], id); len(m.named[p.member.Name]) == 0 {
		delete(m.named, p.member.Name)
	}
	delete(m.joiners, id)
	delete(m.byPeer, id)
	m.env.Disconnect(id)
}

// Up tells that a session with a peer stands.
func (m *Machine) Up(member *pb.Member, session uint64) {
	m.stirred = true
	if member.Id == m.self.Id {
		return
	}
	if p := m.peers[member.Id]; p != nil && p.session != 0 {
		m.Down(member.Id, p.session)
	}
	p := m.meet(member)
	p.session, p.proven, p.barred, p.refused, p.outsideAt, p.waitsFor = session, false, false, 0, 0, 0
	p.heard, p.calls = m.now(), 0
	m.askAlive(member.Name)
	if len(m.byPeer[member.Id]) > 0 && p.adopted < m.lay.number() { // before what it can only keep until it knows the view
		p.decidedAt = 0
		m.sendView(p)
	}
	m.resend(p)
	m.resendCuts(p)
	m.askLease(p)
	m.unpark()
}

// Down tells that a session has ended: nothing more comes from it, and what was sent last may be lost.
func (m *Machine) Down(id, session uint64) {
	m.stirred = true
	p := m.peers[id]
	if p == nil || p.session != session {
		return
	}
	p.session, p.proven, p.downAt, p.outsideAt = 0, false, m.now(), 0
	p.stash, p.stashed, p.backlog = nil, 0, nil
	m.endNear(p)
	m.failOps(id)
	m.failPulls(id)
	m.dropIfUseless(id)
}

// giveUp ends a session and has another made, over which all that was not answered is sent again.
func (m *Machine) giveUp(p *peer) {
	id, session := p.member.Id, p.session
	m.log.Warn("too much has come ahead of the view it was sent in; the session is made anew", "peer", p.member.Name, "messages", len(p.stash), "bytes", p.stashed)
	m.env.Disconnect(id)
	m.Down(id, session)
	if m.peers[id] == p {
		m.env.Connect(p.member)
	}
}

// Barred tells that a peer and this node do not go together, for one of the two refuses the other's settings.
func (m *Machine) Barred(id uint64) {
	if p := m.peers[id]; p != nil {
		p.barred = true
	}
}

// Unreachable tells that a connection could not be made; refused: the port says that nobody listens.
func (m *Machine) Unreachable(id uint64, refused bool) {
	m.stirred = true
	p := m.peers[id]
	if p == nil || p.session != 0 {
		return
	}
	if !refused {
		p.refused = 0
	} else if p.refused == 0 {
		p.refused = m.now()
	}
}
