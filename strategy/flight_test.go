package strategy_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

// lateNode holds the replies of one operation back after it has taken effect.
type lateNode struct {
	*fakeNode
	op, key string
	done    chan struct{} // closed when the operation has taken effect
	reply   chan struct{} // its reply comes when this is closed
	once    sync.Once
}

func (n *lateNode) late(op, key string) {
	if op == n.op && key == n.key {
		n.once.Do(func() {
			close(n.done)
			<-n.reply
		})
	}
}

func (n *lateNode) Set(ctx context.Context, key string, value []byte, how strategy.SetParams) error {
	err := n.fakeNode.Set(ctx, key, value, how)
	n.late("set", key)
	return err
}

// Peek knows nothing: what there is lies with others.
func (n *lateNode) Peek(string) (node.Entry, bool, bool) { return node.Entry{}, false, false }

func (n *lateNode) LookupOrTicket(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error) {
	e, found, ticket, err := n.fakeNode.LookupOrTicket(ctx, key)
	n.late("lookup", key)
	return e, found, ticket, err
}

// Who joins a load after a deletion was acknowledged does not get the session, though the load has stored or found it before.
func TestLoadJoinedAfterADeletion(t *testing.T) {
	gone := errors.New("no such session")
	for _, op := range []string{"set", "lookup"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFakeCluster()
				n := &lateNode{
					fakeNode: c.node(), op: op, key: strategy.DefaultKeyPrefix + "t",
					done: make(chan struct{}), reply: make(chan struct{}),
				}
				p, other := strategy.NewPeerToPeerOn(n), strategy.NewPeerToPeerOn(c.node())
				session := strategytest.Session("t", "u")
				if op == "lookup" {
					if err := other.Set(t.Context(), session); err != nil {
						t.Fatal(err)
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					got, err := p.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return session, nil })
					if err != nil || got.Token != "t" {
						t.Errorf("Load that began before the deletion = %v", err)
					}
				})
				<-n.done
				if err := other.Delete(t.Context(), "t"); err != nil {
					t.Error(err)
				}
				for range 3 {
					wg.Go(func() {
						_, err := p.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
							return strategy.CachedSession{}, gone
						})
						if !errors.Is(err, gone) {
							t.Errorf("Load that began after the deletion = %v, want its own loader's answer", err)
						}
					})
				}
				synctest.Wait() // all have joined
				close(n.reply)
				wg.Wait()
			})
		})
	}
}

// Those who join a load look for themselves, and find what it stored: they do not load again.
func TestLoadJoinedLoadsOnce(t *testing.T) {
	for name, c := range map[string]func() strategy.Loader{
		"InMemory":   func() strategy.Loader { return strategy.NewInMemory(strategy.InMemoryConfig{}) },
		"PeerToPeer": func() strategy.Loader { return strategy.NewPeerToPeerOn(newFakeCluster().node()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, loads, release := c(), 0, make(chan struct{})
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						_, err := l.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
							loads++
							<-release
							return strategytest.Session("t", "u"), nil
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				close(release)
				wg.Wait()
				if loads != 1 {
					t.Errorf("%d loads, want one", loads)
				}
			})
		})
	}
}

const lockOfT = "load-lock:" + strategy.DefaultKeyPrefix + "t"

// A loader that ends its goroutine, as a test's FailNow does, leaves no lock behind.
func TestLoaderThatDoesNotReturn(t *testing.T) {
	c := newFakeCluster()
	locked := false
	_, err := strategy.NewPeerToPeerOn(c.node()).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
		_, locked, _ = c.node().Lookup(t.Context(), lockOfT)
		runtime.Goexit()
		return strategy.CachedSession{}, nil
	})
	if err == nil || !locked {
		t.Errorf("Load = %v, with the lock %v", err, locked)
	}
	if _, left, _ := c.node().Lookup(t.Context(), lockOfT); left {
		t.Error("the lock is left to its time")
	}
}

// overtakenNode lets somebody take the load lock just before this node gives it up.
type overtakenNode struct {
	*fakeNode
	take func()
}

func (n overtakenNode) Delete(ctx context.Context, key string, revoke bool) error {
	if key == lockOfT {
		n.take()
	}
	return n.fakeNode.Delete(ctx, key, revoke)
}

func (n overtakenNode) DeleteIfVersion(ctx context.Context, key string, version uint64) error {
	if key == lockOfT {
		n.take()
	}
	return n.fakeNode.DeleteIfVersion(ctx, key, version)
}

