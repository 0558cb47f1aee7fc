package node

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/huddle-cache/huddle/node/protocol"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Scan enumerates the keys of the cluster, partition by partition. Start with cursor 0; a next of 0 ends the scan.
// A key present throughout the scan is returned at least once. At least count keys are returned if there are so many.
// With Config.HashTokens there is nothing to be listed: ErrHashed.
func (n *Node) Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error) {
	if n.tokens != nil {
		return nil, 0, fmt.Errorf("scan: %w", ErrHashed)
	}
	// Where there is little to be found, more partitions are asked for at a time.
	for p, size := cursor, uint64(64); p < uint64(n.cfg.Partitions); size *= 2 {
		batch := partitions(p, min(uint64(n.cfg.Partitions), p+size))
		found, err := n.scan(ctx, batch, &pb.Scan{Enough: uint32(min(max(count, 1), math.MaxInt32))})
		if err != nil {
			return nil, 0, err
		}
		for ; len(batch) > 0; batch = batch[1:] {
			of, ok := found[batch[0]]
			if !ok {
				break // the next time
			}
			for _, stored := range of.keys {
				keys = append(keys, original(stored))
			}
			p++
			if len(keys) >= max(count, 1) {
				if p >= uint64(n.cfg.Partitions) {
					p = 0
				}
				return keys, p, nil
			}
		}
	}
	return keys, 0, nil
}

// partitions returns the numbers of those from up to, not including, to.
func partitions(from, to uint64) []uint32 {
	ps := make([]uint32, 0, to-from)
	for p := from; p < to; p++ {
		ps = append(ps, uint32(p))
	}
	return ps
}

// scanned is what a scan found in one partition.
type scanned struct {
	keys  []string // not when only counted
	count int
}

// scan asks for several partitions, each of their owners with one message. It returns what was answered for, which is at least the first
// partition of each owner.
func (n *Node) scan(ctx context.Context, partitions []uint32, how *pb.Scan) (map[uint32]scanned, error) {
	type answer struct {
		asked []uint32
		protocol.Result
	}
	n.lock()
	if n.isClosed() {
		n.unlock()
		return nil, ErrClosed
	}
	deadline := n.deadline(ctx, n.cfg.ReadTimeout)
	groups := n.m.ByOwner(partitions)
	answers := make(chan answer, len(groups))
	for _, g := range groups {
		n.m.Scan(&pb.Scan{Partition: g[0], More: g[1:], CountOnly: how.CountOnly, Enough: how.Enough}, deadline, func(r protocol.Result) {
			answers <- answer{g, r}
		})
	}
	n.unlock()
	found := make(map[uint32]scanned, len(partitions))
	for range groups {
		select {
		case a := <-answers:
			switch {
			case a.Closed:
				return nil, fmt.Errorf("scan: %w", ErrClosed)
			case a.Status != pb.Status_OK:
				return nil, fmt.Errorf("scan: %w", ErrUnsure)
			}
			for i, count := range a.Counts {
				of := scanned{count: int(count)}
				if !how.CountOnly {
					of.keys, a.Keys = a.Keys[:count], a.Keys[count:]
				}
				found[a.asked[i]] = of
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("scan: %w: %w", ErrUnsure, ctx.Err())
		}
	}
	return found, nil
}

// Len counts the entries of the cluster.
func (n *Node) Len(ctx context.Context) (int, error) {
	total := 0
	for left := partitions(0, uint64(n.cfg.Partitions)); len(left) > 0; {
		found, err := n.scan(ctx, left, &pb.Scan{CountOnly: true})
		if err != nil {
			return 0, err
		}
		left = slices.DeleteFunc(left, func(p uint32) bool {
			of, ok := found[p]
			total += of.count
			return ok
		})
	}
	return total, nil
}
