package protocol

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/node/store"
	"github.com/huddle-cache/huddle/ring"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// fuzzEnv is a world in which all that is sent is counted.
type fuzzEnv struct {
	now   int64
	rng   *rand.Rand
	sent  []*pb.Message
	build [][]string // rings asked for
}

func (e *fuzzEnv) Now() int64                      { return e.now }
func (e *fuzzEnv) Send(_, _ uint64, m *pb.Message) { e.sent = append(e.sent, m) }
func (e *fuzzEnv) Queued(_, _ uint64) int          { return 0 }
func (e *fuzzEnv) Connect(*pb.Member)              {}
func (e *fuzzEnv) Disconnect(uint64)               {}
func (e *fuzzEnv) Random() uint64                  { return e.rng.Uint64() }
func (e *fuzzEnv) Yield()                          {}
func (e *fuzzEnv) Reincarnate(*pb.Member)          {}
func (e *fuzzEnv) Announce(_, _ uint64, _ int)     {}
func (e *fuzzEnv) Event(string, string, string)    {}
func (e *fuzzEnv) Build(names []string)            { e.build = append(e.build, names) }

// built brings the rings that were asked for.
func (e *fuzzEnv) built(m *Machine) {
	for len(e.build) > 0 {
		names := e.build[0]
		e.build = e.build[1:]
		t, _ := ring.Build(names, m.cfg.Replicas, m.cfg.Ring) // nil for members without a ring, as in the node
		m.Built(names, t)
	}
}

const fuzzBytes = 1 << 20

func fuzzMachine() (*Machine, *fuzzEnv, *store.Store) {
	env := &fuzzEnv{now: sec, rng: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same each time
	params := ring.Params{Partitions: 13, VirtualNodes: 5, Load: 1.25}
	st := store.New(store.Config{Partitions: params.Partitions, MaxBytes: fuzzBytes, Now: env.Now})
	m := New(Config{
		Self: &pb.Member{Name: "a", Id: 1, Addr: "h:1"}, Solo: true, Replicas: 2, Ring: params, Lease: sec, ExpelAfter: 2 * sec,
		ForgetAfter: 60 * sec, Settle: sec, Retention: 60 * sec, Tombstone: 10 * sec, MaxHolders: 100, MaxPending: 100, MaxUnacked: fuzzBytes, HighWater: fuzzBytes, Log: slog.New(slog.DiscardHandler),
	}, env, st)
	for range 100 { // it founds a cluster
		env.now += 50 * ms
		m.Tick(20 * ms)
		env.built(m)
	}
	return m, env, st
}

// FuzzReceive hands a machine any messages from a peer that may be one: they may do anything but bring it down, go over its
// bounds, or keep it from answering its own callers in time.
func FuzzReceive(f *testing.F) {
	add := func(ms ...*pb.Message) {
		b, err := proto.Marshal(&pb.Frame{Messages: ms})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	entry := &pb.Entry{Key: "k", Value: []byte("v"), Version: 1 << 50, Ttl: int64(sec)}
	view := &pb.View{Chain: 5, Number: 9, Members: []*pb.Member{{Name: "a", Id: 1}, {Name: "b", Id: 2}}}
	bodies := []*pb.Message{
		{Body: &pb.Message_Get{Get: &pb.Get{Key: "k", Keep: true}}},
		{Body: &pb.Message_Write{Write: &pb.Write{Key: "k", Value: []byte("v")}}},
		{Body: &pb.Message_Write{Write: &pb.Write{Key: "k", Kind: 77, Ttl: -1, IfVersion: 3}}},
		{Body: &pb.Message_Copy{Copy: &pb.Copy{Entry: entry}}},
		{Body: &pb.Message_Pull{Pull: &pb.Pull{Partitions: []uint32{0, 1 << 31}, MaxBytes: 1 << 31}}},
		{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{Entries: []*pb.Entry{entry, nil}, Done: 3}}},
		{Body: &pb.Message_Cut{Cut: &pb.Cut{Cuts: []*pb.CutRecord{{Tag: "t", Version: 1 << 45}, {Version: 7}}}}},
		{Body: &pb.Message_Pull{Pull: &pb.Pull{Partitions: []uint32{0}, Cuts: true, CutsAfter: &pb.CutRecord{Tag: "t", Version: 1 << 45}}}},
		{Body: &pb.Message_PullReply{PullReply: &pb.PullReply{Cuts: []*pb.CutRecord{{Tag: "t", Version: 1 << 45}}, MoreCuts: true}}},
		{Body: &pb.Message_PullKey{PullKey: &pb.PullKey{Key: "k"}}},
		{Body: &pb.Message_Invalidate{Invalidate: &pb.Invalidate{Key: "k", Version: 1 << 60}}},
		{Body: &pb.Message_Scan{Scan: &pb.Scan{Partition: 1 << 30}}},
		{Body: &pb.Message_Decide{Decide: &pb.Decide{View: view, Fences: []*pb.Fence{{Member: 2, Left: -1}, {Member: 3, Left: 1 << 62}}}}},
		{Body: &pb.Message_Alive{Alive: &pb.Alive{Asked: 1 << 62, Answer: true}}},
		{Body: &pb.Message_ViewPlease{ViewPlease: &pb.ViewPlease{}}},
		{Body: &pb.Message_Get{}},
		{Body: &pb.Message_Write{}},
		{Body: &pb.Message_Copy{}},
		{Body: &pb.Message_Decide{}},
		{},
	}
	add(bodies...)
	for _, b := range bodies {
		add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		frame := new(pb.Frame)
		if proto.Unmarshal(raw, frame) != nil || len(frame.Messages) > 64 {
			return
		}
		if len(raw) > 4096 { // a view of thousands of members takes its time, but is no parser's matter
			return
		}
		// What takes long is a failure too; the panic also shows where it is.
		watch := time.AfterFunc(30*time.Second, func() { panic("the machine is busy with it for 30 s") })
		defer watch.Stop()
		m, env, st := fuzzMachine()
		m.Up(&pb.Member{Name: "b", Id: 2, Addr: "h:2"}, 1)
		for _, msg := range frame.Messages {
			// Half of them are of the machine's own cluster and view: those go deepest.
			if m.lay != nil && msg.Chain%2 == 0 {
				msg.Chain, msg.View = m.lay.view.Chain, m.lay.number()
			}
			m.Receive(2, 1, msg)
			env.now += 10 * ms
			m.Tick(20 * ms)
			env.built(m)
		}
		if _, err := proto.Marshal(&pb.Frame{Messages: env.sent}); err != nil {
			t.Errorf("what it sends cannot be sent: %v", err)
		}
		if b := st.Stats().Bytes; b > fuzzBytes {
			t.Errorf("%d bytes are held", b)
		}
		answered := false
		m.Get(&pb.Get{Key: "mine"}, env.now+int64(sec), func(Result) { answered = true })
		for range 200 {
			env.now += 20 * ms
			m.Tick(20 * ms)
			env.built(m)
		}
		if !answered {
			t.Error("a read of its own is never answered")
		}
		m.Down(2, 1)
		for range 20 {
			env.now += 100 * ms
			m.Tick(20 * ms)
			env.built(m)
		}
	})
}
