package protocol

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// Rules whose absence random schedules seldom show: each is led straight to the situation it is for. With the rule the
// outcome must be the right one; with the rule switched off it must be another, else the test would prove nothing.

// bench is one machine, a, among peers that the test plays.
type bench struct {
	t    *testing.T
	m    *Machine
	now  int64
	ids  uint64
	sent []letter
	want [][]string // rings asked for
	at   func()     // done once, while the clock is read

	replicas int // of the rings

	queued map[uint64]int // what waits on the sessions

	yields int      // how often a reader has given way
	events []string // their texts
	ended  []uint64 // whose sessions were given up
}

type letter struct {
	to  uint64
	msg *pb.Message
}

func (b *bench) Now() int64 {
	if at := b.at; at != nil {
		b.at = nil
		at()
	}
	return b.now
}
func (b *bench) Send(to, _ uint64, m *pb.Message) { b.sent = append(b.sent, letter{to, m}) }
func (b *bench) Queued(to, _ uint64) int          { return b.queued[to] }
func (b *bench) Connect(*pb.Member)               {}
func (b *bench) Disconnect(id uint64)             { b.ended = append(b.ended, id) }
func (b *bench) Random() uint64                   { b.ids++; return b.ids }
func (b *bench) Yield()                           { b.yields++ }
func (b *bench) Reincarnate(*pb.Member)           {}
func (b *bench) Announce(_, _ uint64, _ int)      {}
func (b *bench) Event(_, _, text string)          { b.events = append(b.events, text) }
func (b *bench) Build(names []string)             { b.want = append(b.want, names) }
func (b *bench) from(id uint64, body *pb.Message) { b.m.Receive(id, id, body) }
func (b *bench) stamp(id uint64, msg *pb.Message) *pb.Message {
	msg.Id, msg.Chain, msg.View = id, b.m.lay.view.Chain, b.m.lay.number()
	return msg
}

var benchRing = ring.Params{Partitions: 31, VirtualNodes: 8, Load: 2}

var benchMembers = []*pb.Member{{Name: "a", Id: 1, Addr: "a"}, {Name: "b", Id: 2, Addr: "b"}, {Name: "c", Id: 3, Addr: "c"}, {Name: "d", Id: 4, Addr: "d"}}

func newBench(t *testing.T, mutant string) *bench {
	b := &bench{t: t, now: 1000 * sec, replicas: 2}
	st := store.New(store.Config{Partitions: benchRing.Partitions, MaxBytes: 1 << 20, Now: b.Now})
	b.m = New(Config{
		Self: benchMembers[0], Replicas: 2, Ring: benchRing, Lease: sec, ExpelAfter: 2 * sec, Settle: sec, Retention: 3600 * sec,
		Tombstone: 60 * sec, MaxHolders: 100, MaxPending: 100, MaxUnacked: 1 << 20, HighWater: 1 << 20, Log: slog.New(slog.DiscardHandler), Mutant: mutant,
	}, b, st)
	for _, p := range benchMembers[1:] {
		b.m.Up(p, p.Id)
	}
	return b
}

// enter brings the machine into a view of the first n members; history lists the numbers of members of the sets before.
func (b *bench) enter(number uint64, n int, history ...int) {
	b.t.Helper()
	v := &pb.View{Chain: 9, Number: number, Members: benchMembers[:n]}
	for i, k := range history {
		v.History = append(v.History, &pb.MemberSet{Number: number - uint64(len(history)-i), Members: benchMembers[:k]})
	}
	b.learn(v)
	if b.m.lay.number() != number {
		b.t.Fatalf("not in view %d", number)
	}
}

// learn has the machine adopt a view, and makes its rings.
func (b *bench) learn(v *pb.View) {
	b.t.Helper()
	b.m.learn(v)
	for len(b.want) > 0 {
		names := b.want[0]
		b.want = b.want[1:]
		table, err := ring.Build(names, b.replicas, benchRing)
		if err != nil {
			b.t.Fatal(err)
		}
		b.m.Built(names, table)
	}
}

// told is enter, by the message that tells of a chosen view and has a fence.
func (b *bench) told(f *pb.Fence, number uint64, n int, before int) {
	b.t.Helper()
	v := &pb.View{Chain: 9, Number: number, Members: benchMembers[:n], History: []*pb.MemberSet{{Number: number - 1, Members: benchMembers[:before]}}}
	b.m.heed(&pb.Decide{View: v, Fences: []*pb.Fence{f}})
	b.enter(number, n, before)
}

