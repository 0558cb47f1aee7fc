package protocol

import (
	"slices"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

const (
	leastPulls = 8         // chunks under way, over all partitions: so many at a low rate,
	mostPulls  = 64        // and so many at a high one, for most partitions are small and cost a round trip
	chunkBytes = 128 << 10 // of one chunk
)

// pull is one chunk asked for.
type pull struct {
	part          int
	peer, session uint64
}

// keyPull is one key asked for at all who held its partition, because somebody waits for it.
type keyPull struct {
	part    int
	waiting map[uint64]uint64 // message id -> peer
	waiters []func(ok bool)
}

// tickTransfer keeps the pulls going, within the rate that leaves the node's readers their latency.
func (m *Machine) tickTransfer(now int64) {
	if m.missing == 0 {
		return
	}
	if rate := m.cfg.RepairRate; rate > 0 {
		passed := min(now-m.allowanceAt, sec)
		m.allowanceAt = now
		m.allowance = min(m.allowance+int64(float64(rate)*float64(passed)/float64(sec)), max(rate/10, 1))
	}
	for p := range m.parts {
		pt := &m.parts[p]
		if !pt.holder || pt.complete.Load() || pt.pulling {
			continue
		}
		if len(m.pulls) >= m.pullsAtOnce() || !m.mayPull() {
			return
		}
		m.pull(p)
	}
}

// pullsAtOnce grows with the rate, so that what is under way is a small part of a second's allowance where there is much.
func (m *Machine) pullsAtOnce() int {
	if m.cfg.RepairRate <= 0 {
		return mostPulls
	}
	return int(min(max(m.cfg.RepairRate/(8*chunkBytes), leastPulls), mostPulls))
}

// mayPull tells whether the rate allows another chunk now. A chunk is paid for when it has come.
func (m *Machine) mayPull() bool { return m.cfg.RepairRate <= 0 || m.allowance > 0 }

// pull asks for the next chunk of a partition. A first source that is out of reach goes to the end of the line.
func (m *Machine) pull(p int) {
	pt := &m.parts[p]
	for range pt.sources {
		q := m.peers[pt.sources[0]]
		if q != nil && q.session != 0 {
			id := m.nextID()
			pt.pulling = true
			m.pulls[id] = &pull{part: p, peer: q.member.Id, session: q.session}
			m.send(q, &pb.Message{Id: id, Body: &pb.Message_Pull{Pull: &pb.Pull{Partition: uint32(p), After: pt.after, Started: pt.started, MaxBytes: chunkBytes}}})
			return
		}
		pt.sources = append(pt.sources[1:], pt.sources[0])
		pt.after, pt.started = "", false
	}
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
		m.askLeases(m.env.Now()) // tells the coordinator that we are in sync
	}
}

