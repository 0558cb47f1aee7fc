package strategytest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
)

func (s suite) loader(t *testing.T, i int) strategy.Loader {
	t.Helper()
	l, ok := s.caches[i%len(s.caches)].(strategy.Loader)
	if !ok {
		t.Fatal("no Loader")
	}
	return l
}

func (s suite) load(t *testing.T) {
	want := Session("t1", "u1")
	for i := range s.caches {
		got, err := s.loader(t, i).Load(s.ctx, "t1", func(context.Context) (strategy.CachedSession, error) {
			if i > 0 {
				t.Error("loaded again")
			}
			return want, nil
		})
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		sameJSON(t, got, want)
	}
	s.want(t, want)
	_, err := s.loader(t, 0).Load(s.ctx, "t2", func(context.Context) (strategy.CachedSession, error) { return want, nil })
	if !errors.Is(err, strategy.ErrInvalid) {
		t.Fatalf("Load of another token = %v, want ErrInvalid", err)
	}
	s.wantMiss(t, "t2")
}

func (s suite) loadError(t *testing.T) {
	broken := errors.New("database is down")
	_, err := s.loader(t, 0).Load(s.ctx, "t1", func(context.Context) (strategy.CachedSession, error) {
		return strategy.CachedSession{}, broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("Load = %v, want the loader's error", err)
	}
	s.wantMiss(t, "t1")
	want := Session("t1", "u1")
	got, err := s.loader(t, 0).Load(s.ctx, "t1", func(context.Context) (strategy.CachedSession, error) { return want, nil })
	if err != nil {
		t.Fatalf("Load after an error: %v", err)
	}
	sameJSON(t, got, want)
}

func (s suite) loadOnce(t *testing.T) {
	want := Session("t1", "u1")
	var loads atomic.Int32
	var wg sync.WaitGroup
	release := make(chan struct{})
	var all []*waiter
	for i := range 24 {
		l := s.loader(t, i)
		waits := newWaiter(s.ctx)
		all = append(all, waits)
		wg.Go(func() {
			got, err := l.Load(waits, "t1", func(context.Context) (strategy.CachedSession, error) {
				loads.Add(1)
				waits.note()
				<-release
				return want, nil
			})
			if err != nil || got.Token != "t1" {
				t.Errorf("Load: %v", err)
			}
		})
	}
	for _, waits := range all {
		waits.wait()
	}
	for loads.Load() == 0 {
		wait(s.ctx, time.Millisecond)
	}
	wait(s.ctx, 50*time.Millisecond) // a second load, were there one, may yet begin on behalf of those that wait
	close(release)
	wg.Wait()
	if n := loads.Load(); n != 1 {
		t.Fatalf("%d loads for %d handles, want one", n, len(s.caches))
	}
}

// overtaken runs a load during which something happens, and returns what Load came to and how often it loaded.
func (s suite) overtaken(t *testing.T, before, after strategy.CachedSession, happens func() error) (strategy.CachedSession, int, error) {
	t.Helper()
	loads := 0
	got, err := s.loader(t, 0).Load(s.ctx, before.Token, func(context.Context) (strategy.CachedSession, error) {
		if loads++; loads > 1 {
			return after, nil
		}
		if err := happens(); err != nil {
			t.Errorf("meanwhile: %v", err)
		}
		return before, nil
	})
	return got, loads, err
}

func (s suite) loadOvertakenByDelete(t *testing.T) {
	old := Session("t1", "u1")
	_, _, err := s.overtaken(t, old, old, func() error { return s.last().Delete(s.ctx, "t1") })
	if !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("Load of a token deleted meanwhile = %v, want ErrRevoked", err)
	}
	s.wantMiss(t, "t1")
}

func (s suite) loadOvertakenBySet(t *testing.T) {
	old := Session("t1", "u1")
	newer := sessionLike(old, "t1", "u1")
	newer.ActiveOrderID = strategy.StringID("newer")
	got, _, err := s.overtaken(t, old, old, func() error { return s.last().Set(s.ctx, newer) })
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	sameJSON(t, got, newer)
	s.want(t, newer)
}

func (s suite) loadOvertakenByRevokeUser(t *testing.T) {
	old := Session("t1", "u1")
	fresh := sessionLike(old, "t1", "u1")
	fresh.User.ChannelPermissions[0].Permissions = nil
	got, loads, err := s.overtaken(t, old, fresh, func() error {
		return s.last().(strategy.UserRevoker).RevokeUser(s.ctx, "u1")
	})
	if err != nil || loads != 2 {
		t.Fatalf("Load: error %v, %d loads; want a second load", err, loads)
	}
	sameJSON(t, got, fresh)
	s.want(t, fresh)
}

func (s suite) loadOvertakenByClear(t *testing.T) {
	old := Session("t1", "u1")
	fresh := sessionLike(old, "t1", "u1")
	fresh.ActiveOrderID = strategy.StringID("fresh")
	got, loads, err := s.overtaken(t, old, fresh, func() error { return s.last().Clear(s.ctx) })
	if err != nil || loads != 2 {
		t.Fatalf("Load: error %v, %d loads; want a second load", err, loads)
	}
	sameJSON(t, got, fresh)
	s.want(t, fresh)
}

// loadJoiner: who asks after a deletion was acknowledged is not given what a load from before it brought.
func (s suite) loadJoiner(t *testing.T) {
	old := Session("t1", "u1")
	began, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		first := true
		_, err := s.loader(t, 0).Load(s.ctx, "t1", func(context.Context) (strategy.CachedSession, error) {
			if first {
				first = false
				close(began)
				<-release
			}
			return old, nil
		})
		if !errors.Is(err, strategy.ErrRevoked) {
			t.Errorf("first Load = %v, want ErrRevoked", err)
		}
	})
	<-began
	if err := s.last().Delete(s.ctx, "t1"); err != nil {
		t.Error(err)
	}
	gone := errors.New("no such session")
	waits := newWaiter(s.ctx)
	wg.Go(func() {
		_, err := s.loader(t, 0).Load(waits, "t1", func(context.Context) (strategy.CachedSession, error) {
			waits.note() // it does not join the first
			return strategy.CachedSession{}, gone
		})
		if !errors.Is(err, gone) {
			t.Errorf("Load that began after the deletion = %v, want its own loader's answer", err)
		}
	})
	waits.wait()
	close(release)
	wg.Wait()
	s.wantMiss(t, "t1")
}

// waiter is a context that tells when somebody is about to wait for its end: so does a call that joins another's load.
type waiter struct {
	context.Context
	once sync.Once
	does chan struct{}
}

func newWaiter(ctx context.Context) *waiter { return &waiter{Context: ctx, does: make(chan struct{})} }

func (w *waiter) note() { w.once.Do(func() { close(w.does) }) }

func (w *waiter) Done() <-chan struct{} {
	w.note()
	return w.Context.Done()
}

// wait waits for that. A cache that does not look at its callers' contexts is given a second.
func (w *waiter) wait() {
	select {
	case <-w.does:
	case <-time.After(time.Second):
	}
}
