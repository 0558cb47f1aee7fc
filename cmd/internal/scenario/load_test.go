package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/latency"
)

// load is callers that read and write sessions through those nodes whose doors are open. A door that is closed is one that a
// balancer sends nobody to any more: those who are inside have their answers before it is shut.
type load struct {
	w     *world
	s     *sessions
	doors []door
	think time.Duration // between two operations of a caller

	reads, writes             latency.Histogram
	failedReads, failedWrites atomic.Int64
	mu                        sync.Mutex
	examples                  []string

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

type door struct {
	mu   sync.RWMutex
	open bool
}

// begin sets callers to work, through the nodes that run.
func (w *world) begin(s *sessions, callers int, think time.Duration) *load {
	l := &load{w: w, s: s, doors: make([]door, len(w.c.Nodes())), think: think}
	for _, i := range w.up() {
		l.open(i)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	l.cancel = cancel
	for k := range callers {
		l.ended.Go(func() { l.call(ctx, k, callers) })
	}
	w.t.Cleanup(l.end)
	return l
}

// end waits for the last answers.
func (l *load) end() {
	l.cancel()
	l.ended.Wait()
}

func (l *load) open(i int)  { l.set(i, true) }
func (l *load) close(i int) { l.set(i, false) }

func (l *load) set(i int, open bool) {
	l.doors[i].mu.Lock()
	defer l.doors[i].mu.Unlock()
	l.doors[i].open = open
}

// call is one caller. It alone writes every callers-th session, and reads all.
func (l *load) call(ctx context.Context, k, callers int) {
	given := make(map[int]bool) // sessions that had a write without acknowledgement, which may take effect at any time
	for ctx.Err() == nil {
		l.through(rand.IntN(len(l.doors)), func(cl *redis.Client) {
			if rand.IntN(10) > 0 {
				l.read(cl, rand.IntN(l.s.len()))
				return
			}
			if i := rand.IntN((l.s.len()-k+callers-1)/callers)*callers + k; !given[i] && l.write(cl, i) != nil {
				given[i] = true
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(l.think/2 + rand.N(l.think)):
		}
	}
}

// through calls do with a client of node i if its door is open.
func (l *load) through(i int, do func(cl *redis.Client)) {
	d := &l.doors[i]
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.open {
		do(l.w.at[i])
	}
}

func (l *load) read(cl *redis.Client, i int) {
	acked, begun := l.s.acked[i].Load(), time.Now()
	value, err := cl.Get(context.Background(), l.s.key(i)).Result()
	l.reads.Record(time.Since(begun))
	if err != nil && !errors.Is(err, redis.Nil) {
		l.failedReads.Add(1)
		l.failed("GET", err, time.Since(begun))
		return
	}
	l.s.judge(i, acked, value, err == nil)
}

func (l *load) write(cl *redis.Client, i int) error {
	begun := time.Now()
	err := l.s.write(context.Background(), cl, i)
	l.writes.Record(time.Since(begun))
	if err != nil {
		l.failedWrites.Add(1)
		l.failed("SET", err, time.Since(begun))
	}
	return err
}

func (l *load) failed(what string, err error, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.examples) < 8 {
		l.examples = append(l.examples, fmt.Sprintf("%s after %v: %v", what, after.Round(time.Millisecond), err))
	}
}

// String tells what the callers saw.
func (l *load) String() string {
	ms := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	l.mu.Lock()
	defer l.mu.Unlock()
	out := fmt.Sprintf("%d reads (%d failed; p50 %v, p99 %v, longest %v), %d writes (%d failed; p50 %v, p99 %v, longest %v)",
		l.reads.Count(), l.failedReads.Load(), ms(l.reads.Quantile(0.5)), ms(l.reads.Quantile(0.99)), ms(l.reads.Max()),
		l.writes.Count(), l.failedWrites.Load(), ms(l.writes.Quantile(0.5)), ms(l.writes.Quantile(0.99)), ms(l.writes.Max()))
	if len(l.examples) > 0 {
		out += "; failures such as " + strings.Join(l.examples, "; ")
	}
	return out
}
