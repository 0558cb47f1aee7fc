package node

import (
	"context"
	"sync"
)

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
	each(len(keys), func(i int) {
		out[i].Value, out[i].Found, out[i].Err = n.Get(ctx, keys[i])
	})
	return out
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
