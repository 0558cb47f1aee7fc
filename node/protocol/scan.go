package protocol

import pb "github.com/huddle-cache/huddle/transport/peerpb"

// What one answer to a Scan looks at, so that it neither holds up others nor makes a large message.
const (
	scanEntries = 4096
	scanBytes   = 1 << 20
)

// Scan lists or counts the keys of partitions. They ascend and should have one owner (see ByOwner). The owner of the first answers for as
// many of those that follow as it owns and as fit into one answer, at least for the first.
func (m *Machine) Scan(s *pb.Scan, deadline int64, done func(Result)) {
	m.submit(&op{scan: s, part: int(s.Partition) % len(m.parts), deadline: deadline, done: done})
}

func (m *Machine) onScanReply(p *peer, msg *pb.Message, b *pb.ScanReply) {
	o := m.answered(p, msg)
	if o == nil || o.scan == nil {
		return
	}
	if b.Status != pb.Status_OK {
		m.park(o)
		return
	}
	m.end(o, scanned(o.scan, b))
}

// scanned is what a ScanReply comes to. It may be wrong: a peer that does not know better is not to be trusted with an index.
func scanned(asked *pb.Scan, b *pb.ScanReply) Result {
	sum := 0
	for _, n := range b.Counts {
		sum += int(n)
	}
	if len(b.Counts) == 0 || len(b.Counts) > 1+len(asked.More) || !asked.CountOnly && sum != len(b.Keys) {
		return Result{Status: pb.Status_UNSURE}
	}
	return Result{Status: pb.Status_OK, Keys: b.Keys, Counts: b.Counts}
}

// serveScan lists or counts the keys of partitions that this node owns.
func (m *Machine) serveScan(b *pb.Scan) *pb.ScanReply {
	r := &pb.ScanReply{}
	if !m.leased() || !m.mayScan(b.Partition) {
		r.Status = pb.Status_UNSURE
		return r
	}
	found, bytes := 0, 0
	for p, more := b.Partition, b.More; ; p, more = more[0], more[1:] {
		n := 0
		if b.CountOnly {
			n = m.store.Count(int(p))
		} else {
			keys := m.store.Keys(int(p))
			n = len(keys)
			r.Keys = append(r.Keys, keys...)
			for _, k := range keys {
				bytes += len(k)
			}
		}
		found += n
		r.Counts = append(r.Counts, uint32(n))
		if len(more) == 0 || more[0] <= p || !m.mayScan(more[0]) || found >= scanEntries || bytes >= scanBytes || b.Enough > 0 && found >= int(b.Enough) {
			return r
		}
	}
}

// mayScan tells whether this node knows all keys of a partition.
func (m *Machine) mayScan(p uint32) bool {
	return uint64(p) < uint64(len(m.parts)) && m.parts[p].acting && m.parts[p].complete.Load()
}

// ByOwner groups partitions by their owners, as far as they are known.
func (m *Machine) ByOwner(partitions []uint32) [][]uint32 {
	if m.lay == nil {
		return [][]uint32{partitions}
	}
	of := make(map[uint64]int)
	var groups [][]uint32
	for _, p := range partitions {
		owner := m.lay.owner(int(p))
		g, ok := of[owner]
		if !ok {
			g = len(groups)
			of[owner], groups = g, append(groups, nil)
		}
		groups[g] = append(groups[g], p)
	}
	return groups
}

func (m *Machine) onScan(p *peer, msg *pb.Message, b *pb.Scan) {
	m.reply(p, msg, &pb.Message{Body: &pb.Message_ScanReply{ScanReply: m.serveScan(b)}})
}
