package load

import (
	"context"
	"sync"
	"sync/atomic"
)

// atOnce is how many calls are under way while keys are written or read once each.
const atOnce = 128

// Fill sets every key once, many at a time. It ends early when ctx does, or when one in a hundred fails.
func Fill(ctx context.Context, k *Keys, valueBytes int, progress func(done int64), targets ...Target) error {
	most := int64(len(k.names) / 100)
	var failed atomic.Int64
	var once sync.Once
	var first error // one is enough to tell
	values := sync.Pool{New: func() any {
		value := make([]byte, valueBytes)
		for b := range value {
			value[b] = 'a' + byte(b%26)
		}
		return &value
	}}
	each(ctx, k, func(i int) bool {
		value := values.Get().(*[]byte)
		err := targets[i%len(targets)].Set(ctx, k.names[i], *value)
		values.Put(value)
		if err != nil && ctx.Err() == nil {
			failed.Add(1)
			once.Do(func() { first = err })
		}
		if progress != nil && i%1000 == 0 {
			progress(int64(i))
		}
		return failed.Load() <= most
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed.Load() > most {
		return first
	}
	return nil
}

// Touch gets every key once at every target, so that what a target keeps of what it reads is there.
func Touch(ctx context.Context, k *Keys, targets ...Target) {
	for _, t := range targets {
		each(ctx, k, func(i int) bool {
			_, _ = t.Get(ctx, k.names[i]) // the run counts failures
			return true
		})
	}
}

// each calls do for every key, many at a time, until one returns false or ctx ends.
func each(ctx context.Context, k *Keys, do func(i int) bool) {
	var next atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for ctx.Err() == nil && !stop.Load() {
				i := next.Add(1) - 1
				if i >= int64(len(k.names)) {
					return
				}
				if !do(int(i)) {
					stop.Store(true)
				}
			}
		})
	}
	wg.Wait()
}