// A lock that has ended, and that another replica has taken since, is not this holder's to give up.
func TestLoadLockOfAnotherHolderIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster()
		taken := false
		p := strategy.NewPeerToPeerOn(overtakenNode{c.node(), func() {
			taken = true
			if err := c.node().Set(t.Context(), lockOfT, []byte("another"), strategy.SetParams{}); err != nil {
				t.Error(err)
			}
		}})
		if _, err := p.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return strategytest.Session("t", "u"), nil }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the lock is given up after Load has returned
		if e, found, _ := c.node().Lookup(t.Context(), lockOfT); !taken || !found || string(e.Value) != "another" {
			t.Errorf("taken %v, and there afterwards: %v", taken, found)
		}
	})
}

// A load goes on as long as somebody waits for it, and is told to end when the last one has gone.
func TestLoadThatNobodyWaitsForIsToldToEnd(t *testing.T) {
	for name, c := range map[string]func() strategy.Loader{
		"InMemory":   func() strategy.Loader { return strategy.NewInMemory(strategy.InMemoryConfig{}) },
		"PeerToPeer": func() strategy.Loader { return strategy.NewPeerToPeerOn(newFakeCluster().node()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := c()
				var of context.Context // the load
				over := make(chan struct{})
				var wg sync.WaitGroup
				var leave [2]context.CancelFunc
				for i := range leave {
					ctx, cancel := context.WithCancel(t.Context())
					leave[i] = cancel
					wg.Go(func() {
						_, err := l.Load(ctx, "t", func(ctx context.Context) (strategy.CachedSession, error) {
							of = ctx
							<-over
							return strategytest.Session("t", "u"), nil
						})
						if !errors.Is(err, context.Canceled) {
							t.Errorf("Load = %v", err)
						}
					})
					synctest.Wait()
				}
				for i, want := range []error{nil, context.Canceled} {
					leave[i]()
					synctest.Wait()
					if err := of.Err(); !errors.Is(err, want) {
						t.Errorf("after %d have gone, the load's context: %v, want %v", i+1, err, want)
					}
				}
				// Who comes then does not wait for it.
				got, err := l.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return strategytest.Session("t", "u"), nil })
				if err != nil || got.Token != "t" {
					t.Errorf("Load beside one that was given up = %v", err)
				}
				close(over)
				wg.Wait()
			})
		})
	}
}

// lockedNode calls locked when it has taken the load lock.
type lockedNode struct {
	*fakeNode
	locked func()
}

func (n lockedNode) Set(ctx context.Context, key string, value []byte, how strategy.SetParams) error {
	err := n.fakeNode.Set(ctx, key, value, how)
	if key == lockOfT && err == nil {
		n.locked()
	}
	return err
}

// What another replica stored, and gave up the lock for, before this one has it is not loaded once more.
func TestLoadedBeforeTheLockIsTaken(t *testing.T) {
	c := newFakeCluster()
	other, want := strategy.NewPeerToPeerOn(c.node()), strategytest.Session("t", "u")
	p := strategy.NewPeerToPeerOn(lockedNode{c.node(), func() {
		if err := other.Set(t.Context(), want); err != nil {
			t.Error(err)
		}
	}})
	got, err := p.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
		t.Error("loaded although it is there")
		return want, nil
	})
	if err != nil || got.Token != "t" {
		t.Errorf("Load = %v", err)
	}
}

// A lock that another has taken before this holder comes to give it up is left as well.
func TestLoadLockTakenDuringTheLoadIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster()
		_, err := strategy.NewPeerToPeerOn(c.node()).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
			return strategytest.Session("t", "u"), c.node().Set(t.Context(), lockOfT, []byte("another"), strategy.SetParams{})
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the lock is given up after Load has returned
		if e, found, _ := c.node().Lookup(t.Context(), lockOfT); !found || string(e.Value) != "another" {
			t.Errorf("the lock of another: %q, %v", e.Value, found)
		}
	})
}

// What was loaded is stored although nobody waits for it any more: the query has been made.
func TestLoadedAfterItsCallerHasGoneIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		n.on(func(ctx context.Context, _, _ string) error { return ctx.Err() })
		p := strategy.NewPeerToPeerOn(n)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := p.Load(ctx, "t", func(ctx context.Context) (strategy.CachedSession, error) {
			cancel()
			<-ctx.Done()
			return strategytest.Session("t", "u"), nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Load = %v", err)
		}
		synctest.Wait()
		if _, found, err := p.Get(t.Context(), "t"); err != nil || !found {
			t.Errorf("Get = %v, %v", found, err)
		}
		if _, left, _ := n.Lookup(t.Context(), lockOfT); left {
			t.Error("the lock is left to its time")
		}
	})
}
