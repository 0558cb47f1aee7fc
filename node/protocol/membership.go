package protocol

import (
	"fmt"
	"slices"

	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// joiner is a process that asks to be let in.
type joiner struct {
	member *pb.Member
	since  int64
	at     int64
}

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
			m.leavers[p.member.Id] = m.env.Now()
		}
	case *pb.Message_Suspect:
		if same {
			p.suspects, p.suspectsAt = b.Suspect.Members, m.env.Now()
		}
	case *pb.Message_Prepare:
		if next(b.Prepare.Number) && b.Prepare.Ballot.GetProposer() == p.member.Id {
			m.rivalAt = m.env.Now()
			m.send(p, &pb.Message{Body: &pb.Message_Promise{Promise: m.promise(b.Prepare)}})
		}
	case *pb.Message_Promise:
		if next(b.Promise.Number) {
			m.onPromise(p.member.Id, b.Promise)
		}
	case *pb.Message_Accept:
		if v := b.Accept.Value; validView(v) && next(v.Number) && v.Chain == m.lay.view.Chain {
			m.prepared(v) // its ring is made now, so that it is there when the view is chosen
			m.send(p, &pb.Message{Body: &pb.Message_Accepted{Accepted: m.accept(b.Accept)}})
		}
	case *pb.Message_Accepted:
		if next(b.Accepted.Number) {
			m.onAccepted(p.member.Id, b.Accepted)
		}
	case *pb.Message_Decide:
		if validView(b.Decide) {
			m.learn(b.Decide)
		}
	case *pb.Message_ViewPlease:
		p.decidedAt = 0
		m.sendView(p)
	case *pb.Message_Forget:
		if same {
			m.forgotten[b.Forget.Name] = true
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
	if now := m.env.Now(); m.lay != nil && (p.decidedAt == 0 || now-p.decidedAt > 50*ms) {
		p.decidedAt = now
		m.send(p, &pb.Message{Body: &pb.Message_Decide{Decide: m.lay.view}})
	}
}

// onJoin notes a process that asks to be let in; the coordinator acts on it.
func (m *Machine) onJoin(p *peer, member *pb.Member) {
	if m.lay.has(member.Id) {
		m.sendView(p)
		return
	}
	now := m.env.Now()
	j := m.joiners[member.Id]
	if j == nil {
		j = &joiner{member: member, since: now}
		m.joiners[member.Id] = j
	}
	j.at = now
}

// provenDead tells whether a member is known to have ended: another incarnation of its name is about.
func (m *Machine) provenDead(member *pb.Member) bool {
	for _, id := range m.order {
		p := m.peers[id]
		if p.member.Name == member.Name && id != member.Id && p.session != 0 {
			return true
		}
	}
	return false
}

