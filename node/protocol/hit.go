package protocol

import (
	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
)

// Outcome is what a Read knows.
type Outcome uint8

// Outcomes of Read.
const (
	Ask    Outcome = iota // another node must be asked, or nobody knows just now: submit a Get
	Hit                   // the entry is here and may be served
	Absent                // there is certainly no such entry
)

// Read answers from this node's memory. It takes no lock of the machine and allocates nothing. The order matters: the
// lease is taken before the entry, and the clock is read after both, so that the entry was current when the lease was
// still running: one that is renewed in between says nothing of an entry taken before that. A lease that was ended in between is found ended.
func (m *Machine) Read(key string) (*store.Entry, Outcome) {
	e, out, _ := m.ReadAt(key)
	return e, out
}

// ReadAt is Read; it also returns the time it has read the clock at, 0 if it has not.
func (m *Machine) ReadAt(key string) (e *store.Entry, out Outcome, now int64) {
	r := m.route.Load()
	if r == nil {
		return nil, Ask, 0
	}
	p := ring.PartitionOf(key, r.partitions)
	g := &r.grants[r.of[p]]
	until := g.lease.until.Load()
	e = m.store.Look(p, key)
	now = m.env.Now() // once, for the lease and for the end of the entry: only memory costs a hit more
	seen := e
	if e != nil && e.Expired(now) {
		e = nil
	}
	if e == nil && (!g.owned || !m.parts[p].complete.Load() || m.store.Look(p, key) != seen) {
		return nil, Ask, now // the last says: the partition became complete after the key was looked for, and with it came the key
	}
	if (e != nil && e.Near != g.near || now >= until || now >= g.lease.until.Load() || now >= r.view.until.Load() && !m.is("copy-without-view-lease")) && !m.is("no-lease-check") {
		return nil, Ask, now
	}
	if min(until, r.view.until.Load())-now < m.cfg.Lease/2 {
		m.giveWay(now)
	}
	switch {
	case e == nil || e.Kind != store.Live && !e.IsProvisional():
		m.Counters.Misses.Add(1)
		return nil, Absent, now
	case e.IsProvisional():
		return nil, Ask, now
	}
	m.Counters.Hits.add()
	if e.Near {
		m.Counters.NearHits.add()
	}
	return e, Hit, now
}

// yieldEvery is how often readers give way at the most, in ns. Each time takes about as long as a read; and half of a lease may well be over where
// all is in time, for who grants one grants no more than what is left of its own.
const yieldEvery = 50_000

// giveWay lets those run who renew leases.
func (m *Machine) giveWay(now int64) {
	if last := m.gaveWay.Load(); now-last >= yieldEvery && m.gaveWay.CompareAndSwap(last, now) {
		m.env.Yield()
	}
}

// Prefetch brings what Read needs of up to store.PrefetchMost keys into the processor's cache. Like Read it may run beside anything.
func (m *Machine) Prefetch(keys []string) {
	r := m.route.Load()
	if r == nil {
		return
	}
	keys = keys[:min(len(keys), store.PrefetchMost)]
	var parts [store.PrefetchMost]int
	for i, key := range keys {
		parts[i] = ring.PartitionOf(key, r.partitions)
	}
	m.store.Prefetch(parts[:len(keys)], keys)
}