// confirm answers, for a peer, every request for leases that was sent to it. The peer has thereby adopted the view.
func (b *bench) confirm(peers ...uint64) {
	for _, l := range b.take(func(m *pb.Message) bool { return m.GetLeaseAsk() != nil }) {
		for _, id := range peers {
			if l.to == id {
				b.from(id, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_LeaseGrant{LeaseGrant: &pb.LeaseGrant{
					Asked: l.msg.GetLeaseAsk().Asked, Pair: sec, Confirm: true,
				}}}))
			}
		}
	}
}

// take removes the letters of a kind from those sent, and returns them.
func (b *bench) take(is func(*pb.Message) bool) []letter {
	var out, rest []letter
	for _, l := range b.sent {
		if is(l.msg) {
			out = append(out, l)
		} else {
			rest = append(rest, l)
		}
	}
	b.sent = rest
	return out
}

// pass lets time go on, with ticks; the peers given confirm all along.
func (b *bench) pass(d int64, peers ...uint64) {
	for end := b.now + d; b.now < end; {
		b.now += 20 * ms
		b.m.Tick(20 * ms)
		b.m.store.Sweep(1000)
		b.confirm(peers...)
	}
}

// holdersAmong lists the ids that hold p in the ring of the first n members, the owner first.
func holdersAmong(t *testing.T, n, p int) []uint64 {
	t.Helper()
	return holdersIn(t, benchMembers[:n], p)
}

func holdersIn(t *testing.T, members []*pb.Member, p int) (ids []uint64) {
	t.Helper()
	table, err := ring.Build(namesOf(members), 2, benchRing)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range table.Owners(p) {
		ids = append(ids, members[i].Id)
	}
	return ids
}

// partition finds one for which ok holds.
func partition(t *testing.T, ok func(p int) bool) int {
	t.Helper()
	for p := range benchRing.Partitions {
		if ok(p) {
			return p
		}
	}
	t.Fatal("no such partition in this ring: choose other members")
	return 0
}

func keyOf(p int) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint("key", i); ring.PartitionOf(key, benchRing.Partitions) == p {
			return key
		}
	}
}

