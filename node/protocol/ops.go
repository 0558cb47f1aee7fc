package protocol

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Result is the end of an operation.
type Result struct {
	Status  pb.Status
	Entry   *store.Entry // a Get that found
	Version uint64       // a write: the version it gave
	Existed bool         // a write: whether the key was there before
	Ticket  uint64       // a Get, if asked for; 0: a copy has answered
	Chain   uint64       // what Ticket is of: see pb.Write.TicketChain
	Keys    []string     // a Scan
	Counts  []uint32     // a Scan: how many of the keys are of each partition that was looked at, of those asked for the first ones
	// Tried tells that a write may have reached its owner: without an answer it may still take effect.
	Tried bool
	// NoMajority tells, of what was not answered, that this node has lost touch with the majority, or is in no cluster.
	NoMajority bool
	// Closed tells, of what was not answered, that this node has left or is closed, and carries on nothing.
	Closed bool
}

// op is an operation that a caller of this node waits for.
type op struct {
	id       uint64 // of the present attempt
	first    uint64 // of the first one: the order in which they were submitted
	part     int
	get      *pb.Get
	write    *pb.Write
	scan     *pb.Scan
	deadline int64 // the caller's
	giveUp   int64 // when the work itself ends: later than the deadline for deletions
	begun    int64
	asked    int64 // when it was last sent
	to       uint64
	session  uint64
	parked   bool
	tried    bool
	open     bool // an attempt was given up that had not been answered
	copies   int  // reads: how many copies have been asked because the owner was out of reach
	counted  bool // a read: by Read already
	done     func(Result)
}

func (m *Machine) finish(o *op, r Result) {
	if o.done != nil {
		if o.get != nil && !o.counted {
			m.countRead(o, r.Status)
		}
		r.Tried, r.NoMajority = o.tried, m.NoMajority()
		o.done(r)
		o.done = nil
	}
}

// countRead counts each read that was submitted once, by what came of it.
func (m *Machine) countRead(o *op, s pb.Status) {
	switch {
	case s == pb.Status_OK && o.to == m.self.Id:
		m.Counters.Hits.add()
	case s == pb.Status_OK:
		m.Counters.Remote.Add(1)
	case s == pb.Status_ABSENT:
		m.Counters.Misses.Add(1)
	default:
		m.Counters.Unsure.Add(1)
	}
}

// late notes how a deletion or a cut has ended whose caller had given up (P3).
func (m *Machine) late(what string, s pb.Status, begun int64) {
	switch s {
	case pb.Status_OK:
		m.Counters.Late.Add(1)
		m.log.Info("a "+what+" was confirmed after its caller had given up", "took_ms", (m.now()-begun)/ms)
	case pb.Status_UNSURE:
		m.Counters.GivenUp.Add(1)
		m.givenUp++
	}
}

// tellGivenUp tells of those that were given up in this step, together: they may be many.
func (m *Machine) tellGivenUp(why string) {
	if n := m.givenUp; n > 0 {
		m.givenUp = 0
		m.env.Event("given-up", "", fmt.Sprintf("deletions whose callers had been told that they go on are given up, %s: %d; what they were to end may be served", why, n))
	}
}

// Get asks for the entry of a key that Read could not tell. done is called once, at the latest at the deadline, by the
// driver's goroutine.
func (m *Machine) Get(get *pb.Get, deadline int64, done func(Result)) {
	m.submit(&op{get: get, part: ring.PartitionOf(get.Key, len(m.parts)), deadline: deadline, done: done})
}

// GetAgain is Get of a key that Read has just called absent, and counted: its owner is asked for a ticket.
func (m *Machine) GetAgain(get *pb.Get, deadline int64, done func(Result)) {
	m.submit(&op{get: get, part: ring.PartitionOf(get.Key, len(m.parts)), deadline: deadline, done: done, counted: true})
}

