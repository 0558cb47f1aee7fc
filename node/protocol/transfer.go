package protocol

import (
	"maps"
	"slices"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

const (
	pullsAtOnce = 2        // chunks under way: while one is taken the next is read. More would only queue, before those who read
	mostPulls   = 8        // and with those that are slow to come,
	slowPull    = 250 * ms // asked for so long ago: their source may be cut off, and others are not
	chunkBytes  = 64 << 10 // of one chunk
	chunkParts  = 64       // partitions in one chunk: most are small, and each message costs as much as several entries
)

// pull is one chunk asked for: several partitions of one source, or its cuts alone.
type pull struct {
	parts []int
	cuts  bool // and its remembered cuts, before any entry
	peer  uint64
	asked int64
}

// keyPull is one key asked for at all who held its partition, because somebody waits for it.
type keyPull struct {
	part    int
	waiting map[uint64]uint64 // message id -> peer
	waiters []func(ok bool)
}

// tickTransfer keeps the pulls going, within the rate that leaves the node's readers their latency.
func (m *Machine) tickTransfer(now int64) {
	if m.missing == 0 && len(m.tellers) == 0 {
		return
	}
	if rate := m.cfg.RepairRate; rate > 0 {
		passed := min(now-m.allowanceAt, sec)
		m.allowanceAt = now
		m.allowance = min(m.allowance+int64(float64(rate)*float64(passed)/float64(sec)), max(rate/10, 1))
	}
	m.pullMore()
}

// pullMore asks for as many chunks as may be under way.
func (m *Machine) pullMore() {
	under, now := 0, m.now()
	for _, pl := range m.pulls {
		if now-pl.asked < slowPull {
			under++
		}
	}
	full := func() bool { return len(m.pulls) >= mostPulls || under >= pullsAtOnce || !m.mayPull() }
	for range len(m.parts) {
		if m.missing == 0 || full() {
			break
		}
		m.pullNext = (m.pullNext + 1) % len(m.parts)
		if q := m.sourceOf(m.pullNext); q != nil && m.mayAsk(q) {
			m.pull(m.pullNext, q)
			under++
		}
	}
	if m.missing > 0 {
		return
	}
	for _, id := range m.tellers {
		if q := m.peers[id]; q != nil && q.session != 0 && m.pullsFrom(q) == 0 && !full() {
			m.ask(q, nil, &pb.Pull{})
			under++
		}
	}
}

// pullsFrom counts the chunks that a source has been asked for.
func (m *Machine) pullsFrom(q *peer) (n int) {
	for _, pl := range m.pulls {
		if pl.peer == q.member.Id {
			n++
		}
	}
	return n
}

// mayAsk tells whether a source may be asked for another chunk: before its cuts are here only for one, which brings them.
func (m *Machine) mayAsk(q *peer) bool {
	n := m.pullsFrom(q)
	return n == 0 || n < pullsAtOnce && m.cutsOf(q.member.Id).done
}

// mayPull tells whether the rate allows another chunk now. A chunk is paid for when it has come.
func (m *Machine) mayPull() bool { return m.cfg.RepairRate <= 0 || m.allowance > 0 }

// sourceOf is the node to pull a partition from next; nil: none, or it is being pulled. A source out of reach goes to the end of the
// line.
func (m *Machine) sourceOf(p int) *peer {
	pt := &m.parts[p]
	if !pt.holder || pt.complete.Load() || pt.pulling {
		return nil
	}
	for range pt.sources {
		if q := m.peers[pt.sources[0]]; q != nil && q.session != 0 {
			return q
		}
		pt.sources = append(pt.sources[1:], pt.sources[0])
		pt.after, pt.started = "", false
	}
	return nil
}

// pull asks a source for the next chunk of a partition, and for others that are to be pulled from there.
func (m *Machine) pull(first int, q *peer) {
	var parts []int
	for i := 0; i < len(m.parts) && len(parts) < chunkParts; i++ {
		p := (first + i) % len(m.parts)
		if i > 0 && (m.parts[p].started || m.sourceOf(p) != q) {
			continue
		}
		m.parts[p].pulling = true
		parts = append(parts, p)
	}
	m.ask(q, parts, &pb.Pull{After: m.parts[first].after, Started: m.parts[first].started})
}

// ask asks for a chunk of these partitions, and for the source's cuts before, if they are not here yet; without partitions for the cuts alone.
func (m *Machine) ask(q *peer, parts []int, b *pb.Pull) {
	b.MaxBytes = chunkBytes
	if rate := m.cfg.RepairRate; rate > 0 { // what comes is paid for afterwards: not for many seconds
		b.MaxBytes = uint32(min(chunkBytes, max(rate/10, 1)))
	}
	for _, p := range parts {
		b.Partitions = append(b.Partitions, uint32(p))
	}
	pl := &pull{parts: parts, peer: q.member.Id, asked: m.now()}
	if c := m.cutsOf(pl.peer); !c.done {
		pl.cuts, b.Cuts, b.CutsAfter = true, true, c.last
	}
	id := m.nextID()
	m.pulls[id] = pl
	m.send(q, &pb.Message{Id: id, Body: &pb.Message_Pull{Pull: b}})
}

// nextSource: the first source has been pulled, or given up.
func (m *Machine) nextSource(p int) {
	pt := &m.parts[p]
	pt.sources = pt.sources[1:]
	pt.after, pt.started = "", false
	if len(pt.sources) > 0 {
		return
	}
	m.store.Confirm(p)
	pt.written = nil
	pt.complete.Store(true)
	m.missing--
	if m.missing == 0 {
		m.askLeases(m.now()) // tells the coordinator that we are in sync
	}
	if !m.is("late-key") {
		m.endKeyPulls(func(kp *keyPull) bool { return kp.part == p }, true)
	}
}

func (m *Machine) onPull(p *peer, msg *pb.Message, b *pb.Pull) {
	r := &pb.PullReply{}
	after, started, left, parts := b.After, b.Started, min(int(b.MaxBytes), 1<<20), b.Partitions[:min(len(b.Partitions), chunkParts)]
	if b.Cuts {
		if left = m.sendCuts(b, r, left); r.MoreCuts || len(r.Cuts) > 0 && left <= 0 {
			parts = nil
		}
	}
	for _, part := range parts {
		if int(part) >= len(m.parts) {
			r = &pb.PullReply{Status: pb.Status_NOT_OWNER}
			break
		}
		es, done := m.store.List(int(part), after, started, left)
		for _, e := range es {
			left -= e.Size()
			if m.is("no-tombstone-handoff") && e.Kind != store.Live {
				continue
			}
			r.Entries = append(r.Entries, m.entryTo(e))
		}
		if !done {
			break
		}
		r.Done++
		if after, started = "", false; left <= 0 {
			break
		}
	}
	m.reply(p, msg, &pb.Message{Body: &pb.Message_PullReply{PullReply: r}})
}

func (m *Machine) onPullReply(q *peer, msg *pb.Message, b *pb.PullReply) {
	pl := m.pulls[msg.Id]
	if pl == nil || pl.peer != q.member.Id {
		return
	}
	delete(m.pulls, msg.Id)
	for _, p := range pl.parts {
		m.parts[p].pulling = false
	}
	if b.Status == pb.Status_OK {
		m.pulled(pl, b)
	}
	m.pullMore() // if the rate allows; else the next tick goes on
}

// pulled takes a chunk: entries in the order of its partitions, of which some at the beginning are complete with it.
func (m *Machine) pulled(pl *pull, b *pb.PullReply) {
	if !m.pulledCuts(pl, b) {
		return
	}
	now, i := m.now(), 0
	for _, x := range b.Entries {
		of := ring.PartitionOf(x.Key, len(m.parts))
		for i < len(pl.parts) && pl.parts[i] != of {
			i++
		}
		if i == len(pl.parts) {
			return // not what was asked for
		}
		m.allowance -= int64(len(x.Key)+len(x.Value)) + 64
		m.merge(of, x, now)
		m.parts[of].after, m.parts[of].started = x.Key, true
	}
	for _, p := range pl.parts[:min(int(b.Done), len(pl.parts))] {
		if s := m.parts[p].sources; len(s) > 0 && s[0] == pl.peer {
			m.nextSource(p)
		}
	}
}

// merge takes an entry that another node held. It is not served before all that could overrule it has been seen.
func (m *Machine) merge(p int, x *pb.Entry, now int64) {
	size := len(x.Key) + len(x.Value)
	m.Counters.Pulled.Add(uint64(size))
	m.Counters.PulledEntries.Add(1)
	if v, ok := m.parts[p].written[x.Key]; ok && x.Version < v && !m.is("forget-written") && !m.is("raw-merge") {
		return
	}
	e := entryFrom(x, now)
	if e.Kind != store.Live {
		m.parts[p].wrote(e) // it may have to make room before another source sends what it has deleted
	}
	e.Provisional = !m.is("serve-unsynced")
	if m.is("raw-merge") {
		m.store.Remove(p, e.Key, ^uint64(0))
	}
	m.store.Put(p, e)
}

// failPulls takes back what was asked from a peer whose session has ended.
func (m *Machine) failPulls(id uint64) {
	for n, pl := range m.pulls {
		if pl.peer == id {
			for _, p := range pl.parts {
				m.parts[p].pulling = false
			}
			delete(m.pulls, n)
		}
	}
	m.endKeyPulls(func(kp *keyPull) bool { return slices.Contains(slices.Collect(maps.Values(kp.waiting)), id) }, false)
}

// knows tells whether the owner knows the present state of a key.
func (m *Machine) knows(p int, key string) bool {
	if m.parts[p].complete.Load() || m.is("serve-unsynced") {
		return true
	}
	e := m.store.Get(p, key)
	return e != nil && !e.IsProvisional() && !e.Near
}

// withKey calls then when the owner knows the present state of a key: at once, unless the partition is still being
// pulled and the key has neither come yet nor been written since; then its earlier holders are asked for it first.
func (m *Machine) withKey(p int, key string, then func(ok bool)) {
	if m.knows(p, key) {
		then(true)
		return
	}
	if kp := m.keyPulls[key]; kp != nil {
		kp.waiters = append(kp.waiters, then)
		return
	}
	sources := m.parts[p].sources // at least one: else the partition would be complete
	for _, id := range sources {
		if q := m.peers[id]; q == nil || q.session == 0 {
			then(false) // it may be the one that knows: not sure
			return
		}
	}
	kp := &keyPull{part: p, waiting: map[uint64]uint64{}, waiters: []func(bool){then}}
	m.keyPulls[key] = kp
	for _, id := range sources {
		n := m.nextID()
		kp.waiting[n] = id
		m.send(m.peers[id], &pb.Message{Id: n, Body: &pb.Message_PullKey{PullKey: &pb.PullKey{Key: key}}})
	}
}

func (m *Machine) onPullKey(p *peer, msg *pb.Message, b *pb.PullKey) {
	r := &pb.PullKeyReply{}
	switch e := m.store.Get(ring.PartitionOf(b.Key, len(m.parts)), b.Key); {
	case e == nil || e.Near:
		r.Status = pb.Status_ABSENT
	case m.crowded(p):
		r.Status = pb.Status_FULL
	default:
		r.Entry = m.entryTo(e)
	}
	r.Key = b.Key
	m.reply(p, msg, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: r}})
}