func (m *Machine) onPull(p *peer, msg *pb.Message, b *pb.Pull) {
	r := &pb.PullReply{Partition: b.Partition}
	part := int(b.Partition)
	if part >= len(m.parts) {
		r.Status = pb.Status_NOT_OWNER
	} else {
		es, done := m.store.List(part, b.After, b.Started, min(int(b.MaxBytes), 1<<20))
		for _, e := range es {
			if m.is("no-tombstone-handoff") && e.Kind != store.Live {
				continue
			}
			r.Entries = append(r.Entries, m.entryTo(e))
		}
		r.Done = done
		if !b.Started {
			r.Cuts = m.cutRecords()
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
	p := pl.part
	pt := &m.parts[p]
	pt.pulling = false
	if b.Status != pb.Status_OK || len(pt.sources) == 0 || pt.sources[0] != q.member.Id {
		return
	}
	m.applyCuts(b.Cuts)
	now := m.env.Now()
	for _, x := range b.Entries {
		m.merge(p, x, now)
		pt.after, pt.started = x.Key, true
	}
	if b.Done {
		m.nextSource(p)
	}
	if !m.mayPull() {
		return // the next tick goes on
	}
	if !pt.complete.Load() && len(pt.sources) > 0 {
		m.pull(p)
		return
	}
	for i := 1; i < len(m.parts); i++ { // the next partition that lacks something takes the free place
		o := (p + i) % len(m.parts)
		if next := &m.parts[o]; next.holder && !next.complete.Load() && !next.pulling && len(next.sources) > 0 {
			m.pull(o)
			return
		}
	}
}

// merge takes an entry that another node held. It is not served before all that could overrule it has been seen.
func (m *Machine) merge(p int, x *pb.Entry, now int64) {
	if ring.PartitionOf(x.Key, len(m.parts)) != p {
		return
	}
	size := len(x.Key) + len(x.Value)
	m.allowance -= int64(size) + 64
	m.Counters.Pulled.Add(uint64(size))
	m.Counters.PulledEntries.Add(1)
	if v, ok := m.parts[p].written[x.Key]; ok && x.Version < v && !m.is("forget-written") && !m.is("raw-merge") {
		return
	}
	e := entryFrom(x, now)
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
			m.parts[pl.part].pulling = false
			delete(m.pulls, n)
		}
	}
	keys := make([]string, 0, 8)
	for key, kp := range m.keyPulls {
		for _, peer := range kp.waiting {
			if peer == id {
				keys = append(keys, key)
				break
			}
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		m.endKeyPull(key, false)
	}
}

// withKey calls then when the owner knows the present state of a key: at once, unless the partition is still being
// pulled and the key has neither come yet nor been written since; then its earlier holders are asked for it first.
func (m *Machine) withKey(p int, key string, then func(ok bool)) {
	pt := &m.parts[p]
	if pt.complete.Load() || m.is("serve-unsynced") {
		then(true)
		return
	}
	if e := m.store.Get(p, key); e != nil && !e.IsProvisional() && !e.Near {
		then(true)
		return
	}
	kp := m.keyPulls[key]
	if kp != nil {
		kp.waiters = append(kp.waiters, then)
		return
	}
	kp = &keyPull{part: p, waiting: map[uint64]uint64{}, waiters: []func(bool){then}}
	for _, id := range pt.sources {
		q := m.peers[id]
		if q == nil || q.session == 0 {
			then(false) // it may be the one that knows: not sure
			return
		}
		kp.waiting[m.nextID()] = id
	}
	m.keyPulls[key] = kp
	ids := make([]uint64, 0, len(kp.waiting))
	for n := range kp.waiting {
		ids = append(ids, n)
	}
	slices.Sort(ids)
	for _, n := range ids {
		m.send(m.peers[kp.waiting[n]], &pb.Message{Id: n, Body: &pb.Message_PullKey{PullKey: &pb.PullKey{Key: key}}})
	}
	if len(ids) == 0 {
		m.endKeyPull(key, true)
	}
}

func (m *Machine) onPullKey(p *peer, msg *pb.Message, b *pb.PullKey) {
	r := &pb.PullKeyReply{}
	if e := m.store.Get(ring.PartitionOf(b.Key, len(m.parts)), b.Key); e == nil || e.Near {
		r.Status = pb.Status_ABSENT
	} else {
		r.Entry = m.entryTo(e)
	}
	r.Key = b.Key
	m.reply(p, msg, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: r}})
}

func (m *Machine) onPullKeyReply(_ *peer, msg *pb.Message, b *pb.PullKeyReply) {
	kp := m.keyPulls[b.Key]
	if kp == nil {
		return
	}
	if _, ok := kp.waiting[msg.Id]; !ok {
		return
	}
	delete(kp.waiting, msg.Id)
	if b.Entry != nil && b.Entry.Key == b.Key {
		m.merge(kp.part, b.Entry, m.env.Now())
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
		m.store.Put(kp.part, &store.Entry{Key: key, Value: e.Value, Version: e.Version, Expires: e.Expires, Tags: e.Tags, Kind: e.Kind, Origin: e.Origin})
	}
	for _, then := range kp.waiters {
		then(ok)
	}
}

// dropKeyPulls: the view has changed; whoever waits asks again in the new one.
func (m *Machine) dropKeyPulls() {
	keys := make([]string, 0, len(m.keyPulls))
	for key := range m.keyPulls {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		m.endKeyPull(key, false)
	}
}
