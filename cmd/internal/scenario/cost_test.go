package scenario

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/ring"
	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/peerpb"
)

// embed starts nodes in this process, each with sockets of its own, and waits until they are in sync. With many on one machine the
// ring should be a small one: all build it at the same time.
func embed(t *testing.T, n, partitions, virtual int) []*node.Node {
	t.Helper()
	var join []string
	var held []net.Listener
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, ln)
		join = append(join, ln.Addr().String())
	}
	var nodes []*node.Node
	var said lines
	t.Cleanup(func() {
		var closing sync.WaitGroup
		for _, nd := range nodes {
			closing.Go(func() { _ = nd.Close() })
		}
		closing.Wait()
	})
	for i, addr := range join {
		_ = held[i].Close()
		nd, err := node.Start(t.Context(), node.Config{
			Name: fmt.Sprintf("node-%d", i+1), Listen: addr, Join: join[:min(n, 3)], Expect: n, Partitions: partitions, VirtualNodes: virtual,
			Logger: slog.New(slog.NewTextHandler(&said, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, nd)
	}
	for _, nd := range nodes {
		select {
		case <-nd.Ready():
		case <-time.After(2 * time.Minute):
			for _, other := range nodes {
				t.Logf("%s: %+v %+v", other.Name(), other.Stats(), other.Members())
			}
			t.Fatalf("%s is not ready; the nodes said:\n%s", nd.Name(), said.String())
		}
	}
	for begun := time.Now(); ; { // the last to know
		st := nodes[n-1].Stats()
		if st.Members == n && st.Settled {
			return nodes
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("not settled: %+v", st)
		}
		wait(t, 50*time.Millisecond)
	}
}

// lines keeps what is written to it. It is safe for concurrent use.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// echo sends back what it gets, or tells that the echo is there.
type echo struct {
	tr   *transport.Transport
	up   chan uint64
	back chan struct{} // nil: send back
}

func (e *echo) Up(_ *peerpb.Member, session uint64) { e.up <- session }
func (e *echo) Down(uint64, uint64, error)          {}
func (e *echo) Unreachable(uint64, error)           {}
func (e *echo) Refused(uint64, string, string)      {}

func (e *echo) Receive(peer, session uint64, ms []*peerpb.Message) {
	for _, m := range ms {
		if e.back == nil {
			e.tr.Send(peer, session, m)
		} else {
			e.back <- struct{}{}
		}
	}
}

// echoes returns a function that does one round trip on a stream between two transports.
func echoes(t *testing.T) func() {
	t.Helper()
	near, far := &echo{up: make(chan uint64, 1), back: make(chan struct{}, 1)}, &echo{up: make(chan uint64, 1)}
	for i, e := range []*echo{near, far} {
		tr, err := transport.Listen(t.Context(), transport.Config{
			Self: &peerpb.Member{Name: fmt.Sprint(i), Id: uint64(i) + 1}, Cluster: "echo", Ring: "none", Replicas: 1, Handler: e,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tr.Close() })
		e.tr = tr
		tr.Start()
	}
	near.tr.Connect(far.tr.Self())
	session := <-near.up
	body := &peerpb.Message_Copy{Copy: &peerpb.Copy{Entry: &peerpb.Entry{Key: "session-0000", Kind: peerpb.Kind_TOMBSTONE}}}
	return func() {
		near.tr.Send(2, session, &peerpb.Message{Chain: 1, View: 1, Id: 1, Body: body})
		<-near.back
	}
}

// A Delete on a node that neither owns nor copies the session goes to the owner and from there to the copy: two hops one after the
// other. It is measured in turn with round trips on a bare stream.
func TestHealthyDeleteIsTwoHops(t *testing.T) {
	nodes, trip := embed(t, 3, 1021, 100), echoes(t)
	var trips, deletes []time.Duration
	for i := 0; len(deletes) < sized(300, 5000); i++ {
		key := fmt.Sprintf("session-%d", i)
		place := nodes[0].Locate(key)
		if place.Owner == nodes[0].Name() || place.Copies[0] == nodes[0].Name() {
			continue
		}
		if err := nodes[1].Set(t.Context(), key, []byte("session")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		trip()
		trips = append(trips, time.Since(begun))
		begun = time.Now()
		if err := nodes[0].Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		deletes = append(deletes, time.Since(begun))
	}
	slices.Sort(trips)
	slices.Sort(deletes)
	at := func(ds []time.Duration, percent int) time.Duration { return ds[len(ds)*percent/100] }
	ratio := float64(at(deletes, 50)) / float64(at(trips, 50))
	t.Logf("Delete p50 %v, p99 %v; round trip p50 %v, p99 %v; ratio of the medians %.2f", at(deletes, 50), at(deletes, 99), at(trips, 50), at(trips, 99), ratio)
	if *full && ratio > 2.5 {
		t.Errorf("a Delete takes %.2f round trips; at most 2.5 are promised", ratio)
	}
}

// What nodes say to each other when nobody asks them anything.
func TestBackgroundTraffic(t *testing.T) {
	during := sized(3*time.Second, 30*time.Second)
	tell := func(n int, messages, bytes uint64, took time.Duration) {
		per := func(count uint64) float64 { return float64(count) / float64(n) / took.Seconds() }
		t.Logf("%d nodes: %.1f messages, %.0f bytes per node and second", n, per(messages), per(bytes))
		// Asks and grants, three times a lease, to and from each other node; the rest is for reports and views.
		if most := 8 * float64(n-1); per(messages) > most {
			t.Errorf("%d nodes: %.1f messages per node and second, more than %.0f", n, per(messages), most)
		}
	}
	for _, n := range sized([]int{3}, []int{3, 10}) {
		t.Run(fmt.Sprintf("processes=%d", n), func(t *testing.T) {
			w := start(t, cluster.Options{Nodes: n})
			messages, bytes := w.total(func(s stats) uint64 { return s.SentMessages }), w.total(func(s stats) uint64 { return s.SentBytes })
			begun := time.Now()
			wait(t, during)
			took := time.Since(begun)
			tell(n, w.total(func(s stats) uint64 { return s.SentMessages })-messages, w.total(func(s stats) uint64 { return s.SentBytes })-bytes, took)
		})
	}
	for _, n := range sized(nil, []int{10, 50}) {
		t.Run(fmt.Sprintf("embedded=%d", n), func(t *testing.T) {
			nodes := embed(t, n, 1021, 100)
			count := func() (messages, bytes uint64) {
				for _, nd := range nodes {
					st := nd.Stats()
					messages, bytes = messages+st.SentMessages, bytes+st.SentBytes
				}
				return messages, bytes
			}
			messages, bytes := count()
			begun := time.Now()
			wait(t, during)
			took := time.Since(begun)
			m, b := count()
			tell(n, m-messages, b-bytes, took)
		})
	}
}

// look is one read while a node crashes.
type look struct {
	at      time.Duration // since the crash
	session int
	unsure  bool
}

// One of five nodes crashes under load. Answers that are not sure come for its share of the sessions only, and end soon.
func TestHitsDuringACrash(t *testing.T) {
	const nodes, victim = 5, 2
	n := sized(1000, 10_000)
	w := start(t, cluster.Options{Nodes: nodes, Args: []string{"--when-unsure", "miss"}})
	s := newSessions("m", n, 200)
	w.fill(s, 0, n)
	var mu sync.Mutex
	var looks []look
	var failed atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reading sync.WaitGroup
	crash := time.Now().Add(sized(time.Second, 5*time.Second))
	for i, cl := range w.at {
		for range 4 * boolTo(i != victim) {
			reading.Go(func() {
				var mine []look
				for ctx.Err() == nil {
					k := rand.IntN(n)
					begun := time.Since(crash)
					value, err := cl.Get(context.Background(), s.key(k)).Result()
					switch {
					case errors.Is(err, redis.Nil):
						mine = append(mine, look{begun, k, true})
					case err != nil:
						failed.Add(1)
					default:
						s.judge(k, 1, value, true)
						mine = append(mine, look{begun, k, false})
					}
					select {
					case <-ctx.Done():
					case <-time.After(2 * time.Millisecond):
					}
				}
				mu.Lock()
				defer mu.Unlock()
				looks = append(looks, mine...)
			})
		}
	}
	wait(t, time.Until(crash))
	id := w.id(victim)
	w.c.Nodes()[victim].Kill()
	killed := time.Since(crash)
	out := w.gone(id, time.Now())
	wait(t, sized(5*time.Second, 8*time.Second))
	cancel()
	reading.Wait()
	w.settled(60 * time.Second)
	w.certain(s, w.up())
	s.report(t)

	var names []string
	for _, nd := range w.c.Nodes() {
		names = append(names, nd.Name)
	}
	table, err := ring.Build(names, 2, ring.Params{})
	if err != nil {
		t.Fatal(err)
	}
	// In tenths of a second: all reads, and those of sessions that the dead node had owned.
	type count struct{ reads, unsure int }
	var all, its [80]count
	var before count
	missed := make(map[int]bool)
	for _, l := range looks {
		b := int((l.at - killed) / (100 * time.Millisecond))
		if l.at < killed {
			before.reads++
			before.unsure += boolTo(l.unsure)
			continue
		}
		if b >= len(all) {
			continue
		}
		all[b].reads++
		all[b].unsure += boolTo(l.unsure)
		if table.Owner(table.Partition(s.key(l.session))) == victim {
			its[b].reads++
			its[b].unsure += boolTo(l.unsure)
			if l.unsure {
				missed[l.session] = true
			}
		}
	}
	// A busy machine makes single reads late, which are misses then. Unsure is a tenth of a second with more than a few of them.
	first, last, unsure, others := -1, -1, 0, 0
	for b := range its {
		unsure += its[b].unsure
		others += all[b].unsure - its[b].unsure
		if its[b].unsure >= 3 && its[b].unsure*20 > its[b].reads {
			if first < 0 {
				first = b
			}
			last = b
		}
	}
	var during count
	for b := max(first, 0); b <= last; b++ {
		during.reads += all[b].reads
		during.unsure += all[b].unsure
	}
	share := float64(during.unsure) / float64(max(during.reads, 1))
	from, to := time.Duration(first)*100*time.Millisecond, time.Duration(last+1)*100*time.Millisecond
	t.Logf("%d reads, %d of %d before the crash not answered in time; out of the views after %v; then unsure from %v to %v after the kill: %d reads of %d sessions of the dead node, of %d in all, %.1f%% of all reads in that time (1/N is %.0f%%); %d late reads of others",
		len(looks), before.unsure, before.reads, out.Round(time.Millisecond), from, to, unsure, len(missed), n, 100*share, 100.0/nodes, others)
	if failed.Load() > 0 {
		t.Errorf("%d reads failed", failed.Load())
	}
	if to > outWithin {
		t.Errorf("answers were unsure until %v after the crash", to)
	}
	if share > 1.5/nodes {
		t.Errorf("%.0f%% of the reads were unsure", 100*share)
	}
}

// certain asks each session through one of the nodes until it is certain whether it is there.
func (w *world) certain(s *sessions, through []int) {
	w.t.Helper()
	w.batches(s.len(), through, func(node, from, to int) {
		for i := from; i < to; i++ {
			for begun := time.Now(); ; {
				e, err := w.c.Nodes()[node].Client().Get(w.t.Context(), s.key(i))
				var refused *api.Error
				absent := errors.As(err, &refused) && refused.Code == api.CodeAbsent
				if err == nil || absent {
					s.judge(i, 1, string(e.Value), !absent)
					break
				}
				if time.Since(begun) > 20*time.Second {
					w.t.Errorf("%s has no answer: %v", s.key(i), err)
					return
				}
			}
		}
	})
}

func boolTo(b bool) int {
	if b {
		return 1
	}
	return 0
}