func TestRules(t *testing.T) {
	holds := func(ids []uint64, id uint64) bool { return slices.Contains(ids, id) }
	for _, rule := range []struct {
		mutant, says string
		kept         func(b *bench) bool
	}{
		{"confirm-after-accept", "who has accepted the next view confirms the present one to nobody (5)", func(b *bench) bool {
			b.enter(2, 3)
			next := &pb.View{Chain: 9, Number: 3, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}
			b.from(2, b.stamp(0, &pb.Message{Body: &pb.Message_Accept{Accept: &pb.Accept{Ballot: &pb.Ballot{Round: 1, Proposer: 2}, Value: next}}}))
			b.from(3, b.stamp(77, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
			grants := b.take(func(m *pb.Message) bool { return m.GetLeaseGrant() != nil })
			if len(grants) != 1 {
				b.t.Fatalf("%d answers", len(grants))
			}
			return !grants[0].msg.GetLeaseGrant().Confirm
		}},
		{"no-view-wait", "a new owner acts only when the old one knows, or its leases have ended (8)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 3 && holdersAmong(b.t, 2, p)[0] == 1 })
			b.enter(2, 3)
			b.confirm(2, 3)
			b.enter(3, 2, 3) // c is out, and may not know
			b.confirm(2)
			early := b.m.parts[p].acting
			b.pass(sec+sec/driftShare+40*ms, 2)
			if !b.m.parts[p].acting {
				b.t.Fatal("the new owner never acts")
			}
			return !early
		}},
		{"cut-without-barrier", "a cut is confirmed only when nobody of an earlier view can serve (10)", func(b *bench) bool {
			b.enter(2, 3)
			b.confirm(2, 3)
			b.enter(3, 2, 3)
			b.confirm(2)
			done := false
			b.m.Cut(nil, b.now+10*sec, 0, func(r Result) { done = r.Status == pb.Status_OK })
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCutClock() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutClockReply{CutClockReply: &pb.CutClockReply{}}}))
			}
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCut() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CutReply{CutReply: &pb.CutReply{}}}))
			}
			early := done
			b.pass(sec+sec/driftShare+40*ms, 2)
			if !done {
				b.t.Fatal("the cut is never confirmed")
			}
			return !early
		}},
		{"no-quarantine", "what an earlier tenure left is not served before the sources were read (8)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return holds(holdersAmong(b.t, 3, p), 1) && !holds(holdersAmong(b.t, 4, p), 1) })
			b.enter(2, 3)
			b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "old", Version: 2<<viewShift + 5})
			b.enter(3, 4, 3)    // d takes the partition over
			b.enter(4, 3, 3, 4) // and dies before the view has settled
			e := b.m.store.Get(p, keyOf(p))
			if e == nil {
				b.t.Fatal("it is gone: as a source it was of use")
			}
			return e.IsProvisional()
		}},
		{"forget-sources", "until the view settles, former holders get the writes too (7)", func(b *bench) bool {
			former := func(p int) uint64 {
				for _, id := range holdersAmong(b.t, 3, p) {
					if id != 1 && !holds(holdersAmong(b.t, 4, p), id) {
						return id
					}
				}
				return 0
			}
			p := partition(b.t, func(p int) bool { return former(p) != 0 })
			b.enter(2, 3)
			b.enter(3, 4, 3)
			return holds(b.m.copiesOf(p), former(p))
		}},
		{"forget-written", "what is pulled does not bring back what a value that has ended had replaced (8)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return !holds(holdersAmong(b.t, 3, p), 1) && holdersAmong(b.t, 2, p)[0] == 2 })
			key := keyOf(p)
			b.enter(2, 3)
			b.confirm(2, 3)
			b.enter(3, 2, 3)
			b.pass(40*ms, 2)
			var pull letter
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetPull() != nil }) {
				if slices.Contains(l.msg.GetPull().Partitions, uint32(p)) {
					pull = l
				}
			}
			if pull.to != 2 {
				b.t.Fatalf("partition %d is pulled from %d", p, pull.to)
			}
			b.from(2, b.stamp(500, &pb.Message{Body: &pb.Message_Copy{Copy: &pb.Copy{Entry: &pb.Entry{
				Key: key, Value: []byte("new"), Version: 3<<viewShift + 5, Ttl: 10 * ms,
			}}}}))
			b.pass(100*ms, 2)
			b.from(2, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{
				Done: uint32(len(pull.msg.GetPull().Partitions)), Entries: []*pb.Entry{{Key: key, Value: []byte("old"), Version: 2<<viewShift + 5}},
			}}}))
			if !b.m.parts[p].complete.Load() {
				b.t.Fatal("the pull is not complete")
			}
			return b.m.store.Get(p, key) == nil
		}},
		{"late-key", "an answer about one key that comes when its partition has been pulled does not bring back what has been replaced since (8)", func(b *bench) bool {
			b.join()
			b.pass(1500*ms, 2, 3)
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 1 })
			key, old := keyOf(p), &pb.Entry{Key: keyOf(p), Value: []byte("old"), Version: 2<<viewShift + 5}
			pull := b.pullOf(p)
			first := pb.Status(-1)
			b.m.Get(&pb.Get{Key: key}, b.now+sec, func(r Result) { first = r.Status })
			asked := b.take(func(m *pb.Message) bool { return m.GetPullKey() != nil })
			if len(asked) == 0 {
				b.t.Fatal("the key is not asked for")
			}
			b.from(pull.to, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{
				Done: uint32(len(pull.msg.GetPull().Partitions)), Entries: []*pb.Entry{old},
			}}}))
			if !b.m.parts[p].complete.Load() {
				b.t.Fatal("the pull is not complete")
			}
			b.m.Write(&pb.Write{Key: key, Value: []byte("new"), Ttl: 10 * ms}, b.now+sec, 0, func(Result) {})
			b.pass(100*ms, 2, 3)
			for _, l := range asked { // the sources were stopped for a moment
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_PullKeyReply{PullKeyReply: &pb.PullKeyReply{Key: key, Entry: old}}}))
			}
			if first == pb.Status(-1) {
				b.t.Fatal("who waited for the key is not answered")
			}
			return b.m.store.Get(p, key) == nil
		}},
		{"entries-before-cuts", "nothing is taken from a source that has not sent all its cuts (10)", func(b *bench) bool {
			b.join()
			b.pass(1500*ms, 2, 3)
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 1 })
			pull := b.pullOf(p)
			b.from(pull.to, b.stamp(pull.msg.Id, &pb.Message{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{
				Cuts: []*pb.CutRecord{{Tag: "x", Version: 2<<viewShift + 1}}, MoreCuts: true,
				Entries: []*pb.Entry{{Key: keyOf(p), Value: []byte("v"), Version: 2<<viewShift + 2}}, Done: uint32(len(pull.msg.GetPull().Partitions)),
			}}}))
			return !b.m.parts[p].complete.Load() && b.m.store.Get(p, keyOf(p)) == nil
		}},
		{"own-retention", "what an owner confirms after a revocation has ended is at its copies, whatever their clocks say (11)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { h := holdersAmong(b.t, 3, p); return h[0] == 2 && h[1] == 1 })
			b.enter(2, 3)
			b.confirm(2, 3)
			for i, kind := range []pb.Kind{pb.Kind_REVOKED, pb.Kind_LIVE} {
				b.from(2, b.stamp(uint64(700+i), &pb.Message{Body: &pb.Message_Copy{Copy: &pb.Copy{Entry: &pb.Entry{
					Key: keyOf(p), Version: 2<<viewShift + uint64(5+i), Kind: kind, Ttl: 60 * sec,
				}}}}))
			}
			e := b.m.store.Get(p, keyOf(p))
			return e != nil && e.Kind == store.Live
		}},
		{"forget-ended", "a fill is refused though the later value that says so has ended (13)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 1 })
			key := keyOf(p)
			b.enter(2, 3)
			b.confirm(2, 3)
			b.pass(2*sec, 2, 3)
			var miss Result
			b.m.Get(&pb.Get{Key: key, Fill: true}, b.now+sec, func(r Result) { miss = r })
			write := func(w *pb.Write) (status pb.Status) {
				status = -1
				w.Key = key
				b.m.Write(w, b.now+sec, 0, func(r Result) { status = r.Status })
				for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
					b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
				}
				return status
			}
			if s := write(&pb.Write{Value: []byte("new"), Ttl: 10 * ms}); s != pb.Status_OK || miss.Ticket == 0 {
				b.t.Fatalf("ticket %d, the write ended %v", miss.Ticket, s)
			}
			b.pass(100*ms, 2, 3)
			return write(&pb.Write{Value: []byte("old"), Ticket: miss.Ticket, TicketChain: miss.Chain}) == pb.Status_STALE_FILL
		}},
		{"resend-void", "a new copy is not sent the value of a write under way that was cut meanwhile (7, 10)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool {
				return holdersAmong(b.t, 3, p)[0] == 1 && holdersAmong(b.t, 4, p)[0] == 1 && holds(holdersAmong(b.t, 4, p), 4)
			})
			b.enter(2, 3)
			b.confirm(2, 3)
			b.pass(2*sec, 2, 3)
			b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v")}, b.now+sec, 0, func(Result) {})
			cut := &pb.CutRecord{All: true, Version: b.m.clock + 1}
			b.from(2, b.stamp(800, &pb.Message{Body: &pb.Message_Cut{Cut: &pb.Cut{Cuts: []*pb.CutRecord{cut}}}}))
			b.take(func(m *pb.Message) bool { return m.GetCopy() != nil })
			b.enter(3, 4, 3)
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
				if l.to == 4 {
					return l.msg.GetCopy().Entry.Kind != pb.Kind_LIVE
				}
			}
			b.t.Fatal("the new copy was sent nothing")
			return false
		}},
		{"condition-again", "a condition that fails when a write is sent again says nothing: the first attempt may be what is in the way", func(b *bench) bool {
			key := keyOf(partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 2 }))
			b.enter(2, 3)
			b.confirm(2, 3)
			b.pass(sec, 2, 3)
			write := func(broken bool) (r Result) {
				b.m.Write(&pb.Write{Key: key, Value: []byte("v"), IfAbsent: true}, b.now+sec, 0, func(x Result) { r = x })
				sent := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })
				if broken {
					b.m.Down(2, 2)
					b.m.Up(benchMembers[1], 2)
					sent = b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })
				}
				if len(sent) != 1 {
					b.t.Fatalf("%d writes were sent", len(sent))
				}
				b.from(2, b.stamp(sent[0].msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: pb.Status_CONDITION}}}))
				return r
			}
			if r := write(false); r.Status != pb.Status_CONDITION {
				b.t.Fatalf("a condition that failed at once ended %v", r.Status)
			}
			r := write(true)
			return r.Status == pb.Status_UNSURE && r.Tried
		}},
		{"one-id", "an answer to an attempt that was given up does not end the operation: the attempt sent since takes effect after that", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 2 && holdersAmong(b.t, 4, p)[0] == 4 })
			b.enter(2, 3)
			b.confirm(2, 3)
			b.pass(sec, 2, 3)
			ended := 0
			b.m.Write(&pb.Write{Key: keyOf(p), Value: []byte("v")}, b.now+60*sec, 0, func(r Result) {
				if ended++; r.Status != pb.Status_OK {
					b.t.Fatalf("the write ended %v", r.Status)
				}
			})
			b.enter(3, 4, 3) // d owns the key
			b.confirm(2, 3, 4)
			b.pass(20*ms, 2, 3, 4)
			b.enter(4, 3, 3, 4) // and has died: b owns it again
			b.confirm(2, 3)
			b.pass(20*ms, 2, 3)
			sent := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })
			if len(sent) != 3 || sent[0].to != 2 || sent[1].to != 4 || sent[2].to != 2 {
				b.t.Fatalf("the write was sent as %v", sent)
			}
			answer := func(l letter) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{}}}))
			}
			answer(sent[0])
			late := ended
			answer(sent[2])
			if ended != 1 {
				b.t.Fatalf("the write has ended %d times", ended)
			}
			return late == 0
		}},
		{"late-writes", "a write that was sent before its owner took over is refused: another may have confirmed it since (3)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 1 && holdersAmong(b.t, 4, p)[0] == 4 })
			b.enter(2, 3)
			b.confirm(2, 3)
			b.pass(2*sec, 2, 3)
			late := b.stamp(800, &pb.Message{Body: &pb.Message_Write{Write: &pb.Write{Key: keyOf(p), Value: []byte("v")}}})
			b.enter(3, 4, 3)
			b.enter(4, 3, 3, 4)
			b.confirm(2, 3)
			b.pass(10*sec, 2, 3)
			if !b.m.parts[p].acting || !b.m.parts[p].complete.Load() {
				b.t.Fatal("it does not act as the owner again")
			}
			b.take(func(*pb.Message) bool { return true })
			b.from(2, late)
			refused := b.take(func(m *pb.Message) bool { return m.GetWriteReply().GetStatus() == pb.Status_NOT_OWNER })
			return len(refused) == 1 && b.m.store.Get(p, keyOf(p)) == nil
		}},
		{"no-fence-wait", "a new owner acts when the lease of one that was left out has ended, no sooner and, if it knows, no later (8)", func(b *bench) bool {
			p := partition(b.t, func(p int) bool { return holdersAmong(b.t, 3, p)[0] == 3 && holdersAmong(b.t, 2, p)[0] == 1 })
			b.enter(2, 3)
			b.confirm(2, 3)
			b.told(&pb.Fence{Member: 3, Left: 300 * ms}, 3, 2, 3)
			b.pass(280*ms, 2)
			early := b.m.parts[p].acting
			b.pass(40*ms, 2)
			if !b.m.parts[p].acting || !b.m.barrierOff {
				b.t.Fatal("the new owner waits longer than it has to")
			}
			return !early
		}},
		{"fence-without-adoption", "who adopted a view late does not know what leases were carried into it (8)", func(b *bench) bool {
			b.enter(2, 3)
			b.confirm(2, 3)
			b.pass(400*ms, 2)
			next := &pb.View{Chain: 9, Number: 3, Members: benchMembers[:2], History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}}}
			b.from(2, b.stamp(0, &pb.Message{Body: &pb.Message_Accept{Accept: &pb.Accept{Ballot: &pb.Ballot{Round: 1, Proposer: 2}, Value: next}}}))
			said := b.take(func(m *pb.Message) bool { return m.GetAccepted() != nil })
			if len(said) != 1 || len(said[0].msg.GetAccepted().Fences) != 1 {
				b.t.Fatalf("%d answers, not one with one fence", len(said))
			}
			f := said[0].msg.GetAccepted().Fences[0]
			return f.Member == 3 && f.Left >= 600*ms && f.Left <= 616*ms
		}},
		{"stale-proof", "what is left of an earlier process proves nothing of the later one (1)", func(b *bench) bool {
			b.enter(2, 2)
			b.confirm(2)
			b.pass(20 * ms)
			b.m.Down(2, 2)
			earlier := &pb.Member{Name: "b", Id: 20, Addr: "b"}
			b.m.Up(earlier, 20)
			b.pass(3 * sec) // b is silent, and not known to be dead
			alone := b.m.lay.number() > 2 || b.m.chosen != nil
			asked := b.take(func(m *pb.Message) bool { return m.GetAlive() != nil })
			if len(asked) != 1 || asked[0].to != 20 {
				b.t.Fatalf("asked: %v", asked)
			}
			b.from(20, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: asked[0].msg.GetAlive().Asked, Answer: true}}})
			if b.pass(3 * sec); b.m.lay.number() == 2 && b.m.chosen == nil {
				b.t.Fatal("b is dead, and yet a is stuck")
			}
			return !alone
		}},
		{"twin-proves", "who lives beside a member, under its name, does not prove that it has ended (1)", func(b *bench) bool {
			b.enter(2, 2)
			b.confirm(2)
			b.m.Up(&pb.Member{Name: "b", Id: 20, Addr: "b"}, 20)
			b.pass(sec, 2) // b answers as ever
			answers := func(id uint64) {
				for _, l := range b.take(func(m *pb.Message) bool { return m.GetAlive() != nil && !m.GetAlive().Answer }) {
					if l.to == id {
						b.from(id, &pb.Message{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: l.msg.GetAlive().Asked, Answer: true}}})
					}
				}
			}
			b.m.Down(2, 2) // cut off, and alive
			b.pass(20 * ms)
			answers(20)
			if b.m.peers[20].aliveAt < b.m.peers[2].metAt {
				b.t.Fatal("the other has not answered")
			}
			b.pass(3 * sec)
			alone := b.m.lay.number() > 2 || b.m.chosen != nil
			b.m.Down(20, 20)
			b.m.Up(&pb.Member{Name: "b", Id: 21, Addr: "b"}, 21)
			answers(21)
			if b.pass(3 * sec); b.m.lay.number() == 2 && b.m.chosen == nil {
				b.t.Fatal("b has been started anew, and yet a is stuck")
			}
			return !alone
		}},
		{"recall-unconfirmed", "a near copy that is recalled is noted until its holder has dropped it: a write waits for that (12)", func(b *bench) bool {
			b, keys := lent(b.t, b.m.cfg.Mutant, 200)
			for _, key := range keys {
				_, rs := b.lend(key)
				if len(rs) == 0 {
					continue
				}
				done := false
				b.m.Write(&pb.Write{Key: rs[0].msg.GetInvalidate().Key, Value: []byte("new")}, b.now+sec, 0, func(Result) { done = true })
				told := b.take(func(m *pb.Message) bool { return m.GetInvalidate() != nil })
				for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
					b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
				}
				waited := !done
				if b.confirmDropped(append(rs, told...)...); !done {
					b.t.Fatal("the write is not confirmed")
				}
				return waited
			}
			b.t.Fatal("none was recalled")
			return false
		}},
		{"endless-alone", "a node alone in its view has a lease like others: others may join while it is paused (5)", func(b *bench) bool {
			b.enter(1, 1)
			b.pass(sec)
			b.m.store.Put(0, &store.Entry{Key: keyOf(0), Value: "v", Version: 1<<viewShift + 5})
			if _, how := b.m.Read(keyOf(0)); how != Hit {
				b.t.Fatal("not served")
			}
			b.now += sec // a pause: no tick
			_, how := b.m.Read(keyOf(0))
			return how != Hit
		}},
	} {
		t.Run(rule.mutant, func(t *testing.T) {
			if !rule.kept(newBench(t, "")) {
				t.Errorf("not kept: %s", rule.says)
			}
			if rule.kept(newBench(t, rule.mutant)) {
				t.Errorf("switched off and yet kept, so nothing was tested: %s", rule.says)
			}
		})
	}
}