func (m *Machine) onPullKeyReply(msg *pb.Message, b *pb.PullKeyReply) {
	kp := m.keyPulls[b.Key]
	if kp == nil {
		return
	}
	if _, ok := kp.waiting[msg.Id]; !ok {
		return
	}
	delete(kp.waiting, msg.Id)
	if b.Status == pb.Status_FULL {
		m.endKeyPull(b.Key, false) // whoever waits asks again
		return
	}
	if b.Entry != nil && b.Entry.Key == b.Key {
		m.merge(kp.part, b.Entry, m.now())
	}
	if len(kp.waiting) == 0 {
		m.endKeyPull(b.Key, true)
	}
}

// endKeyPull: all have answered (then what is here of the key is its present state), or one cannot.
func (m *Machine) endKeyPull(key string, ok bool) {
	kp := m.keyPulls[key]
	delete(m.keyPulls, key)
	if e := m.store.Get(kp.part, key); ok && e != nil && e.IsProvisional() {
		m.store.Put(kp.part, e.Again(false))
	}
	for _, then := range kp.waiters {
		then(ok)
	}
}

// endKeyPulls ends some of those under way: not ok because a source cannot answer, or because the view has changed, and whoever waits asks again in
// the new one; ok because the whole partition is here. What the sources still answer is not taken then: it is of before what has been written since,
// which may have ended, and is noted only while a partition is pulled.
func (m *Machine) endKeyPulls(some func(*keyPull) bool, ok bool) {
	if len(m.keyPulls) == 0 {
		return
	}
	keys := make([]string, 0, len(m.keyPulls))
	for key, kp := range m.keyPulls {
		if some(kp) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		m.endKeyPull(key, ok)
	}
}