// Write submits a Set, Touch or Delete. A revocation goes on until giveUp, also after the caller's deadline.
func (m *Machine) Write(w *pb.Write, deadline, giveUp int64, done func(Result)) {
	if w.Kind == pb.Kind_LIVE {
		m.Counters.Sets.Add(1)
	} else {
		m.Counters.Deletes.Add(1)
	}
	m.submit(&op{write: w, part: ring.PartitionOf(w.Key, len(m.parts)), deadline: deadline, giveUp: giveUp, done: done})
}

func (m *Machine) submit(o *op) {
	if m.beginStep() {
		defer m.endStep()
	}
	o.id, o.begun = m.nextID(), m.now()
	o.first, o.giveUp = o.id, max(o.giveUp, o.deadline)
	if o.write != nil && m.operations() >= mostOps { // of deletions whose callers have given up
		m.finish(o, Result{Status: pb.Status_FULL})
		return
	}
	if m.left || m.parting {
		m.finish(o, Result{Status: pb.Status_UNSURE, Closed: true})
		return
	}
	m.list(o)
	m.dispatch(o)
}

// list puts an operation where it is found by the id of its present attempt: those that nobody waits for any more may be many, and are looked at
// seldom.
func (m *Machine) list(o *op) {
	if o.done != nil {
		m.ops[o.id] = o
	} else {
		m.orphans[o.id] = o
	}
}

func (m *Machine) unlist(o *op) {
	delete(m.ops, o.id)
	delete(m.orphans, o.id)
}

// listed returns the operation whose present attempt has the id, if there is one.
func (m *Machine) listed(id uint64) *op {
	if o := m.ops[id]; o != nil {
		return o
	}
	return m.orphans[id]
}

// operations is how many are under way.
func (m *Machine) operations() int { return len(m.ops) + len(m.orphans) }

func (m *Machine) end(o *op, r Result) {
	m.unlist(o)
	if o.done == nil && o.write != nil && o.giveUp > o.deadline {
		m.late("deletion", r.Status, o.begun)
	}
	m.finish(o, r)
}

func (m *Machine) park(o *op) {
	o.to, o.session = 0, 0
	if !o.parked {
		o.parked = true
		if o.done != nil {
			m.parked = append(m.parked, o)
		} else {
			m.parkedOrphans = append(m.parkedOrphans, o)
		}
	}
}

// unpark tries everything again that waits for a view, a session or a take-over.
func (m *Machine) unpark() { m.retry(len(m.parkedOrphans)) }

// retry is unpark, of so many orphans: those that were tried last are tried last again.
func (m *Machine) retry(orphans int) {
	if m.unparking {
		return
	}
	m.unparking = true
	m.release()
	list := slices.Concat(m.parkedOrphans[:orphans], m.parked) // in the order in which they were submitted, mostly
	m.parkedOrphans, m.parked = slices.Delete(m.parkedOrphans, 0, orphans), nil
	for _, o := range list {
		if m.listed(o.id) != o {
			continue
		}
		o.parked = false
		if o.done == nil && orphans == 0 { // it has become one
			m.park(o)
			continue
		}
		m.dispatch(o)
	}
	m.unparking = false
}

// dispatch brings an operation to the owner of its partition.
func (m *Machine) dispatch(o *op) {
	if m.lay == nil {
		m.park(o)
		return
	}
	if m.lost && o.write != nil && o.write.Kind == pb.Kind_LIVE && !o.tried && !m.inTouch() {
		m.end(o, Result{Status: pb.Status_UNSURE}) // refused, and at once: so long without a majority is no moment that passes (P4)
		return
	}
	owner := m.lay.owner(o.part)
	if owner == m.self.Id {
		m.serveLocal(o)
		return
	}
	if o.write != nil && o.write.Kind == pb.Kind_LIVE && !m.inTouch() {
		m.park(o) // without a majority a write is refused: what is sent may take effect
		return
	}
	p := m.peers[owner]
	if p != nil && p.session != 0 {
		if o.write != nil && len(o.write.Value) > 0 && m.crowded(p) {
			m.park(o)
			return
		}
		m.sendOp(o, p)
		return
	}
	if o.get != nil { // the owner is out of reach: a copy may still answer under the owner's lease
		owners := m.lay.table.Owners(o.part)
		for o.copies++; o.copies < len(owners); o.copies++ {
			id := m.lay.ids[owners[o.copies]]
			if c := m.peers[id]; id != m.self.Id && c != nil && c.session != 0 {
				m.sendOp(o, c)
				return
			}
		}
	}
	m.park(o)
}

