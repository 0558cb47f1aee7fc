package protocol

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// BenchmarkAdopt measures what a member does, under the machine's lock, when the last of n members comes and goes. That is how long
// a change of the view holds up what does not change hands.
func BenchmarkAdopt(b *testing.B) {
	for _, n := range []int{3, 12, 50} {
		b.Run(fmt.Sprint("N=", n), func(b *testing.B) {
			e := &bench{now: 1000 * sec}
			var members []*pb.Member
			for i := range n {
				members = append(members, &pb.Member{Name: fmt.Sprintf("node-%02d", i), Id: uint64(i + 1)})
			}
			params := ring.DefaultParams()
			st := store.New(store.Config{Partitions: params.Partitions, MaxBytes: 64 << 20, Now: e.Now})
			m := New(Config{
				Self: members[0], Replicas: 2, Ring: params, Lease: sec, ExpelAfter: 2 * sec, Settle: sec, Retention: 3600 * sec,
				Tombstone: 60 * sec, MaxHolders: 100, MaxPending: 100, MaxUnacked: 1 << 20, HighWater: 1 << 20, Log: slog.New(slog.DiscardHandler),
			}, e, st)
			for _, p := range members[1:] {
				m.Up(p, p.Id)
			}
			views := [2]*pb.View{
				{Chain: 9, Members: members, History: []*pb.MemberSet{{Members: members[:n-1]}}},
				{Chain: 9, Members: members[:n-1], History: []*pb.MemberSet{{Members: members}}},
			}
			for i := range views {
				if _, err := m.lays.layout(views[i], 1); err != nil {
					b.Fatal(err)
				}
			}
			number := uint64(1)
			for b.Loop() {
				v := views[number%2]
				number++
				m.adopt(&pb.View{Chain: 9, Number: number, Members: v.Members, History: []*pb.MemberSet{{Number: number - 1, Members: v.History[0].Members}}})
				e.sent = e.sent[:0]
			}
		})
	}
}

// BenchmarkTickWithRevocations measures a tick while so many revocations go on whose callers have given up, and whose owner is out of reach.
func BenchmarkTickWithRevocations(b *testing.B) {
	for _, n := range []int{0, 2_000, 20_000} {
		b.Run(fmt.Sprint("N=", n), func(b *testing.B) {
			e := newBench(nil, "")
			e.m.Down(2, 2)
			for i := range n {
				e.m.Write(&pb.Write{Key: fmt.Sprint(i), Kind: pb.Kind_REVOKED}, e.now, e.now+3600*sec, func(Result) {})
			}
			for b.Loop() {
				e.now += 20 * ms
				e.m.Tick(20 * ms)
				e.sent = e.sent[:0]
			}
		})
	}
}
