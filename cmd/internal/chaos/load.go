package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/latency"
)

// The load.
const (
	workers    = 16
	slots      = 24   // keys in use at a time
	shortLife  = 200  // operations on a key before another takes its place
	longLife   = 1500 // as much for every third
	thinkTime  = 8 * time.Millisecond
	answerWait = 6 * time.Second
	keptFaults = 20
	setsPart   = 33
	delsPart   = 10
)

// load keeps clients busy on all nodes and records what they see.
type load struct {
	begun   time.Time
	nodes   []*cluster.Node
	clients []*redis.Client

	mu         sync.Mutex
	slots      [slots]*history
	generation int
	violations []Violation // the first ones
	broken     int

	values                      atomic.Uint64
	gets, sets, dels            atomic.Uint64
	unanswered, unknown, probed atomic.Uint64
	keysChecked                 atomic.Uint64
	getTime, setTime            latency.Histogram
}

func newLoad(nodes []*cluster.Node) *load {
	l := &load{begun: time.Now(), nodes: nodes}
	for _, n := range nodes {
		l.clients = append(l.clients, n.Redis(answerWait))
	}
	for i := range l.slots {
		l.slots[i] = l.fresh(i)
	}
	return l
}

func (l *load) close() {
	for _, c := range l.clients {
		_ = c.Close() // its connections end with it
	}
}

func (l *load) now() time.Duration { return time.Since(l.begun) }

// fresh makes the history of a new key. l.mu is held, or l is not shared yet.
func (l *load) fresh(slot int) *history {
	l.generation++
	life := shortLife
	if slot%3 == 0 {
		life = longLife
	}
	return &history{key: fmt.Sprintf("chaos:%d", l.generation), left: life, check: l.checked}
}

// checked checks a history that is over.
func (l *load) checked(h *history) {
	l.keysChecked.Add(1)
	l.report(Check(h.key, h.ops)...)
}

// report counts violations and keeps the first ones.
func (l *load) report(found ...Violation) {
	if len(found) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken += len(found)
	l.violations = append(l.violations, found...)
	l.violations = l.violations[:min(len(l.violations), keptFaults)]
}

// pick begins an operation on some key.
func (l *load) pick(slot int) *history {
	for {
		l.mu.Lock()
		h := l.slots[slot]
		l.mu.Unlock()
		if h.begin() {
			return h
		}
		l.mu.Lock()
		if l.slots[slot] == h {
			l.slots[slot] = l.fresh(slot)
		}
		l.mu.Unlock()
	}
}

// finish retires all keys, so that they are checked.
func (l *load) finish() {
	for _, h := range l.slots {
		h.retire()
	}
}

// run keeps the workers and probers going until ctx ends, and waits for the last answers.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				l.step()
				select {
				case <-ctx.Done():
				case <-time.After(thinkTime/2 + rand.N(thinkTime)):
				}
			}
		})
	}
	for _, n := range l.nodes {
		wg.Go(func() { (&prober{load: l, node: n}).run(ctx) })
	}
	wg.Wait()
	l.finish()
}

// step is one operation of a worker. It is not cut short: what it came to is needed.
func (l *load) step() {
	i := rand.IntN(len(l.nodes))
	if l.nodes[i].State() == cluster.Down {
		return
	}
	h := l.pick(rand.IntN(slots))
	ctx, cancel := context.WithTimeout(context.Background(), answerWait)
	defer cancel()
	op := Op{Node: l.nodes[i].Name, Invoke: l.now(), Return: Never}
	var err error
	switch dice := rand.IntN(100); {
	case dice < setsPart:
		op.Kind, op.Value = Set, fmt.Sprintf("v%d", l.values.Add(1))
		err = l.clients[i].Set(ctx, h.key, op.Value, 0).Err()
	case dice < setsPart+delsPart:
		op.Kind = Del
		err = l.clients[i].Del(ctx, h.key).Err()
	default:
		op.Kind = Get
		op.Value, err = l.clients[i].Get(ctx, h.key).Result()
		if errors.Is(err, redis.Nil) {
			op.Value, err = "", nil
		}
	}
	if err == nil {
		op.Return = l.now()
	}
	l.count(op, err)
	if op.Kind == Get && err != nil {
		h.end(nil)
		return
	}
	h.end(&op)
	if err != nil {
		// A write of unknown outcome excuses too much: the key is given up.
		h.retire()
	}
}

func (l *load) count(op Op, err error) {
	switch {
	case err != nil && op.Kind == Get:
		l.unanswered.Add(1)
	case err != nil:
		l.unknown.Add(1)
	case op.Kind == Get:
		l.gets.Add(1)
		l.getTime.Record(op.Return - op.Invoke)
	case op.Kind == Set:
		l.sets.Add(1)
		l.setTime.Record(op.Return - op.Invoke)
	default:
		l.dels.Add(1)
		l.setTime.Record(op.Return - op.Invoke)
	}
}
