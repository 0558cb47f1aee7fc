package protocol

import (
	"strings"
	"testing"

	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// heard is an Env that keeps what was said of a name in use.
type heard struct {
	Env
	said *[]string
}

func (h heard) Event(kind, member, text string) {
	if kind == "name-taken" {
		*h.said = append(*h.said, member+": "+text)
	}
}

// A process that cannot come in, for a live member has its name, says so: soon, then once a minute, and no more when that one has ended.
func TestANameInUseIsTold(t *testing.T) {
	b := newBench(t, "")
	var said []string
	b.m.env = heard{b, &said}
	other := &pb.Member{Name: "a", Id: 77, Addr: "10.0.0.9:7400"}
	b.m.Up(other, 77)
	b.m.Found(other, 9, 3)
	b.pass(2 * b.m.cfg.ExpelAfter)
	b.pass(20 * ms)
	if len(said) != 1 || !strings.Contains(said[0], "a: the name a ") || !strings.Contains(said[0], "10.0.0.9:7400") || !strings.Contains(said[0], "--name") {
		t.Fatalf("said %q", said)
	}
	if got := b.m.Status().NameHeldBy.GetId(); got != 77 {
		t.Errorf("the status names %d", got)
	}
	if b.pass(tellClash - sec); len(said) != 1 {
		t.Errorf("said %d times within a minute", len(said))
	}
	if b.pass(sec); len(said) != 2 {
		t.Errorf("said %d times after a minute", len(said))
	}
	b.m.Down(77, 77)
	if b.pass(2 * tellClash); len(said) != 2 || b.m.Status().NameHeldBy != nil {
		t.Errorf("it has ended: said %d times, the status names %v", len(said), b.m.Status().NameHeldBy)
	}
}

// No clash are: the process before this one, whose session ends a moment later; one that is itself outside; another name.
func TestARestartIsNoClash(t *testing.T) {
	b := newBench(t, "")
	var said []string
	b.m.env = heard{b, &said}
	for _, id := range []uint64{77, 78} { // restarted twice in a row
		before := &pb.Member{Name: "a", Id: id}
		b.m.Up(before, id)
		b.m.Found(before, 9, 3)
		b.pass(2 * sec)
		b.m.Down(id, id)
	}
	b.m.Found(benchMembers[1], 9, 3)
	b.m.Up(&pb.Member{Name: "a", Id: 79}, 79)
	b.pass(2 * tellClash)
	if len(said) != 0 {
		t.Errorf("said %q", said)
	}
	b.enter(5, 3)
	b.m.Found(&pb.Member{Name: "a", Id: 79}, 9, 3) // this one is in, the other is not
	if b.pass(tellClash, 2, 3); len(said) != 0 || b.m.Status().NameHeldBy != nil {
		t.Errorf("as a member: said %q", said)
	}
}
