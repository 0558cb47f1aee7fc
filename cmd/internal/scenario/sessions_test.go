package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

type stats = api.Status

// stats is the state of node i.
func (w *world) stats(i int) stats {
	w.t.Helper()
	st, err := w.c.Nodes()[i].Client().Status(w.t.Context(), false)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// sessions are keys, each written by one writer at a time with values that are numbered from 1. So any read can be judged: it must
// not be older than what had been acknowledged before it began, nor newer than what had been tried when it ended.
type sessions struct {
	prefix string
	pad    int // bytes of a value
	acked  []atomic.Int64
	tried  []atomic.Int64

	mu       sync.Mutex
	lost     int
	wrong    int
	examples []string
}

func newSessions(prefix string, n, pad int) *sessions {
	return &sessions{prefix: prefix, pad: pad, acked: make([]atomic.Int64, n), tried: make([]atomic.Int64, n)}
}

func (s *sessions) len() int { return len(s.acked) }

func (s *sessions) key(i int) string { return fmt.Sprintf("%s:%07d", s.prefix, i) }

// value is the value of session i with that number. All have the same length.
func (s *sessions) value(i int, number int64) string {
	v := fmt.Sprintf("%08d of %s:%07d ", number, s.prefix, i)
	if len(v) < s.pad {
		v += strings.Repeat("x", s.pad-len(v))
	}
	return v
}

// bytes is what one session counts when it is pulled by another node: key and value, and the mark of its type.
func (s *sessions) bytes() int { return len(s.key(0)) + len(s.value(0, 0)) }

// write gives session i its next value.
func (s *sessions) write(ctx context.Context, cl *redis.Client, i int) error {
	n := s.tried[i].Add(1)
	err := cl.Set(ctx, s.key(i), s.value(i, n), 0).Err()
	if err == nil {
		s.acked[i].Store(n)
	}
	return err
}

// judge notes what a read of session i that began when acked was acknowledged has found.
func (s *sessions) judge(i int, acked int64, value string, found bool) (right bool) {
	tried := s.tried[i].Load()
	var n int64
	switch {
	case !found && acked == 0:
		return true
	case found:
		if _, err := fmt.Sscanf(value, "%d of ", &n); err == nil && n >= max(acked, 1) && n <= tried && value == s.value(i, n) {
			return true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !found {
		s.lost++
	} else {
		s.wrong++
	}
	if len(s.examples) < 5 {
		s.examples = append(s.examples, fmt.Sprintf("%s is %.40q, found %v; value %d was acknowledged, %d tried", s.key(i), value, found, acked, tried))
	}
	return false
}

// report fails the test if anything was lost or wrong.
func (s *sessions) report(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost+s.wrong > 0 {
		t.Errorf("%d reads of lost sessions, %d wrong values, such as\n%s", s.lost, s.wrong, strings.Join(s.examples, "\n"))
	}
}

const pipelined = 100

// batches calls do for the sessions that pick lists, a batch at a time, several at once at each of the nodes.
func (w *world) batches(n int, through []int, do func(node, from, to int)) {
	type batch struct{ from, to int }
	work := make(chan batch)
	var wg sync.WaitGroup
	for _, node := range through {
		for range 3 {
			wg.Go(func() {
				for b := range work {
					do(node, b.from, b.to)
				}
			})
		}
	}
	for from := 0; from < n; from += pipelined {
		work <- batch{from, min(n, from+pipelined)}
	}
	close(work)
	wg.Wait()
}

// fill gives the sessions from..to their next value, which must succeed.
func (w *world) fill(s *sessions, from, to int) time.Duration {
	w.t.Helper()
	begun := time.Now()
	w.batches(to-from, w.up(), func(node, a, b int) {
		_, err := w.at[node].Pipelined(w.t.Context(), func(p redis.Pipeliner) error {
			for i := from + a; i < from+b; i++ {
				p.Set(w.t.Context(), s.key(i), s.value(i, s.tried[i].Add(1)), 0)
			}
			return nil
		})
		if err != nil {
			w.t.Errorf("filling through %s: %v", w.c.Nodes()[node].Name, err)
			return
		}
		for i := from + a; i < from+b; i++ {
			s.acked[i].Store(s.tried[i].Load())
		}
	})
	if w.t.Failed() {
		w.t.FailNow()
	}
	return time.Since(begun)
}

// audit reads all sessions, each through one of the nodes, and judges them. It asks again while a node is not sure.
func (w *world) audit(s *sessions, through ...int) time.Duration {
	w.t.Helper()
	begun := time.Now()
	w.batches(s.len(), through, func(node, from, to int) {
		ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
		defer cancel()
		acked := make([]int64, to-from)
		for i := range acked {
			acked[i] = s.acked[from+i].Load()
		}
		// What fails here is asked for one by one.
		cmds, _ := w.at[node].Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := from; i < to; i++ {
				p.Get(ctx, s.key(i))
			}
			return nil
		})
		for k, cmd := range cmds {
			value, err := cmd.(*redis.StringCmd).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				value, err = read(ctx, w.at[node], s.key(from+k))
			}
			if err != nil && !errors.Is(err, redis.Nil) {
				w.t.Errorf("%s through %s has no answer: %v", s.key(from+k), w.c.Nodes()[node].Name, err)
				return
			}
			s.judge(from+k, acked[k], value, err == nil)
		}
	})
	s.report(w.t)
	return time.Since(begun)
}

// auditAll is audit through each of the nodes that run.
func (w *world) auditAll(s *sessions) {
	w.t.Helper()
	for _, i := range w.up() {
		w.audit(s, i)
	}
}

// read gets key through cl, asking again while the node is not sure.
func read(ctx context.Context, cl *redis.Client, key string) (string, error) {
	for {
		value, err := cl.Get(ctx, key).Result()
		if err == nil || errors.Is(err, redis.Nil) || ctx.Err() != nil {
			return value, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