// A change of the view concerns only the keys that change hands: the others are served all along, from memory and to those
// that are not in the same view yet, or already in the next one. The lease of the view before bounds that.
func TestReadsGoOn(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 && holdersAmong(t, 2, p)[0] == 1 })
	moved := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 3 && holdersAmong(t, 2, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	for _, p := range []int{p, moved} {
		b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 5})
	}
	b.enter(3, 2, 3)
	if _, how := b.m.Read(keyOf(p)); how != Hit {
		t.Error("what did not change hands is not served from memory")
	}
	ask := func(view uint64, p int) pb.Status {
		msg := b.stamp(900, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p), Keep: true}}})
		msg.View = view
		b.from(2, msg)
		replies := b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil })
		if len(replies) == 0 {
			return -1
		}
		r := replies[0].msg.GetGetReply()
		if r.Keep && view != b.m.lay.number() {
			t.Error("an answer to another view was given to keep")
		}
		return r.Status
	}
	for view, want := range map[uint64]pb.Status{2: pb.Status_OK, 3: pb.Status_OK, 4: pb.Status_OK} {
		if got := ask(view, p); got != want {
			t.Errorf("asked from view %d: %v", view, got)
		}
	}
	if got := ask(2, moved); got != pb.Status_NOT_OWNER {
		t.Errorf("what is being taken over was answered: %v", got)
	}
	if got := ask(4, moved); got != -1 {
		t.Errorf("what is being taken over was answered: %v", got)
	}
	b.pass(sec) // nobody confirms the new view
	if _, how := b.m.Read(keyOf(p)); how == Hit {
		t.Error("served without a lease")
	}
}