// attempt begins another attempt. It has an id of its own: what comes late of one that was given up must not end the operation, for the
// present one would take effect after that.
func (m *Machine) attempt(o *op) {
	if o.open && !m.is("one-id") {
		m.unlist(o)
		o.id = m.nextID()
		m.list(o)
	}
}

func (m *Machine) sendOp(o *op, p *peer) {
	m.attempt(o)
	o.to, o.session, o.asked = p.member.Id, p.session, m.now()
	switch {
	case o.get != nil:
		m.send(p, pb.NewGet(o.id, o.get))
	case o.write != nil:
		o.tried = true
		m.send(p, pb.NewWrite(o.id, m.remaining(o)))
	default:
		m.send(p, &pb.Message{Id: o.id, Body: &pb.Message_Scan{Scan: o.scan}})
	}
}

// remaining is the write of an operation with what is left of its TTL: an entry ends when its caller meant it to, also if its owner could
// not be asked at once.
func (m *Machine) remaining(o *op) *pb.Write {
	waited := m.now() - o.begun
	if o.write.Ttl <= 0 || waited <= 0 {
		return o.write
	}
	w := proto.CloneOf(o.write)
	w.Ttl = max(1, w.Ttl-waited)
	return w
}

// answered finds the operation that an answer belongs to. Answers to an attempt that was given up are dropped.
func (m *Machine) answered(p *peer, msg *pb.Message) *op {
	o := m.listed(msg.Id)
	if o == nil || o.to != p.member.Id || o.session != p.session {
		return nil
	}
	return o
}

func (m *Machine) onGetReply(p *peer, msg *pb.Message, b *pb.GetReply) {
	o := m.answered(p, msg)
	if o == nil || o.get == nil {
		return
	}
	switch b.Status {
	case pb.Status_OK:
		if b.Entry == nil {
			return
		}
		e := entryFrom(b.Entry, o.asked)
		m.keep(o, p, msg, b, e)
		m.end(o, Result{Status: pb.Status_OK, Entry: e, Ticket: b.Ticket, Chain: m.lay.view.Chain})
	case pb.Status_ABSENT:
		m.end(o, Result{Status: pb.Status_ABSENT, Ticket: b.Ticket, Chain: m.lay.view.Chain})
	default:
		m.park(o)
	}
}

// keep stores what a read brought, under the owner's lease, if it still may (rule 12): the view is the one it was read
// in, and the session is the one it came on, so that an invalidation sent after it comes after it.
func (m *Machine) keep(o *op, p *peer, msg *pb.Message, b *pb.GetReply, e *store.Entry) {
	if !b.Keep || e.Kind != store.Live || msg.View != m.lay.number() || m.lay.owner(o.part) != p.member.Id {
		return
	}
	if !m.parts[o.part].holder {
		e.Near = true
	}
	m.store.Put(o.part, e)
}

func (m *Machine) onWriteReply(p *peer, msg *pb.Message, b *pb.WriteReply) {
	o := m.answered(p, msg)
	if o == nil || o.write == nil {
		return
	}
	m.endWrite(o, b)
}

// endWrite ends a write that its owner has answered, or has it tried again.
func (m *Machine) endWrite(o *op, b *pb.WriteReply) {
	refused := b.Status == pb.Status_NOT_OWNER || b.Status == pb.Status_UNSURE
	switch {
	case refused && b.Applied:
		m.takeBack(o)
	case refused:
		m.park(o)
	case b.Status == pb.Status_CONDITION && o.open && o.done != nil && !m.is("condition-again"):
		// It says nothing: the value of an earlier attempt may be what is in the way.
		m.Counters.Unconfirmed.Add(1)
		m.end(o, Result{Status: pb.Status_UNSURE})
	case b.Status == pb.Status_FULL && (o.open || o.write.Kind != pb.Kind_LIVE && o.done == nil):
		m.park(o) // an earlier attempt may take effect; or its caller has been told that it goes on
	default:
		m.end(o, Result{Status: b.Status, Version: b.Version, Existed: b.Existed})
	}
}

