package protocol

import (
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Receive takes messages that came on a session.
func (m *Machine) Receive(id, session uint64, msgs ...*pb.Message) {
	if m.beginStep() {
		defer m.endStep()
	}
	for _, msg := range msgs {
		m.receive(id, session, msg)
	}
}

func (m *Machine) receive(id, session uint64, msg *pb.Message) {
	p := m.peers[id]
	if p == nil || p.session != session {
		return
	}
	p.heard, p.calls = m.now(), 0
	if m.lay == nil && p.chain == 0 { // sooner than gossip does
		p.chain = msg.Chain
	}
	if !p.proven {
		p.proven = true
		m.proved(p)
	}
	m.handle(p, msg)
}

// handle sorts a message by the view it was sent in (rule 3).
func (m *Machine) handle(p *peer, msg *pb.Message) {
	// A clock of a later view is taken with the messages of that view, once this node is in it too: until then its versions and tickets
	// are of the present one, below all that a new owner gives (rules 9 and 13).
	if msg.Clock > m.clock && msg.Clock>>viewShift <= m.lay.number() {
		m.clock = msg.Clock
	}
	if m.handleMembership(p, msg) {
		return
	}
	if m.lay != nil && msg.Chain != m.lay.view.Chain || m.lay == nil && !isRequest(msg) {
		return // from another cluster, or answers what we asked in one
	}
	if m.lay != nil && msg.View != m.lay.number() && m.answerAcross(p, msg) {
		return
	}
	switch {
	case msg.View > m.lay.number() && !m.is("drop-early"): // we are behind, or not in yet: catch up first, then take it
		if len(p.stash) >= stashLimit || p.stashed >= stashBytes {
			m.giveUp(p) // to leave one out would lose it: on a session that stands nothing is sent again
			return
		}
		p.stash = append(p.stash, msg)
		p.stashed += msg.SizeVT()
		m.ahead = true
		m.catchUp(m.now())
		return
	case m.lay == nil, len(p.stash) > 0 && isRequest(msg):
		return // cannot be: a sender's views only grow
	}
	if p.adopted < msg.View {
		p.adopted = msg.View
		if m.adopted(p.member.Id) {
			delete(m.behind, p.member.Id)
			if !m.lay.has(p.member.Id) { // it has left, and serves nothing any more, near copies either
				p.grantEnd = 0
				m.finishWrites()
			}
		}
		m.checkBarrier()
	}
	if m.handleReply(p, msg) {
		return
	}
	if msg.View < m.lay.number() {
		m.hint(p)
		m.refuse(p, msg)
		return
	}
	m.handleRequest(p, msg)
}

// answerAcross takes the requests of an operation from a node that is in another view, where this node acts as the owner in its
// own: its answer is right whoever asks, so nobody waits for a change that does not concern the key. Nothing is kept of such an
// answer, for who keeps a near copy is to be in the view of the answer (rule 12). A write that was sent before this node took over is refused: another
// may have owned the key since, and confirmed what its asker sent again.
func (m *Machine) answerAcross(p *peer, msg *pb.Message) bool {
	acting := func(key string) bool {
		return m.parts[ring.PartitionOf(key, len(m.parts))].acting && m.leased()
	}
	switch b := msg.Body.(type) {
	case *pb.Message_Get:
		if !acting(b.Get.Key) {
			return false
		}
		m.onGet(p, msg, &pb.Get{Key: b.Get.Key, Fill: b.Get.Fill})
	case *pb.Message_Write:
		if !acting(b.Write.Key) || msg.View < m.parts[ring.PartitionOf(b.Write.Key, len(m.parts))].since && !m.is("late-writes") {
			return false
		}
		m.onWrite(p, msg, b.Write)
	default:
		return false
	}
	if msg.View < m.lay.number() {
		m.hint(p)
	}
	return true
}

func isRequest(msg *pb.Message) bool {
	switch msg.Body.(type) {
	case *pb.Message_LeaseAsk, *pb.Message_Get, *pb.Message_Write, *pb.Message_Copy, *pb.Message_Invalidate,
		*pb.Message_Pull, *pb.Message_PullKey, *pb.Message_CutClock, *pb.Message_Cut, *pb.Message_Scan:
		return true
	}
	return false
}

// handleReply takes answers. They may come from an earlier view: what each is still worth, its handler knows.
func (m *Machine) handleReply(p *peer, msg *pb.Message) bool {
	switch b := msg.Body.(type) {
	case *pb.Message_LeaseGrant:
		m.onLeaseGrant(p, msg, b.LeaseGrant)
	case *pb.Message_GetReply:
		m.onGetReply(p, msg, b.GetReply)
	case *pb.Message_WriteReply:
		m.onWriteReply(p, msg, b.WriteReply)
	case *pb.Message_ScanReply:
		m.onScanReply(p, msg, b.ScanReply)
	case *pb.Message_CopyReply:
		m.onCopyReply(p, msg)
	case *pb.Message_InvalidateReply:
		m.onInvalidateReply(p, msg)
	case *pb.Message_PullReply:
		m.onPullReply(p, msg, b.PullReply)
	case *pb.Message_PullKeyReply:
		m.onPullKeyReply(msg, b.PullKeyReply)
	case *pb.Message_CutClockReply:
		m.onCutClockReply(p, msg)
	case *pb.Message_CutReply:
		m.onCutReply(p, msg)
	default:
		return false
	}
	return true
}

// handleRequest takes requests of the present view.
func (m *Machine) handleRequest(p *peer, msg *pb.Message) {
	if !m.lay.has(p.member.Id) && !m.lay.isLeaving(p.member.Id) && !ofOperation(msg) {
		return
	}
	switch b := msg.Body.(type) {
	case *pb.Message_LeaseAsk:
		m.onLeaseAsk(p, msg, b.LeaseAsk)
	case *pb.Message_Get:
		m.onGet(p, msg, b.Get)
	case *pb.Message_Write:
		m.onWrite(p, msg, b.Write)
	case *pb.Message_Scan:
		m.onScan(p, msg, b.Scan)
	case *pb.Message_Copy:
		m.onCopy(p, msg, b.Copy)
	case *pb.Message_Invalidate:
		m.onInvalidate(p, msg, b.Invalidate)
	case *pb.Message_Pull:
		m.onPull(p, msg, b.Pull)
	case *pb.Message_PullKey:
		m.onPullKey(p, msg, b.PullKey)
	case *pb.Message_CutClock:
		m.onCutClock(p, msg)
	case *pb.Message_Cut:
		m.onCut(p, msg, b.Cut)
	}
}

// ofOperation tells whether a request is one of those by which operations are done. They are taken from everybody that goes by the present view:
// who is not in it has left it, and passes on what it has been asked for (leave.go).
func ofOperation(msg *pb.Message) bool {
	switch msg.Body.(type) {
	case *pb.Message_Get, *pb.Message_Write, *pb.Message_Scan, *pb.Message_CutClock, *pb.Message_Cut:
		return true
	}
	return false
}

// reply answers msg.
func (m *Machine) reply(p *peer, msg, answer *pb.Message) {
	answer.Id = msg.Id
	m.send(p, answer)
}

// refuse answers a request of an earlier view, where somebody waits for an answer.
func (m *Machine) refuse(p *peer, msg *pb.Message) {
	switch msg.Body.(type) {
	case *pb.Message_Get:
		m.reply(p, msg, pb.NewGetReply(&pb.GetReply{Status: pb.Status_NOT_OWNER}))
	case *pb.Message_Write:
		m.reply(p, msg, pb.NewWriteReply(&pb.WriteReply{Status: pb.Status_NOT_OWNER}))
	case *pb.Message_Scan:
		m.reply(p, msg, &pb.Message{Body: &pb.Message_ScanReply{ScanReply: &pb.ScanReply{Status: pb.Status_NOT_OWNER}}})
	}
}
