package scenario

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/ring"
)

// revokeWithin bounds a Delete while a node that has the session does not answer: the expulsion and one lease, and some room for a
// busy machine.
const revokeWithin = 4 * time.Second

// revokeArgs: a read that is not sure is answered at once, as a miss.
var revokeArgs = []string{"--when-unsure", "miss"}

// revocations counts what cycles of revocations came to. It is safe for concurrent use.
type revocations struct {
	mu     sync.Mutex
	cycles int
	reads  int
	stale  []string
	leases []time.Duration // of the slowest Delete of each cycle in which only leases had to end
	expels []time.Duration // and of those in which the node had to be expelled
	healed []time.Duration
	near   uint64 // hits from near copies before the fault
}

// report logs the figures and fails the test if a dead session was served.
func (r *revocations) report(t *testing.T) {
	t.Helper()
	times := func(ds []time.Duration) string {
		if len(ds) == 0 {
			return "(none)"
		}
		slices.Sort(ds)
		at := func(q float64) time.Duration { return ds[int(q*float64(len(ds)-1))].Round(time.Millisecond) }
		return fmt.Sprintf("p50 %v, p95 %v, longest %v", at(0.5), at(0.95), at(1))
	}
	t.Logf("%d cycles, %d reads of revoked sessions, %d of them stale; Delete of near-cached sessions: %s; of some that the node owned or copied: %s; healed: %s; %d near hits before",
		r.cycles, r.reads, len(r.stale), times(r.leases), times(r.expels), times(r.healed), r.near)
	if r.near < uint64(r.cycles) {
		t.Errorf("only %d of the sessions had been near-cached, in %d cycles", r.near, r.cycles)
	}
	for _, text := range r.stale[:min(5, len(r.stale))] {
		t.Error(text)
	}
	if all := slices.Concat(r.leases, r.expels); slices.Max(all) > revokeWithin {
		t.Errorf("a Delete took %v; %v is promised", slices.Max(all), revokeWithin)
	}
}

// fault takes a node out of touch, and back.
type fault struct {
	make, undo func(victim int) error
	deaf       bool // the node answers its clients only after undo
}

// cycles runs revocations during a fault on some clusters at a time, n in all.
func cycles(t *testing.T, n int, opts cluster.Options, faultOf func(w *world) fault) {
	t.Helper()
	opts.Nodes, opts.Args = 3, revokeArgs
	r := &revocations{}
	at := min(n/2, *lanes)
	t.Run("clusters", func(t *testing.T) {
		for lane := range at {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				w := start(t, opts)
				table, err := ring.Build([]string{"node-1", "node-2", "node-3"}, 2, ring.Params{})
				if err != nil {
					t.Fatal(err)
				}
				f := faultOf(w)
				for k := lane; k < n; k += at {
					w.revoke(r, f, table, at, k)
				}
			})
		}
	})
	if r.cycles > 0 {
		r.report(t)
	}
}

// pick finds keys of which the node with that number is the owner (place 0), the copy (1), or none of both (-1).
func pick(table *ring.Table, prefix string, node, place, n int) []string {
	var keys []string
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprintf("%s-%d", prefix, i)
		if slices.Index(table.Owners(table.Partition(key)), uint16(node)) == place {
			keys = append(keys, key)
		}
	}
	return keys
}