// serveLocal: this node is the owner.
func (m *Machine) serveLocal(o *op) {
	m.attempt(o)
	o.to = m.self.Id
	id := o.id
	switch {
	case o.get != nil:
		m.serveGet(nil, o.get, func(r *pb.GetReply, e *store.Entry) {
			switch {
			case m.listed(id) != o:
			case r.Status == pb.Status_OK:
				m.end(o, Result{Status: pb.Status_OK, Entry: e, Ticket: r.Ticket, Chain: m.lay.view.Chain})
			case r.Status == pb.Status_ABSENT:
				m.end(o, Result{Status: pb.Status_ABSENT, Ticket: r.Ticket, Chain: m.lay.view.Chain})
			default:
				m.park(o)
			}
		})
	case o.write != nil:
		before := o.tried
		o.tried = true // unless it is refused it takes effect, or may
		m.serveWrite(m.remaining(o), func(r *pb.WriteReply) {
			if m.listed(id) == o {
				o.tried = before || r.Applied
				m.endWrite(o, r)
			}
		})
	default:
		if r := m.serveScan(o.scan); r.Status == pb.Status_OK {
			m.end(o, scanned(o.scan, r))
		} else {
			m.park(o)
		}
	}
}

// failOps takes back what was sent to a peer whose session has ended.
func (m *Machine) failOps(id uint64) {
	for _, o := range m.sortedOps() {
		if o.to == id {
			m.takeBack(o)
		}
	}
	m.unpark()
}

// failAllOps takes back everything.
func (m *Machine) failAllOps() {
	for _, o := range m.sortedOps() {
		m.takeBack(o)
	}
}

// takeBack parks an operation that may have been sent and was not answered.
func (m *Machine) takeBack(o *op) {
	o.open = o.open || o.to != 0
	m.park(o)
}

// moveOps takes back what was sent to nodes that no longer own it. Writes in flight to the same owner stay: the answer
// of an earlier view is as good.
func (m *Machine) moveOps() {
	for _, o := range m.sortedOps() {
		if o.to != 0 && o.to != m.lay.owner(o.part) {
			m.takeBack(o)
		}
	}
}

func (m *Machine) sortedOps() []*op {
	out := slices.AppendSeq(slices.Collect(maps.Values(m.ops)), maps.Values(m.orphans))
	sortOps(out)
	return out
}

func sortOps(ops []*op) {
	slices.SortFunc(ops, func(a, b *op) int { return cmp.Compare(a.first, b.first) })
}

// tickOps ends what is over its time and tries the parked again.
func (m *Machine) tickOps(now int64) {
	m.release()
	if m.operations() == 0 {
		return
	}
	var due []*op
	for _, o := range m.ops {
		if now >= o.deadline || now >= o.giveUp {
			due = append(due, o)
		}
	}
	orphans := 0
	if now-m.retriedAt >= retryEvery {
		m.retriedAt = now
		orphans = min(len(m.parkedOrphans), retriedAtOnce)
		for _, o := range m.orphans {
			if now >= o.giveUp {
				due = append(due, o)
			}
		}
	}
	sortOps(due)
	for _, o := range due {
		if now >= o.deadline && o.done != nil {
			if o.write != nil {
				m.Counters.Unconfirmed.Add(1)
			}
			m.unlist(o)
			m.finish(o, Result{Status: pb.Status_UNSURE})
			m.list(o)
		}
		if now >= o.giveUp {
			m.end(o, Result{Status: pb.Status_UNSURE})
		}
	}
	for _, o := range m.parked {
		o.copies = 0
	}
	m.retry(orphans)
}

const (
	retryEvery    = 250 * ms // orphans, which are deletions whose callers have given up;
	retriedAtOnce = 1 << 13  // of them, for a step that takes long holds up all others
	// mostOps bounds the operations under way for callers of this node, orphans among them.
	mostOps = 1 << 17
)
