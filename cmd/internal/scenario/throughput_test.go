package scenario

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// One of three nodes is killed under load. Callers of the strategy, on a node of this process without near copies, get no error (not sure is a miss); what they get
// done with sessions of the other two owners is told, in tenths of a second.
func TestThroughputDuringACrash(t *testing.T) {
	const nodes, victim, callers, tenth = 3, 1, 16, 100 * time.Millisecond
	n, before, after := sized(600, 10_000), sized(time.Second, 5*time.Second), sized(4*time.Second, 10*time.Second)
	w := start(t, cluster.Options{Nodes: nodes - 1, Args: []string{"--cluster", "crash", "--replicas", "2"}})
	cfg := node.Config{Name: "here", Cluster: "crash", NoNearCopies: true}
	for _, other := range w.c.Nodes() {
		cfg.Join = append(cfg.Join, other.Listen)
	}
	here, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close() })
	for deadline := time.Now().Add(60 * time.Second); ; wait(t, 20*time.Millisecond) {
		if st := here.Stats(); st.InSync && st.Settled && st.Members == nodes {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in after a minute: %+v", here.Stats())
		}
	}
	cache := strategy.NewPeerToPeer(here)
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("token-%d", i)
		s := strategy.CachedSession{ID: strategy.IntID(int64(i)), Token: tokens[i], Expires: time.Now().Add(time.Hour)}
		if err := cache.Set(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	dead := w.c.Nodes()[victim]
	tokens = slices.DeleteFunc(tokens, func(token string) bool { return here.Locate(strategy.DefaultKeyPrefix+token).Owner == dead.Name })

	done := make([]atomic.Int64, int((before+after)/tenth)+1)
	var reads, missed, wrong atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := time.Now()
	var reading sync.WaitGroup
	for c := range callers {
		reading.Go(func() {
			for i := c; ctx.Err() == nil; i += callers {
				token := tokens[i%len(tokens)]
				s, found, err := cache.Get(context.Background(), token)
				reads.Add(1)
				switch {
				case err != nil || found && s.Token != token:
					wrong.Add(1)
				case !found: // not sure in time
					missed.Add(1)
				default:
					if at := int(time.Since(begun) / tenth); at < len(done) {
						done[at].Add(1)
					}
				}
			}
		})
	}
	wait(t, before)
	id := w.id(victim)
	dead.Kill()
	killed := int(time.Since(begun) / tenth)
	out := w.gone(id, time.Now())
	wait(t, time.Until(begun.Add(before+after)))
	cancel()
	reading.Wait()

	rates := make([]float64, len(done)-1)
	for i := range rates {
		rates[i] = float64(done[i].Load()) / tenth.Seconds()
	}
	usual := slices.Sorted(slices.Values(rates[2:killed]))[(killed-2)/2]
	low, lowAt := rates[killed], killed
	back := killed // from when on nothing is below half of the usual
	for i := killed; i < len(rates); i++ {
		if rates[i] < low {
			low, lowAt = rates[i], i
		}
		if rates[i] < usual/2 {
			back = i + 1
		}
	}
	t.Logf("%d callers, %d sessions of the two owners that stay: %.0f reads a second before (median of tenths of a second); after the kill at least %.0f (%.0f %%, %v after it), never below half again from %v on; out of the views after %v; of %d reads %d misses, %d errors",
		callers, len(tokens), usual, low, 100*low/usual, time.Duration(lowAt-killed)*tenth, time.Duration(back-killed)*tenth, out.Round(time.Millisecond), reads.Load(), missed.Load(), wrong.Load())
	if wrong.Load() > 0 {
		t.Errorf("%d reads failed, or brought another session", wrong.Load())
	}
	if missed.Load() > reads.Load()/100 {
		t.Errorf("%d of %d reads of sessions whose owners live were misses", missed.Load(), reads.Load())
	}
	if *full && (low < usual/2 || out > outWithin) { // a busy machine may be slow by itself
		t.Errorf("at least %.0f reads a second of usually %.0f; out of the views after %v", low, usual, out)
	}
}