// A read that comes while its partition is being taken over is answered the moment that is done; a write is refused, for its caller
// may have given it up by then.
func TestReadsWaitForTheTakeOver(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 3 && holdersAmong(t, 2, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.m.store.Put(p, &store.Entry{Key: keyOf(p), Value: "v", Version: 2<<viewShift + 5})
	b.enter(3, 2, 3)
	b.confirm(2)
	b.from(2, b.stamp(900, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}}))
	b.from(2, b.stamp(901, &pb.Message{Body: &pb.Message_Write{Write: &pb.Write{Key: keyOf(p), Value: []byte("w")}}}))
	answers := func() []letter {
		return b.take(func(m *pb.Message) bool { return m.GetGetReply() != nil || m.GetWriteReply() != nil })
	}
	if got := answers(); len(got) != 1 || got[0].msg.GetWriteReply().GetStatus() != pb.Status_UNSURE {
		t.Fatalf("before the old owner knows: %v", got)
	}
	b.from(3, b.stamp(0, &pb.Message{Body: &pb.Message_LeaseGrant{LeaseGrant: &pb.LeaseGrant{}}})) // it knows now
	if got := answers(); len(got) != 1 || got[0].msg.GetGetReply().GetStatus() != pb.Status_OK {
		t.Fatalf("when it knows: %v", got)
	}

	b.enter(4, 3, 2, 3) // and away again, while a read is held: the asker is told
	b.m.held = append(b.m.held, heldGet{
		from: b.m.peers[2], session: 2, part: p, at: b.now,
		msg: &pb.Message{Id: 902, Chain: 9, View: 3, Body: &pb.Message_Get{Get: &pb.Get{Key: keyOf(p)}}},
	})
	b.m.Tick(20 * ms)
	if got := answers(); len(got) != 1 || got[0].msg.GetGetReply().GetStatus() != pb.Status_NOT_OWNER {
		t.Fatalf("after the next view: %v", got)
	}
}

