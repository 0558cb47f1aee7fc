package protocol

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// left is an Env that keeps what was said of the departure.
type left struct {
	Env
	said *string
}

func (l left) Event(kind, _, text string) {
	if kind == "left" {
		*l.said = text
	}
}

// Who leaves alone has handed nothing over, and does not say so: its entries are lost.
func TestALastNodeSaysWhatIsLost(t *testing.T) {
	for _, c := range []struct {
		about   string
		members int // 0: in no cluster
		entry   bool
		says    string
		warns   bool
	}{
		{"alone with an entry", 1, true, "no other node was there", true},
		{"alone and empty", 1, false, "no other node was there", false},
		{"in no cluster", 0, false, "in no cluster", false},
	} {
		b := newBench(t, "")
		var said string
		var log bytes.Buffer
		b.m.env, b.m.log = left{b, &said}, slog.New(slog.NewTextHandler(&log, nil))
		if c.members > 0 {
			b.enter(1, c.members)
		}
		if c.entry {
			b.m.store.Put(0, &store.Entry{Key: "k", Value: "v", Version: 1})
		}
		b.m.Leave()
		if !b.m.HandedOver() || b.m.Left() {
			t.Errorf("%s: handed over: %v, left: %v", c.about, b.m.HandedOver(), b.m.Left())
		}
		b.m.Part()
		if !b.m.Left() || !strings.Contains(said, c.says) || strings.Contains(said, "handed over") {
			t.Errorf("%s: %q", c.about, said)
		}
		if warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "entries=1"); warned != c.warns {
			t.Errorf("%s: log %q", c.about, log.String())
		}
	}
}

// Who is expelled as it leaves has handed over what others have a copy of, and has lost the rest. It says so, and goes on with operations until Part.
func TestWhoIsExpelledAsItLeavesSaysWhatIsLost(t *testing.T) {
	a, b, c := benchMembers[:1], benchMembers[1:2], benchMembers[1:3]
	for _, x := range []struct {
		about    string
		replicas int
		view     *pb.View // without a, after the one of all three
		lost     int
	}{
		{"expelled, the only holder", 1, &pb.View{Members: c, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}, 1},
		{"expelled, and hears of it when the view has settled", 1, &pb.View{Members: c}, 1},
		{"gone by when it hears of it", 2, &pb.View{Members: c}, 0},
		{"expelled, the others have a copy", 2, &pb.View{Members: c, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}, 0},
		{"expelled, and so is the other holder", 2, &pb.View{Members: b, History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}, 1},
		{"expelled while it was handing over", 1, nil, 1},
		{"handed over", 1, nil, 0},
	} {
		b := newBench(t, "")
		b.replicas = x.replicas
		p := partition(t, func(p int) bool {
			table, err := ring.Build(namesOf(benchMembers[:3]), x.replicas, benchRing)
			if err != nil {
				t.Fatal(err)
			}
			return table.Owner(p) == 0 && (x.replicas == 1 || table.Owners(p)[1] == 2)
		})
		b.enter(2, 3)
		b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 5})
		var said string
		b.m.env = left{b, &said}
		b.m.Leave()
		next := func(number uint64, v *pb.View) {
			v.Chain, v.Number = 9, number
			b.learn(v)
		}
		history := []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}
		if x.view != nil {
			next(3, x.view)
		} else {
			next(3, &pb.View{Members: c, Leaving: a, History: history})
			if b.m.HandedOver() {
				t.Errorf("%s: it has handed over before the view settles", x.about)
			}
			if x.lost > 0 {
				next(4, &pb.View{Members: c, History: history})
			} else {
				next(4, &pb.View{Members: c})
			}
		}
		if !b.m.HandedOver() || b.m.Left() || b.m.Lost() != x.lost {
			t.Errorf("%s: handed over: %v, left: %v, lost %d, want %d", x.about, b.m.HandedOver(), b.m.Left(), b.m.Lost(), x.lost)
		}
		b.sent = nil
		b.m.Get(&pb.Get{Key: keyOf(p)}, b.now+sec, func(Result) {})
		if len(b.take(func(m *pb.Message) bool { return m.GetGet() != nil })) != 1 {
			t.Errorf("%s: it does not go on with operations", x.about)
		}
		b.now += sec
		b.m.Tick(20 * ms)
		if b.m.Part(); !b.m.Left() || strings.Contains(said, "handed over and left") != (x.lost == 0) || strings.Contains(said, "expelled") != (x.lost > 0) {
			t.Errorf("%s: left: %v, %q", x.about, b.m.Left(), said)
		}
	}
}

// Who gives up its cluster as it leaves, for a majority of that has died, has nobody to hand over to any more. What it held is lost, and it says so.
func TestWhoGivesUpItsClusterAsItLeavesSaysWhatIsLost(t *testing.T) {
	for _, entry := range []bool{false, true} {
		b := newBench(t, "")
		b.enter(2, 3)
		lost := 0
		if p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 }); entry {
			b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 5})
			lost = 1
		}
		var said string
		b.m.env = left{b, &said}
		b.m.Leave()
		if b.m.HandedOver() {
			t.Error("it has handed over at once")
		}
		b.m.dissolve("a majority of the view has died")
		if !b.m.HandedOver() || b.m.Lost() != lost {
			t.Errorf("handed over: %v, lost %d, want %d", b.m.HandedOver(), b.m.Lost(), lost)
		}
		if b.m.Part(); !b.m.Left() || strings.Contains(said, "is lost") != entry {
			t.Errorf("left: %v, %q", b.m.Left(), said)
		}
	}
}
