package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// A peer that asks for a partition again and again, or for one that is not there, is answered for what goes before; a reply that does not fit
// the question is not believed.
func TestScansThatMakeNoSense(t *testing.T) {
	b := newBench(t, "")
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	var mine []uint32
	for p := range b.m.parts {
		if b.m.mayScan(uint32(p)) {
			mine = append(mine, uint32(p))
		}
	}
	if len(mine) < 3 {
		t.Fatalf("only %d partitions", len(mine))
	}
	for what, more := range map[string][]uint32{
		"the same": make([]uint32, 1<<20), "backwards": {mine[0]}, "not there": {1 << 31}, "not mine": {mine[1] + 1<<20},
	} {
		first := mine[1]
		if what == "the same" {
			for i := range more {
				more[i] = first
			}
		}
		if r := b.m.serveScan(&pb.Scan{Partition: first, More: more, CountOnly: true}); r.Status != pb.Status_OK || len(r.Counts) != 1 {
			t.Errorf("%s: %v, %d counts", what, r.Status, len(r.Counts))
		}
	}
	if r := b.m.serveScan(&pb.Scan{Partition: mine[0], More: mine[1:]}); len(r.Counts) != len(mine) {
		t.Errorf("%d counts for %d partitions", len(r.Counts), len(mine))
	}
	asked := &pb.Scan{Partition: 1, More: []uint32{2}}
	for what, r := range map[string]*pb.ScanReply{
		"none": {}, "too many": {Counts: []uint32{0, 0, 0}}, "fewer keys": {Counts: []uint32{1, 1}, Keys: []string{"a"}}, "more keys": {Counts: []uint32{1}, Keys: []string{"a", "b"}},
	} {
		if scanned(asked, r).Status == pb.Status_OK {
			t.Errorf("%s: believed", what)
		}
	}
	if r := scanned(asked, &pb.ScanReply{Counts: []uint32{1, 1}, Keys: []string{"a", "b"}}); r.Status != pb.Status_OK {
		t.Error("a right one is not believed")
	}
}