// silent tells whether we take a member for dead or cut off.
func (m *Machine) silent(id uint64, now int64) bool {
	p := m.peers[id]
	if p == nil {
		return false
	}
	if p.session == 0 && p.refused != 0 && now-p.refused > refusedGrace {
		return true
	}
	if p.session == 0 && m.lay.has(id) && m.provenDead(p.member) {
		return true
	}
	since := p.heard
	if m.lay != nil {
		since = max(since, m.lay.adoptedAt)
	}
	return now-since > m.cfg.ExpelAfter
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
	if m.betterChain() {
		m.startOver("another cluster is larger; joining it")
		return
	}
	m.report(now)
	if m.leaving {
		m.askLeaves(now)
	}
	want := m.desired(now)
	if want == nil && m.vote.accepted == nil {
		m.wantedAt = 0
		if m.campaign != nil && now-m.campaign.since > ballotLife {
			m.campaign = nil
		}
		return
	}
	if m.wantedAt == 0 {
		m.wantedAt = now
	}
	if want != nil {
		m.prepared(want)
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
	if m.lay.view.History != nil && m.sameMembers(want) {
		wait -= batchDelay // settling need not gather
	}
	if now-m.wantedAt < wait {
		return
	}
	pause := ballotLife
	if rank > 0 {
		if patience := wait + 10*ballotLife; now-m.wantedAt < patience && now-m.rivalAt < ballotLife*(2+rank) {
			return
		}
		pause += ballotLife * int64(len(m.lay.ids)) // none of the others got through either: spread out
	}
	if m.campaign == nil || now-m.campaign.since > ballotLife+int64(m.env.Random()%uint64(pause)) {
		m.propose(want)
	}
}

func (m *Machine) sameMembers(v *pb.View) bool {
	return slices.EqualFunc(v.Members, m.lay.view.Members, func(a, b *pb.Member) bool { return a.Id == b.Id })
}

// report tells the members whom we do not hear.
func (m *Machine) report(now int64) {
	if now-m.reportedAt < reportEvery {
		return
	}
	m.reportedAt = now
	var ids []uint64
	for _, id := range m.lay.ids {
		if id != m.self.Id && (m.silent(id, now) || m.stuck(id, now)) {
			ids = append(ids, id)
		}
	}
	for _, mem := range m.lay.view.Leaving {
		if mem.Id != m.self.Id && (m.silent(mem.Id, now) || m.stuck(mem.Id, now)) {
			ids = append(ids, mem.Id)
		}
	}
	had := m.mySuspects
	m.mySuspects = ids
	if len(ids) == 0 && len(had) == 0 {
		return
	}
	for _, id := range m.lay.ids {
		if id != m.self.Id {
			m.send(m.peers[id], &pb.Message{Body: &pb.Message_Suspect{Suspect: &pb.Suspect{Members: ids}}})
		}
	}
}

// desired returns the view that should follow, or nil if this one is right.
func (m *Machine) desired(now int64) *pb.View {
	v := m.lay.view
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
		if j == nil || now-j.at > joinLife || m.lay.has(id) || m.peers[id].session == 0 {
			continue
		}
		if !synced {
			continue // one reshuffle at a time (rule 8)
		}
		i := slices.IndexFunc(members, func(mem *pb.Member) bool { return mem.Name == j.member.Name })
		if i >= 0 {
			continue // the present holder of the name goes first: it is silent soon, or else the name is taken
		}
		members = append(members, j.member)
		changed = true
	}
	if !m.carries(members, now) {
		return nil
	}
	if !changed {
		if synced && (len(v.History) > 0 || len(v.Leaving) > 0) {
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

// suspected tells whether this node or another member has reported that it does not hear id.
func (m *Machine) suspected(id uint64, now int64) bool {
	if slices.Contains(m.mySuspects, id) {
		return true
	}
	for _, from := range m.lay.ids {
		if p := m.peers[from]; p != nil && now-p.suspectsAt < reportLife && slices.Contains(p.suspects, id) {
			return true
		}
	}
	return false
}

// answers tells whether a member has answered what it was asked within the last d. This node answers itself.
func (m *Machine) answers(id uint64, now, d int64) bool {
	p := m.peers[id]
	return id == m.self.Id || p != nil && now-p.answers <= d
}

// carries tells whether a majority of members would be there to choose the view after theirs: they answer, or are new and have a
// session with us. A view that could not be followed by another is not proposed.
func (m *Machine) carries(members []*pb.Member, now int64) bool {
	there := 0
	for _, mem := range members {
		p := m.peers[mem.Id]
		if m.answers(mem.Id, now, m.cfg.ExpelAfter) || !m.lay.has(mem.Id) && p != nil && p.session != 0 {
			there++
		}
	}
	return there >= quorum(len(members))
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

// condemned picks the members to expel: a small set that explains who does not hear whom. A dead member is in every
// report; of two that do not hear each other one goes (the later in the order, rather than the one that reports most).
func (m *Machine) condemned(now int64) map[uint64]bool {
	type edge struct{ a, b uint64 }
	edges := map[edge]bool{}
	add := func(from uint64, ids []uint64) {
		for _, id := range ids {
			if m.lay.has(id) && m.lay.has(from) && id != from {
				edges[edge{min(id, from), max(id, from)}] = true
			}
		}
	}
	add(m.self.Id, m.mySuspects)
	for _, id := range m.lay.ids {
		if p := m.peers[id]; p != nil && now-p.suspectsAt < reportLife {
			add(id, p.suspects)
		}
	}
	out := map[uint64]bool{}
	// No more than leave a quorum behind, which alone decides (see staying). The worst go first, the others from the next view.
	size := len(m.lay.ids)
	for len(edges) > 0 && (size <= 2 || size-len(out) > quorum(size)) {
		degree := map[uint64]int{}
		for e := range edges {
			degree[e.a]++
			degree[e.b]++
		}
		var worst uint64
		score := -1
		for i, id := range m.lay.ids {
			if degree[id] == 0 {
				continue
			}
			s := degree[id]*4096 + i
			// Who is deaf does not hear the others and says so; that it does not answer tells who of the two it is.
			if slices.Contains(m.mySuspects, id) || !m.answers(id, now, m.cfg.Lease) {
				s += 2048
			}
			if id == m.self.Id {
				s -= 2047
			}
			if s > score {
				score, worst = s, id
			}
		}
		out[worst] = true
		for e := range edges {
			if e.a == worst || e.b == worst {
				delete(edges, e)
			}
		}
	}
	return out
}

// watchMajority notes when the majority was lost, and starts over when it has been for long enough (P4).
func (m *Machine) watchMajority(now int64) {
	if m.lay.has(m.self.Id) && now < m.lease.until.Load() {
		m.lostAt = 0
		if m.lost {
			m.lost = false
			m.env.Event("regained", "", "the majority is within reach again")
		}
		return
	}
	if m.lostAt == 0 {
		m.lostAt = now
	}
	for_ := now - m.lostAt
	if !m.lost && for_ > m.cfg.ExpelAfter+m.cfg.Lease {
		m.lost = true
		m.env.Event("lost-majority", "", "no majority of the last view within reach: reads are unsure, writes refused")
	}
	dead := 0
	for i, id := range m.lay.ids {
		if id != m.self.Id && m.provenDead(m.lay.view.Members[i]) {
			dead++
		}
	}
	if for_ > m.cfg.ExpelAfter && !m.enough(len(m.lay.ids)-dead) {
		m.startOver("a majority of the view has died")
		return
	}
	if m.cfg.ForgetAfter > 0 && for_ > m.cfg.ForgetAfter {
		m.startOver("no majority for ForgetAfter")
		return
	}
	if len(m.forgotten) > 0 && for_ > m.cfg.ExpelAfter {
		counted, alive := 0, 0
		for i, id := range m.lay.ids {
			name := m.lay.view.Members[i].Name
			if m.forgotten[name] && id != m.self.Id {
				continue
			}
			counted++
			if id == m.self.Id || !m.silent(id, now) {
				alive++
			}
		}
		if alive >= quorum(counted) && m.lay.has(m.self.Id) {
			m.startOver("lost members forgotten on request")
		}
	}
}

// Forget takes a lost member out of the count of the majority, here and at every node within reach.
func (m *Machine) Forget(name string) {
	m.forgotten[name] = true
	for _, id := range m.order {
		m.send(m.peers[id], &pb.Message{Body: &pb.Message_Forget{Forget: &pb.Forget{Name: name}}})
	}
}

// betterChain tells whether a peer belongs to another cluster that ours must dissolve into: the smaller one does, then
// the younger.
func (m *Machine) betterChain() bool {
	v := m.lay.view
	for _, id := range m.order {
		p := m.peers[id]
		if p.session == 0 || !p.gossiped || p.chain == 0 || p.chain == v.Chain || m.lay.has(id) {
			continue
		}
		switch {
		case p.size != len(v.Members):
			if p.size > len(v.Members) {
				return true
			}
		case p.chain < v.Chain:
			return true
		}
	}
	return false
}

// tickOutside: in no cluster. Ask to be let in, or found one (rule 2).
func (m *Machine) tickOutside(now int64) {
	if m.leaving { // nothing is held here any more
		m.finishLeave()
		return
	}
	chains, alone, smallest, met := false, true, true, 1
	for _, id := range m.order {
		p := m.peers[id]
		if p.session == 0 && (!p.gossiped || m.provenDead(p.member)) {
			continue
		}
		alone = false
		met++
		if p.chain != 0 {
			chains = true
		} else if id < m.self.Id {
			smallest = false
		}
	}
	if now-m.joinedAt >= joinEvery {
		m.joinedAt = now
		for _, id := range m.order {
			if p := m.peers[id]; p.session != 0 && p.chain != 0 {
				m.send(p, &pb.Message{Body: &pb.Message_Join{Join: &pb.Join{Member: m.self}}})
			}
		}
	}
	if chains || now < m.foundAfter || m.chosen != nil {
		return
	}
	switch {
	case m.cfg.Solo && alone:
	case !m.reached && alone, !smallest, now-m.metAt < m.cfg.Settle, met < m.cfg.Expect:
		return
	}
	m.learn(&pb.View{Chain: m.env.Random() | 1, Number: 1, Members: []*pb.Member{m.self}})
}

// startOver gives up the chain: everything held here is dropped, and the process goes on as a new member.
func (m *Machine) startOver(why string) {
	m.env.Event("started-over", "", why)
	m.lease.until.Store(0)
	m.route.Store(nil)
	m.store.Reset()
	for p := range m.parts {
		m.parts[p].reset()
	}
	m.lay, m.hist, m.chosen = nil, nil, nil
	m.vote, m.campaign, m.wantedAt, m.mySuspects = vote{}, nil, 0, nil
	m.joiners, m.leavers = map[uint64]*joiner{}, map[uint64]int64{}
	m.waiting, m.missing, m.barrierOff = nil, 0, false
	m.pulls, m.keyPulls = map[uint64]*pull{}, map[string]*keyPull{}
	m.abandonWrites()
	m.restartCuts()
	m.holders = 0
	m.lostAt, m.lost, m.forgotten = 0, false, map[string]bool{}
	old := m.order
	m.self = &pb.Member{Name: m.self.Name, Id: m.env.Random() | 1, Addr: m.self.Addr}
	for _, id := range slices.Clone(old) {
		p := m.peers[id]
		p.session, p.proven, p.stash, p.adopted, p.inSync, p.confirm, p.suspects = 0, false, nil, 0, 0, 0, nil
		p.lease.until.Store(0)
		p.near.until.Store(0)
		p.lease, p.near, p.grantEnd = &Lease{}, &Lease{}, 0
		p.downAt = m.env.Now()
	}
	m.failAllOps()
	m.foundAfter = m.env.Now() + m.cfg.Settle + m.cfg.ExpelAfter
	m.env.Reincarnate(m.self)
	m.env.Announce(0, 0, 0)
}

// learn adopts a chosen view.
func (m *Machine) learn(v *pb.View) {
	if m.lay != nil {
		if v.Chain != m.lay.view.Chain || v.Number <= m.lay.number() {
			return
		}
	}
	member := slices.ContainsFunc(v.Members, func(x *pb.Member) bool { return x.Id == m.self.Id })
	leaver := slices.ContainsFunc(v.Leaving, func(x *pb.Member) bool { return x.Id == m.self.Id })
	if m.lay == nil && !member {
		return
	}
	if m.lay != nil && !member && !leaver {
		if m.leaving {
			m.finishLeave()
			return
		}
		m.startOver("expelled from the cluster; joining again")
		return
	}
	if m.lay != nil { // a member all along? A set in between without us would mean that we missed writes.
		for _, s := range v.History {
			if s.Number > m.lay.number() && !slices.ContainsFunc(s.Members, func(x *pb.Member) bool { return x.Id == m.self.Id }) && !leaver {
				m.startOver("left out of a view in between; joining again")
				return
			}
		}
	}
	if !m.prepared(v) {
		if m.chosen == nil || m.chosen.Number < v.Number {
			m.chosen = v
		}
		return
	}
	m.chosen = nil
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
		key, now := cacheKey(names), m.env.Now()
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

func (m *Machine) finishLeave() {
	m.left = true
	m.lease.until.Store(0)
	m.route.Store(nil)
	m.env.Event("left", m.self.Name, "handed over and left the cluster")
}

// Leave begins a graceful departure; Left tells when everything has been handed over.
func (m *Machine) Leave() {
	m.leaving = true
	if m.lay == nil || len(m.lay.ids) == 1 && m.lay.has(m.self.Id) {
		m.finishLeave()
	}
}

// Left tells whether the departure is complete.
func (m *Machine) Left() bool { return m.left }

func (m *Machine) askLeaves(now int64) {
	if len(m.lay.ids) == 1 && m.lay.has(m.self.Id) {
		m.finishLeave()
		return
	}
	m.leavers[m.self.Id] = now
	if now-m.joinedAt < joinEvery {
		return
	}
	m.joinedAt = now
	for _, id := range m.lay.ids {
		if id != m.self.Id {
			m.send(m.peers[id], &pb.Message{Body: &pb.Message_Leave{Leave: &pb.Leave{Member: m.self.Id}}})
		}
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
	text := fmt.Sprintf("view %d of %d members", v.Number, len(v.Members))
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
