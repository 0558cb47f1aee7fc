package protocol

import (
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// LookupAtOwner finds an entry, and a ticket above a cut that has been told the clock before. When that has ended the entry, a Set under the ticket would be a
// fill that nothing has happened to since, of what was made of it.
func TestTheTicketOfWhatHasGone(t *testing.T) {
	for mutant, want := range map[string]pb.Status{"": pb.Status_STALE_FILL, "ticket-of-what-has-gone": pb.Status_OK} {
		b := newBench(t, mutant)
		b.enter(2, 1)
		b.pass(100 * ms)
		made := b.written(&pb.Write{Key: "k", Value: []byte("v")})
		told := b.m.clock
		b.written(&pb.Write{Key: "other", Value: []byte("v")})
		var hit Result
		b.m.Get(&pb.Get{Key: "k", Fill: true}, b.now+sec, func(r Result) { hit = r })
		if hit.Status != pb.Status_OK || hit.Entry.Version != made.Version || hit.Ticket == 0 {
			t.Fatalf("%+v", hit)
		}
		save := func() pb.Status {
			return b.written(&pb.Write{Key: "k", Value: []byte("made of it"), Ticket: hit.Ticket, TicketChain: hit.Chain}).Status
		}
		if got := save(); got != pb.Status_OK {
			t.Fatalf("in the place of what was found: %v", got)
		}
		b.m.Get(&pb.Get{Key: "k", Fill: true}, b.now+sec, func(r Result) { hit = r })
		b.m.applyCuts([]*pb.CutRecord{{All: true, Version: told + 1}})
		if got := save(); got != want {
			t.Errorf("mutant %q: in the place of what was found, and cut since: %v, want %v", mutant, got, want)
		}
	}
}