// A revocation goes on after its caller has given up, and is counted when it is confirmed (P3).
func TestLateRevocation(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 })
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	status := pb.Status(-1)
	b.m.Write(&pb.Write{Key: keyOf(p), Kind: pb.Kind_REVOKED}, b.now+50*ms, b.now+60*sec, func(r Result) { status = r.Status })
	b.pass(200*ms, 2, 3)
	if status != pb.Status_UNSURE || b.m.Counters.Late.Load() != 0 {
		t.Fatalf("after the deadline: %v, %d late", status, b.m.Counters.Late.Load())
	}
	copies := b.take(func(m *pb.Message) bool { return m.GetCopy() != nil })
	if len(copies) != 1 {
		t.Fatalf("%d copies were sent", len(copies))
	}
	b.from(copies[0].to, b.stamp(copies[0].msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
	if b.m.Counters.Late.Load() != 1 || b.m.operations() != 0 {
		t.Fatalf("%d late, %d operations are left", b.m.Counters.Late.Load(), b.m.operations())
	}
}

// Deletions and cuts that were to go on after their callers, and are given up, are told of: together, for they may be many. One whose condition
// does not hold any more has nothing left to do.
func TestDeletionsThatAreGivenUp(t *testing.T) {
	for _, ends := range []bool{false, true} { // by Close, and not by time
		b := newBench(t, "")
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(sec, 2, 3)
		b.m.Down(3, 3)
		at := func(owner uint64) string {
			return keyOf(partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == owner }))
		}
		told := 0
		tell := func(Result) { told++ }
		for range 2 {
			b.m.Write(&pb.Write{Key: at(3), Kind: pb.Kind_REVOKED}, b.now+50*ms, b.now+600*sec, tell)
		}
		b.m.Cut([]string{"user"}, b.now+50*ms, b.now+600*sec, tell)
		b.m.Write(&pb.Write{Key: at(2), Kind: pb.Kind_TOMBSTONE, IfVersion: 7}, b.now+50*ms, b.now+600*sec, tell)
		b.pass(sec, 2)
		w := b.take(func(m *pb.Message) bool { return m.GetWrite() != nil })[0]
		b.from(2, b.stamp(w.msg.Id, &pb.Message{Body: &pb.Message_WriteReply{WriteReply: &pb.WriteReply{Status: pb.Status_CONDITION}}}))
		given := func() []string {
			return slices.DeleteFunc(slices.Clone(b.events), func(text string) bool { return !strings.Contains(text, "given up") })
		}
		if told != 4 || len(given()) != 0 || b.m.Counters.GivenUp.Load() != 0 || b.m.operations() != 2 {
			t.Fatalf("%d told, %q, %d under way", told, given(), b.m.operations())
		}
		want := "time is up: 3;"
		if ends {
			want = "this node ends: 3;"
			b.m.Abandon()
		} else {
			b.now += 600 * sec
			b.m.Tick(20 * ms)
		}
		if got := given(); len(got) != 1 || !strings.Contains(got[0], want) || b.m.Counters.GivenUp.Load() != 3 || b.m.Counters.Late.Load() != 0 || b.m.operations()+len(b.m.cuts) != 0 {
			t.Errorf("said %q, want %q; %d counted", got, want, b.m.Counters.GivenUp.Load())
		}
	}
}

