package strategy

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// flights lets one load per key run at a time, and shares its result among those who wait for it.
//
// Who joins a load that began earlier must not get an answer that is older than a revocation acknowledged before he
// came. Even a fill that was accepted does not tell: the session may have been deleted between that moment and his coming,
// while the reply was on its way. So he waits for that load, which may fill the cache, and then goes round once more: what he
// joins then began after he came. That is one lookup, shared by all who waited, and a hit unless something has happened.
type flights[T any] struct {
	mu      sync.Mutex
	running map[string]*flight[T]
}

type flight[T any] struct {
	done    chan struct{}
	waiters int
	cancel  context.CancelFunc
	result  result[T]
}

// result is what a flight came to.
type result[T any] struct {
	value T
	err   error
	after func() // run when the result has been handed out; may be nil
}

var errLoaderExit = errors.New("huddle: the loader did not return")

// loaderPanic carries a panic of the caller's loader from the flight to those who wait for it.
type loaderPanic struct{ value any }

func (p loaderPanic) Error() string { return "huddle: the loader panicked" }

// flightOf is what the context of a flight's fn has the flight under.
type flightOf[T any] struct {
	of  *flights[T]
	key string
}

// do returns the result of fn, run here or by somebody who came before. fn's context has the values of the context of the
// first caller and ends when nobody waits any more.
func (g *flights[T]) do(ctx context.Context, key string, fn func(context.Context) result[T]) (T, error) {
	var none T
	for round := 0; ; round++ {
		if err := ctx.Err(); err != nil {
			return none, err
		}
		g.mu.Lock()
		f, older := g.running[key]
		if older && ctx.Value(flightOf[T]{g, key}) == f {
			g.mu.Unlock()
			return none, fmt.Errorf("session cache: load: %w: it is called by the load of the same token, and would wait for itself", ErrInvalid)
		}
		if f == nil {
			f = g.start(ctx, key, fn)
		}
		f.waiters++
		g.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			g.leave(key, f)
			return none, ctx.Err()
		}
		if older && round == 0 {
			continue
		}
		var p loaderPanic
		if errors.As(f.result.err, &p) {
			panic(p.value) // the loader is the caller's: so is its panic
		}
		return f.result.value, f.result.err
	}
}

func (g *flights[T]) start(ctx context.Context, key string, fn func(context.Context) result[T]) *flight[T] {
	f := &flight[T]{done: make(chan struct{})}
	flightCtx, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), flightOf[T]{g, key}, f))
	f.cancel = cancel
	if g.running == nil {
		g.running = map[string]*flight[T]{}
	}
	g.running[key] = f
	go func() {
		defer cancel()
		f.result = guard(flightCtx, fn)
		g.mu.Lock()
		if g.running[key] == f {
			delete(g.running, key)
		}
		g.mu.Unlock()
		close(f.done)
		if f.result.after != nil {
			f.result.after()
		}
	}()
	return f
}

// leave counts a waiter out. The last one ends the flight, and the next caller starts another.
func (g *flights[T]) leave(key string, f *flight[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
		if g.running[key] == f {
			delete(g.running, key)
		}
	}
}

// guard runs fn and turns a panic into a result. A loader that ends its goroutine (runtime.Goexit) takes only the inner
// goroutine with it.
func guard[T any](ctx context.Context, fn func(context.Context) result[T]) result[T] {
	out := make(chan result[T], 1)
	go func() {
		r := result[T]{err: errLoaderExit}
		defer func() {
			if p := recover(); p != nil {
				r = result[T]{err: loaderPanic{p}}
			}
			out <- r
		}()
		r = fn(ctx)
	}()
	return <-out
}
