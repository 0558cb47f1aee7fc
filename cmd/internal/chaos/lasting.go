package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// The entries that are set once and must last.
const (
	lastingEntries = 1000
	lookers        = 8
	lookPatience   = 20 * time.Second
)

// lasting are entries set at the beginning and never again: each must be there to the end, since no more than replicas-1 nodes
// fail at once and the cluster repairs itself in between.
type lasting struct {
	load *load
	set  []Op // acknowledged, in the order of their numbers
}

func lastingKey(i int) string   { return fmt.Sprintf("lasting:%d", i) }
func lastingValue(i int) string { return fmt.Sprintf("kept-%d", i) }

// newLasting sets the entries. All must be acknowledged: nothing has been broken yet.
func newLasting(ctx context.Context, l *load) (*lasting, error) {
	s := &lasting{load: l, set: make([]Op, lastingEntries)}
	err := each(lastingEntries, func(i int) error {
		at := i % len(l.nodes)
		op := Op{Kind: Set, Value: lastingValue(i), Node: l.nodes[at].Name, Invoke: l.now()}
		err := l.clients[at].Set(ctx, lastingKey(i), op.Value, 0).Err()
		op.Return = l.now()
		s.set[i] = op
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the first entries could not be set: %w", err)
	}
	return s, nil
}

// look reads the entries, every stride-th of them, through every node, and reports those that are missing or wrong. It
// returns how many reads were answered, and how many were not within lookPatience.
func (s *lasting) look(ctx context.Context, stride int) (answered, silent uint64) {
	var yes, no atomic.Uint64
	_ = each((lastingEntries+stride-1)/stride, func(i int) error {
		i *= stride
		for at := range s.load.nodes {
			op, err := s.read(ctx, at, i)
			switch {
			case err != nil:
				no.Add(1)
				continue
			case op.Value == "":
				s.load.report(Violation{lastingKey(i), "an acknowledged value is lost", op, s.set[i]})
			case op.Value != lastingValue(i):
				s.load.report(Violation{lastingKey(i), "another value than was set", op, s.set[i]})
			}
			yes.Add(1)
		}
		return nil
	})
	return yes.Load(), no.Load()
}

// read asks one node for entry i until it is certain.
func (s *lasting) read(ctx context.Context, at, i int) (Op, error) {
	op := Op{Kind: Get, Node: s.load.nodes[at].Name}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	for {
		op.Invoke = s.load.now()
		value, err := s.load.clients[at].Get(ctx, lastingKey(i)).Result()
		op.Return = s.load.now()
		if errors.Is(err, redis.Nil) {
			return op, nil
		}
		if err == nil {
			op.Value = value
			return op, nil
		}
		select {
		case <-ctx.Done():
			return op, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// each calls do for 0 to n-1, lookers at a time, and returns the first error.
func each(n int, do func(int) error) error {
	var all errgroup.Group
	all.SetLimit(lookers)
	for i := range n {
		all.Go(func() error { return do(i) })
	}
	return all.Wait()
}
