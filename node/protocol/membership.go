package protocol

import (
	"slices"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// handleMembership takes the messages that may pass between any two processes, whatever view either is in.
func (m *Machine) handleMembership(p *peer, msg *pb.Message) bool {
	same := m.lay != nil && msg.Chain == m.lay.view.Chain
	next := func(number uint64) bool { // for the choice of the view after ours, from a fellow member?
		switch {
		case !same || !m.lay.has(m.self.Id) || !m.lay.has(p.member.Id):
			return false
		case number <= m.lay.number():
			m.sendView(p)
			return false
		}
		return number == m.lay.number()+1
	}
	switch b := msg.Body.(type) {
	case *pb.Message_Join:
		if m.lay.has(m.self.Id) && b.Join.Member.GetId() == p.member.Id {
			m.onJoin(p, b.Join.Member)
		}
	case *pb.Message_Leave:
		switch {
		case !same || b.Leave.Member != p.member.Id:
		case !m.lay.has(p.member.Id) && m.lay.has(m.self.Id):
			m.sendView(p)
		default:
			m.onLeave(p.member.Id)
		}
	case *pb.Message_Suspect:
		if same {
			p.suspects, p.suspectsAt = b.Suspect.Members, m.now()
			m.suspectedAt, m.stirred = p.suspectsAt, true
		}
	case *pb.Message_Prepare:
		if next(b.Prepare.Number) && b.Prepare.Ballot.GetProposer() == p.member.Id {
			m.rivalAt = m.now()
			m.send(p, &pb.Message{Body: &pb.Message_Promise{Promise: m.promise(b.Prepare)}})
		}
	case *pb.Message_Promise:
		if next(b.Promise.Number) {
			m.onPromise(p.member.Id, b.Promise)
		}
	case *pb.Message_Accept:
		v, hint := b.Accept.Value, b.Accept.Ballot == nil
		switch {
		case !validView(v):
		case m.lay == nil && hint, next(v.Number) && v.Chain == m.lay.view.Chain:
			m.prepared(v) // its ring is made now, so that it is there when the view is chosen
			if !hint {
				m.send(p, &pb.Message{Body: &pb.Message_Accepted{Accepted: m.accept(b.Accept)}})
			}
		}
	case *pb.Message_Accepted:
		if next(b.Accepted.Number) {
			m.onAccepted(p.member.Id, b.Accepted)
		}
	case *pb.Message_Decide:
		if v := b.Decide.GetView(); validView(v) {
			m.heed(b.Decide)
			m.learn(v)
		}
	case *pb.Message_ViewPlease:
		p.decidedAt = 0
		m.sendView(p)
	case *pb.Message_Alive:
		m.onAlive(p, b.Alive)
	case *pb.Message_Forget:
		if same {
			m.forget(b.Forget.Name)
		}
	default:
		return false
	}
	return true
}

func validView(v *pb.View) bool {
	if v == nil || v.Chain == 0 || v.Number == 0 || len(v.Members) == 0 {
		return false
	}
	last := ""
	for _, mem := range v.Members {
		if mem.GetName() <= last || mem.Id == 0 {
			return false
		}
		last = mem.Name
	}
	for _, s := range v.History {
		if len(s.Members) == 0 || s.Number >= v.Number {
			return false
		}
	}
	return true
}

// sendView tells a peer our view, at most every 50 ms.
func (m *Machine) sendView(p *peer) {
	if now := m.now(); m.lay != nil && (p.decidedAt == 0 || now-p.decidedAt > 50*ms) {
		p.decidedAt = now
		m.send(p, &pb.Message{Body: &pb.Message_Decide{Decide: m.decided(m.lay.view)}})
	}
}

// hint tells a peer that is behind, at most every 50 ms, that there is a later view: any message does, for each carries its view. The
// peer then asks for it, one of all that are ahead of it: a view has the size of the cluster.
func (m *Machine) hint(p *peer) {
	if now := m.now(); p.decidedAt == 0 || now-p.decidedAt > 50*ms {
		p.decidedAt = now
		m.send(p, &pb.Message{})
	}
}

// catchUp asks a peer that is ahead for its view: one at a time, the next after 50 ms.
func (m *Machine) catchUp(now int64) {
	if v := m.chosen; v != nil { // known: only its rings are not there yet
		if m.prepared(v) {
			m.learn(v)
		}
		return
	}
	if !m.ahead || now-m.pleaseAt < 50*ms {
		return
	}
	next, _ := slices.BinarySearch(m.order, m.pleased+1)
	for i := range m.order {
		id := m.order[(next+i)%len(m.order)]
		if p := m.peers[id]; len(p.stash) > 0 {
			m.pleaseAt, m.pleased = now, id
			m.send(p, &pb.Message{Body: &pb.Message_ViewPlease{ViewPlease: &pb.ViewPlease{}}})
			return
		}
	}
	m.ahead = false
}

// tickMembership looks whether the membership should change, and drives the change.
func (m *Machine) tickMembership(now int64) {
	if m.left {
		return
	}
	if m.lay == nil {
		m.tickOutside(now)
		return
	}
	m.watchMajority(now)
	if m.lay == nil {
		return
	}
	if !m.lay.has(m.self.Id) { // handing over, outside the view
		m.askLeaves(now)
		return
	}
	if m.betterChain(now) {
		m.exiled = true
		m.dissolve("another cluster is larger; joining it")
		return
	}
	m.report(now)
	if m.leaving {
		m.askLeaves(now)
	}
	want := m.desired(now)
	if want == nil && m.vote.accepted == nil {
		m.wantedAt, m.expelsAt = 0, 0
		if m.campaign != nil && now-m.campaign.since > ballotLife {
			m.campaign = nil
		}
		return
	}
	if m.wantedAt == 0 {
		m.wantedAt = now
	}
	if want == nil {
		want = m.next(m.lay.view.Members, m.lay.view.Leaving) // some value: the accepted one goes first
	}
	// The first member that is not silent coordinates; each further one only if that has not helped for a while, and while
	// no other tries: of several that outbid each other none gets its view chosen.
	wait, rank := batchDelay, int64(0)
	for i, id := range m.lay.ids {
		if id == m.self.Id {
			break
		}
		if !m.silent(id, now) {
			wait += ballotLife * int64(2+i)
			rank++
		}
	}
	since := m.wantedAt
	switch {
	case m.vote.accepted != nil: // that one goes first
	case m.keepsAll(want):
		m.expelsAt = 0
		since = min(max(since, m.gatheredAt), since+gatherMore)
	case m.expelsAt == 0: // the other reports are awaited, however long processes have asked to be let in
		m.expelsAt = now
		since = now
	default:
		since = m.expelsAt
	}
	if m.lay.view.History != nil && m.sameMembers(want) {
		wait -= batchDelay // settling need not gather
	}
	if rank == 0 && now-since >= wait-batchDelay/2 {
		m.prospect(want)
	}
	if now-since < wait || m.chosen != nil { // the next one has been chosen
		return
	}
	pause := ballotLife
	if rank > 0 {
		if patience := wait + 10*ballotLife; now-since < patience && now-m.rivalAt < ballotLife*(2+rank) {
			return
		}
		pause += ballotLife * int64(len(m.lay.ids)) // none of the others got through either: spread out
	}
	if m.campaign == nil || now-m.campaign.since > ballotLife+int64(m.env.Random()%uint64(pause)) {
		m.propose(want)
	}
}

// prospect tells the members of a view that is about to be proposed, some with each tick, so that their rings are made when it is chosen:
// until the last of them has its own, what changes hands waits. All at once they would keep a machine busy that several of them share.
func (m *Machine) prospect(v *pb.View) {
	if m.sameMembers(v) {
		return
	}
	if m.prospected == nil || !slices.Equal(namesOf(m.prospected.Members), namesOf(v.Members)) {
		m.prospected, m.prospects = v, 0
		m.prepared(v)
	}
	v = m.prospected
	for range 1 + len(v.Members)/prospectSteps {
		if m.prospects == len(v.Members) {
			return
		}
		if mem := v.Members[m.prospects]; mem.Id != m.self.Id {
			m.send(m.peers[mem.Id], &pb.Message{Body: &pb.Message_Accept{Accept: &pb.Accept{Value: v}}})
		}
		m.prospects++
	}
}

// keepsAll tells whether a view expels nobody: who joins or goes by itself can wait for others that do.
func (m *Machine) keepsAll(v *pb.View) bool {
	in := make(map[uint64]bool, len(v.Members)+len(v.Leaving))
	for _, mem := range slices.Concat(v.Members, v.Leaving) {
		in[mem.Id] = true
	}
	return !slices.ContainsFunc(m.lay.ids, func(id uint64) bool { return !in[id] })
}

func (m *Machine) sameMembers(v *pb.View) bool {
	return slices.EqualFunc(v.Members, m.lay.view.Members, func(a, b *pb.Member) bool { return a.Id == b.Id })
}

// desired returns the view that should follow, or nil if this one is right.
func (m *Machine) desired(now int64) *pb.View {
	v := m.lay.view
	if len(m.mySuspects)+len(m.joiners)+len(m.leavers)+len(v.History)+len(v.Leaving) == 0 && now-m.suspectedAt >= reportLife && !m.halfSpent() {
		return nil // settled, and nobody has anything to say: nearly always
	}
	remove := m.condemned(now)
	synced := m.inSyncNow()
	for _, id := range m.lay.ids {
		if id != m.self.Id && (m.peers[id] == nil || m.peers[id].inSync != v.Number) {
			synced = false
		}
	}
	stay := 0
	for _, id := range m.lay.ids {
		if _, leaves := m.leavers[id]; !leaves && !remove[id] {
			stay++
		}
	}
	var members, leaving []*pb.Member
	changed := false
	for _, mem := range v.Members {
		_, leaves := m.leavers[mem.Id]
		if leaves && !remove[mem.Id] && stay == 0 { // all leave: the first one goes last, for there is nobody to hand over to
			leaves, stay = false, 1
		}
		switch {
		case remove[mem.Id]:
			changed = true
		case leaves && synced:
			leaving = append(leaving, mem)
			changed = true
		default:
			members = append(members, mem)
		}
	}
	if len(members) == 0 {
		return nil
	}
	var handing []*pb.Member // of those that hand over, who is still within everybody's reach
	for _, mem := range v.Leaving {
		if m.suspected(mem.Id, now) {
			changed = true
		} else {
			handing = append(handing, mem)
		}
	}
	for _, id := range m.order {
		j := m.joiners[id]
		switch {
		case !synced: // one reshuffle at a time (rule 8)
		case j == nil || now-j.at > joinLife || m.peers[id].session == 0:
		case slices.ContainsFunc(members, func(mem *pb.Member) bool { return mem.Name == j.member.Name }):
			// The present holder of the name goes first: it is silent soon, or else the name is taken.
		default:
			members = append(members, j.member)
			changed = true
		}
	}
	if !m.carries(members, now) {
		return nil
	}
	if !changed {
		if synced && (len(v.History) > 0 || len(v.Leaving) > 0 || m.halfSpent()) {
			return &pb.View{Chain: v.Chain, Number: v.Number + 1, Members: v.Members}
		}
		return nil
	}
	if !synced {
		leaving = handing
	}
	w := m.next(members, leaving)
	if synced {
		w.History = []*pb.MemberSet{{Number: v.Number, Members: v.Members}}
	}
	return w
}

// next is the unsettled view that follows with these members.
func (m *Machine) next(members, leaving []*pb.Member) *pb.View {
	v := m.lay.view
	ms := slices.Clone(members)
	sortMembers(ms)
	return &pb.View{
		Chain: v.Chain, Number: v.Number + 1, Members: ms, Leaving: leaving,
		History: append(slices.Clone(v.History), &pb.MemberSet{Number: v.Number, Members: v.Members}),
	}
}