// A member that has left, and has said so, serves nothing more: no write waits for the lease of its near copies.
func TestNoWaitForWhoHasLeft(t *testing.T) {
	for _, said := range []bool{true, false} {
		b := newBench(t, "")
		p := partition(t, func(p int) bool {
			return holdersAmong(t, 3, p)[0] == 1 && holdersAmong(t, 2, p)[0] == 1 && !slices.Contains(holdersAmong(t, 3, p), 3)
		})
		key := keyOf(p)
		write := func() (done *bool) {
			done = new(bool)
			b.m.Write(&pb.Write{Key: key, Value: []byte("v")}, b.now+3*sec, 0, func(r Result) { *done = r.Status == pb.Status_OK })
			for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
				b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
			}
			return done
		}
		b.enter(2, 3)
		b.confirm(2, 3)
		b.pass(2*sec, 2, 3)
		if !*write() {
			t.Fatal("not written")
		}
		b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
		b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
		if len(b.m.parts[p].holders[key]) != 1 {
			t.Fatal("c is no holder")
		}
		b.m.learn(&pb.View{
			Chain: 9, Number: 3, Members: benchMembers[:2], Leaving: benchMembers[2:3],
			History: []*pb.MemberSet{{Number: 2, Members: benchMembers[:3]}},
		})
		b.enter(3, 2) // its rings
		b.confirm(2)
		done := write()
		b.take(func(m *pb.Message) bool { return m.GetCopy() != nil })
		if *done {
			t.Fatal("the write did not wait for c, which may be serving")
		}
		if said {
			b.from(3, b.stamp(0, &pb.Message{}))
		}
		if *done != said {
			t.Errorf("c has said that it left: %v; the write is confirmed: %v", said, *done)
		}
	}
}