// revoke is cycle k, while at clusters run: sessions that a node has just served are deleted through another while it is out of
// touch, and asked for at the first as soon as the Delete is through.
func (w *world) revoke(r *revocations, f fault, table *ring.Table, at, k int) {
	t, ctx := w.t, w.t.Context()
	victim := k / at % 3
	other := w.at[(victim+1+k/at/3%2)%3]
	keys := pick(table, fmt.Sprintf("near%d", k), victim, -1, 3)
	expel := k/at%2 == 1
	if expel { // else nothing but leases keeps the Delete waiting
		keys = append(keys, pick(table, fmt.Sprintf("copy%d", k), victim, 1, 1)...)
		keys = append(keys, pick(table, fmt.Sprintf("owned%d", k), victim, 0, 1)...)
	}
	near := w.stats(victim).NearHits
	for _, key := range keys {
		if err := other.Set(ctx, key, "session of "+key, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second from its own memory
			w.hit(victim, key)
		}
	}
	near = w.stats(victim).NearHits - near
	conn, err := net.Dial("tcp", w.c.Nodes()[victim].RESP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := f.make(victim); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var deleting sync.WaitGroup
	errs := make([]error, len(keys))
	for i, key := range keys {
		deleting.Go(func() {
			n, err := other.Del(ctx, key).Result()
			if errs[i] = err; err == nil && n != 1 {
				errs[i] = fmt.Errorf("%s was not there when it was deleted", key)
			}
		})
	}
	deleting.Wait()
	took := time.Since(begun)
	if err := errors.Join(errs...); err != nil {
		t.Errorf("cycle %d, %s out of touch from %v on, for %v: %v", k, w.c.Nodes()[victim].Name, begun.UTC().Format(time.StampMilli), took, err)
		w.tell()
	}
	// Every question from here on begins after the Delete.
	var found []string
	reads := 0
	ask := func(when string) {
		values, err := answers(conn, keys, f.undo, victim, when == "first" && f.deaf)
		if err != nil {
			t.Fatalf("cycle %d: %v", k, err)
		}
		for i, v := range values {
			reads++
			if v != "" && errs[i] == nil { // one that is not confirmed may be there still
				found = append(found, fmt.Sprintf("cycle %d: %s is served by %s (%s) after its Delete", k, keys[i], w.c.Nodes()[victim].Name, when))
			}
		}
	}
	ask("first")
	if !f.deaf {
		if err := f.undo(victim); err != nil {
			t.Fatal(err)
		}
		ask("first in touch again")
	}
	for undone := time.Now(); time.Since(undone) < 300*time.Millisecond; {
		ask("soon after")
	}
	healed := w.settled(60 * time.Second)
	ask("healed")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cycles++
	r.reads += reads
	r.near += near
	r.stale = append(r.stale, found...)
	if expel {
		r.expels = append(r.expels, took)
	} else {
		r.leases = append(r.leases, took)
	}
	r.healed = append(r.healed, healed)
}

// hit reads key through node i until it is there.
func (w *world) hit(i int, key string) {
	w.t.Helper()
	for begun := time.Now(); ; {
		v, err := w.at[i].Get(w.t.Context(), key).Result()
		if err == nil && v == "session of "+key {
			return
		}
		if time.Since(begun) > 10*time.Second {
			w.t.Fatalf("%s through %s: %q, %v", key, w.c.Nodes()[i].Name, v, err)
		}
	}
}

// answers asks for keys on conn, all at once, and returns the values, empty for a miss. With wake, the node is taken to be stopped:
// it is woken when the questions lie before it.
func answers(conn net.Conn, keys []string, undo func(victim int) error, victim int, wake bool) ([]string, error) {
	var ask strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&ask, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte(ask.String())); err != nil {
		return nil, err
	}
	if wake {
		if err := undo(victim); err != nil {
			return nil, err
		}
	}
	in := bufio.NewReader(conn)
	values := make([]string, len(keys))
	for i := range keys {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSpace(line)
		switch {
		case line == "$-1":
		case strings.HasPrefix(line, "$"):
			if values[i], err = in.ReadString('\n'); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("the answer to a read is %q", line)
		}
	}
	return values, nil
}

// A node that was stopped wakes up with sessions in its memory that were revoked meanwhile, and with questions for them waiting.
func TestRevokedWhileStopped(t *testing.T) {
	together(t)
	cycles(t, sized(20, 200), cluster.Options{}, func(w *world) fault {
		nodes := w.c.Nodes()
		return fault{
			deaf: true,
			make: func(victim int) error { return errors.Join(nodes[victim].Pause(), stopped(nodes[victim].PID())) },
			undo: func(victim int) error { nodes[victim].Resume(); return nil },
		}
	})
}

// stopped waits until the process does nothing any more.
func stopped(pid int) error {
	for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) {
			return nil // no such system; the signal was sent
		}
		if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "T") {
			return nil
		}
	}
	return errors.New("the process does not stop")
}

// The same for a node that still answers its clients and is cut off from the others: in both directions, or in one alone; with
// packets that vanish, or that the sender's system refuses.
func TestRevokedWhileCutOff(t *testing.T) {
	together(t)
	for _, c := range []struct {
		about   string
		out, in bool
	}{{"both ways", true, true}, {"nothing gets out", true, false}, {"nothing gets in", false, true}} {
		t.Run(c.about, func(t *testing.T) {
			together(t)
			cycles(t, sized(2, 200), cluster.Options{Namespaces: true}, func(w *world) fault {
				links := func(vanish, refuse func(from, to int) error) func(victim int) error {
					turns := 0
					return func(victim int) error {
						do := vanish
						if turns++; turns%4 == 0 {
							do = refuse
						}
						var errs []error
						for j := range w.c.Nodes() {
							if j != victim && c.out {
								errs = append(errs, do(victim, j))
							}
							if j != victim && c.in {
								errs = append(errs, do(j, victim))
							}
						}
						return errors.Join(errs...)
					}
				}
				return fault{make: links(w.c.Lose, w.c.Cut), undo: links(w.c.Find, w.c.Mend)}
			})
		})
	}
}
