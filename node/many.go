package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/huddle-cache/huddle/node/protocol"
	"github.com/huddle-cache/huddle/node/store"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
)

// submitAtOnce is how many operations of one call are submitted before others may have the lock.
const submitAtOnce = 16

// manyAtOnce is how many keys of one call are under way at a time.
const manyAtOnce = 64

// Found is the answer for one key of GetMany.
type Found struct {
	Value []byte // not to be modified
	Found bool
	Err   error // as of Get
}

// GetMany gets several keys at the same time. The answers are in the order of the keys; each stands for itself: what is not
// known of one key, because its owner is out of reach, keeps no other from being answered.
func (n *Node) GetMany(ctx context.Context, keys []string) []Found {
	out := make([]Found, len(keys))
	var slow []int
	for from := 0; from < len(keys); from += store.PrefetchMost {
		n.Prefetch(keys[from:])
		for i := from; i < min(from+store.PrefetchMost, len(keys)); i++ {
			switch e, _, outcome, _ := n.read(keys[i]); outcome {
			case protocol.Hit:
				out[i].Value, out[i].Found, out[i].Err = n.value(keys[i], e)
			case protocol.Absent:
				out[i].Err = checkKey(keys[i])
			case protocol.Ask:
				slow = append(slow, i)
			}
		}
	}
	each(len(slow), func(i int) {
		i = slow[i]
		out[i].Value, out[i].Found, out[i].Err = n.Get(ctx, keys[i])
	})
	return out
}

// Prefetch prepares for Peeks of some keys, of which it looks at the first 32: it brings what this node's memory holds of them into the
// processor's cache, for all at the same time, which takes less than to let each Peek wait for it. It is a hint: it asks nobody,
// and changes nothing. With hashed tokens it does nothing.
func (n *Node) Prefetch(keys []string) {
	if n.tokens == nil && len(keys) > 1 {
		n.m.Prefetch(keys)
	}
}

// DeleteMany deletes several keys at the same time and goes on past failures. The errors are in the order of the keys, nil
// for each that is gone, present before or not.
func (n *Node) DeleteMany(ctx context.Context, keys []string, opts ...DeleteOption) []error {
	out := make([]error, len(keys))
	each(len(keys), func(i int) {
		out[i] = n.Delete(ctx, keys[i], opts...)
	})
	return out
}

// SetItem is one key of SetMany.
type SetItem struct {
	Key     string
	Value   []byte
	Options []SetOption
}

// SetMany sets several keys at the same time and goes on past failures. The errors are in the order of the items, each as of Set. Of a
// key that is there twice either value may be the later one.
func (n *Node) SetMany(ctx context.Context, items []SetItem) []error {
	out := make([]error, len(items))
	writes := make([]*pb.Write, len(items))
	for i := range items {
		writes[i], out[i] = n.newSet(items[i].Key, items[i].Value, items[i].Options)
	}
	n.setMany(ctx, writes, out)
	return out
}

// group is where one caller waits for the ends of several operations. All of it is under Node.mu but for ready.
type group struct {
	results   []protocol.Result
	submitted []bool
	ended     []bool
	open      int
	ready     chan struct{} // closed with the last end
}

// setMany submits the writes of Sets that are not nil, waits for all of them, and puts their errors where they belong.
func (n *Node) setMany(ctx context.Context, writes []*pb.Write, out []error) {
	g := &group{
		results: make([]protocol.Result, len(writes)), submitted: make([]bool, len(writes)), ended: make([]bool, len(writes)), ready: make(chan struct{}),
	}
	for _, w := range writes {
		if w != nil {
			g.open++
		}
	}
	if g.open == 0 {
		return
	}
	err := ctx.Err()
	if err == nil {
		var cancel context.CancelFunc
		ctx, cancel = within(ctx, n.cfg.WriteTimeout) // the wait for room counts
		defer cancel()
		err = n.submitMany(ctx, writes, g)
	}
	if err == nil {
		select {
		case <-g.ready:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	n.lock()
	defer n.unlock()
	for i, w := range writes {
		switch {
		case w == nil:
		case g.ended[i]:
			out[i] = writeError("set", false, g.results[i], nil)
		case !g.submitted[i]: // nothing has been tried
			out[i] = fmt.Errorf("set: %w", err)
		case errors.Is(err, ErrClosed): // others were not submitted; Close is about to end this one
			out[i] = writeError("set", false, protocol.Result{Closed: true, Tried: true}, nil)
		case errors.Is(err, ErrOverload): // others had no room; this one was under way
			out[i] = writeError("set", false, protocol.Result{}, ctx.Err())
		default:
			out[i] = writeError("set", false, protocol.Result{}, err)
		}
	}
}

// submitMany submits the writes: first those for which there is room, and then the others as room is made, each owner's for itself: one out of
// reach holds up none of the others. What holds room is submitted before more is waited for, or else two callers could wait for each other.
func (n *Node) submitMany(ctx context.Context, writes []*pb.Write, g *group) error {
	batch := make([]submission, 0, submitAtOnce)
	submit := func() error {
		err := n.submitBatch(ctx, batch, g)
		batch = batch[:0]
		return err
	}
	later := make(map[*semaphore.Weighted][]submission)
	for i, w := range writes {
		if w == nil {
			continue
		}
		s := submission{i, w, n.roomFor(w)}
		if !s.room.try() {
			later[s.room.of] = append(later[s.room.of], s)
			continue
		}
		if batch = append(batch, s); len(batch) == submitAtOnce {
			if err := submit(); err != nil {
				return err
			}
		}
	}
	if err := submit(); err != nil || len(later) == 0 {
		return err
	}
	var all errgroup.Group
	for _, waiting := range later {
		all.Go(func() error {
			for _, s := range waiting {
				err := s.room.take(ctx)
				if err == nil {
					err = n.submitBatch(ctx, []submission{s}, g)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// submission is a write of a group that has room.
type submission struct {
	i     int
	write *pb.Write
	room  room
}

func (n *Node) submitBatch(ctx context.Context, batch []submission, g *group) error {
	n.lock()
	defer n.unlock()
	if n.isClosed() {
		for _, s := range batch {
			s.room.give()
		}
		return ErrClosed
	}
	deadline := n.deadline(ctx, n.cfg.WriteTimeout)
	for _, s := range batch {
		g.submitted[s.i] = true
		n.m.Write(s.write, deadline, 0, s.room.giving(func(r protocol.Result) {
			g.results[s.i], g.ended[s.i] = r, true
			if g.open--; g.open == 0 {
				close(g.ready)
			}
		}))
	}
	return nil
}

// each calls do for 0 to n-1, manyAtOnce at a time, and waits for all.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, manyAtOnce) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