// A write that is over is remembered nowhere, however long it had to wait for whom.
func TestNothingLeftOfAWrite(t *testing.T) {
	b := newBench(t, "")
	p := partition(t, func(p int) bool { return holdersAmong(t, 3, p)[0] == 1 && !slices.Contains(holdersAmong(t, 3, p), 3) })
	key := keyOf(p)
	b.enter(2, 3)
	b.confirm(2, 3)
	b.pass(2*sec, 2, 3)
	write := func() (done *bool) {
		done = new(bool)
		b.m.Write(&pb.Write{Key: key, Value: []byte("v")}, b.now+3*sec, 0, func(r Result) { *done = r.Status == pb.Status_OK })
		for _, l := range b.take(func(m *pb.Message) bool { return m.GetCopy() != nil }) {
			b.from(l.to, b.stamp(l.msg.Id, &pb.Message{Body: &pb.Message_CopyReply{CopyReply: &pb.CopyReply{}}}))
		}
		return done
	}
	write()
	b.from(3, b.stamp(600, &pb.Message{Body: &pb.Message_LeaseAsk{LeaseAsk: &pb.LeaseAsk{Asked: b.now}}}))
	b.from(3, b.stamp(601, &pb.Message{Body: &pb.Message_Get{Get: &pb.Get{Key: key, Keep: true}}}))
	done := write() // c does not say that it has dropped its near copy
	if *done {
		t.Fatal("the write did not wait for c")
	}
	if b.pass(1500*ms, 2, 3); !*done {
		t.Fatal("the lease of c has ended, and yet the write is not confirmed")
	}
	for id, ws := range b.m.byPeer {
		if len(ws) > 0 {
			t.Errorf("%d writes that are over are kept for %d", len(ws), id)
		}
	}
}
