package strategy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

type fault = func(ctx context.Context, op, key string) error

// failing fails the named operation.
func failing(op string, err error) fault {
	return func(_ context.Context, o, _ string) error {
		if o == op {
			return err
		}
		return nil
	}
}

// hanging lets the named operation wait until its context ends.
func hanging(op string) fault {
	return func(ctx context.Context, o, _ string) error {
		if o != op {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestGetTakesUnsureAsMiss(t *testing.T) {
	n := newFakeCluster().node()
	var log bytes.Buffer
	p := strategy.NewPeerToPeerOn(n, strategy.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	loud := strategy.NewPeerToPeerOn(n, strategy.WithUnsureError())
	if err := p.Set(t.Context(), strategytest.Session("secret-token", "u")); err != nil {
		t.Fatal(err)
	}
	for _, cause := range []error{node.ErrUnsure, node.ErrUnavailable, node.ErrClosed, node.ErrOverload, context.DeadlineExceeded} {
		n.on(failing("lookup", cause))
		if _, found, err := p.Get(t.Context(), "secret-token"); found || err != nil {
			t.Errorf("%v: Get = found %v, error %v; want a miss", cause, found, err)
		}
		if _, found, err := loud.Get(t.Context(), "secret-token"); found || !errors.Is(err, strategy.ErrUnsure) || !errors.Is(err, cause) {
			t.Errorf("%v: Get with WithUnsureError = found %v, error %v; want ErrUnsure", cause, found, err)
		}
	}
	if got := log.String(); !strings.Contains(got, "level=ERROR") || strings.Contains(got, "secret") || strings.Count(got, "\n") != 1 {
		t.Errorf("five failures within a second were logged as:\n%s", got)
	}
	n.on(nil)
	if _, found, err := p.Get(t.Context(), "secret-token"); !found || err != nil {
		t.Errorf("afterwards Get = found %v, error %v", found, err)
	}
}

// A failed read is logged, also if no logger was given, and if it is the caller's time that was up; not if the caller has gone away.
func TestFailedReadsAreLogged(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	for _, c := range []struct {
		about string
		ctx   context.Context
		want  bool
	}{{"unsure", t.Context(), true}, {"too late", late, true}, {"gone", gone, false}} {
		n := newFakeCluster().node()
		n.on(failing("lookup", strategy.ErrUnsure))
		log.Reset()
		if _, found, err := strategy.NewPeerToPeerOn(n).Get(c.ctx, "secret"); found || err != nil {
			t.Errorf("%s: %v, %v", c.about, found, err)
		}
		if got := strings.Contains(log.String(), "read failed"); got != c.want || strings.Contains(log.String(), "secret") {
			t.Errorf("%s: logged %q", c.about, &log)
		}
	}
}

// What Load does without is logged: the look before it, and the fill after it.
func TestFailedLoadsAreLogged(t *testing.T) {
	for op, want := range map[string]string{"lookup": "loading without storing", "set": "not stored"} {
		var log bytes.Buffer
		n := newFakeCluster().node()
		n.on(failing(op, node.ErrUnavailable))
		p := strategy.NewPeerToPeerOn(n, strategy.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		got, err := p.Load(t.Context(), "secret", func(context.Context) (strategy.CachedSession, error) {
			return strategytest.Session("secret", "u"), nil
		})
		if err != nil || got.Token != "secret" {
			t.Errorf("%s fails: Load = %v", op, err)
		}
		if !strings.Contains(log.String(), want) || strings.Contains(log.String(), "secret") {
			t.Errorf("%s fails: logged %q", op, &log)
		}
	}
}

func TestGetWaitsNoLongerThanItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		n.on(hanging("lookup"))
		begin := time.Now()
		if _, found, err := strategy.NewPeerToPeerOn(n).Get(t.Context(), "t"); found || err != nil {
			t.Errorf("Get = found %v, error %v", found, err)
		}
		if took := time.Since(begin); took != 40*time.Millisecond {
			t.Errorf("took %v, want 40ms", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		begin = time.Now()
		if _, found, err := strategy.NewPeerToPeerOn(n).Get(ctx, "t"); found || err != nil {
			t.Errorf("Get = found %v, error %v", found, err)
		}
		if took := time.Since(begin); took != 10*time.Millisecond {
			t.Errorf("took %v, want the caller's 10ms", took)
		}
	})
}

// What is stored under the key and is no session of the token is a miss, and a Load replaces it.
func TestGetOfWhatIsNoSession(t *testing.T) {
	n := newFakeCluster().node()
	p := strategy.NewPeerToPeerOn(n)
	for token, text := range map[string]string{"a": "no JSON", "b": `{"token":"other"}`, "c": `[]`} {
		if err := n.Set(t.Context(), strategy.DefaultKeyPrefix+token, []byte(text), strategy.SetParams{}); err != nil {
			t.Fatal(err)
		}
		if _, found, err := p.Get(t.Context(), token); found || err != nil {
			t.Errorf("%s: found %v, error %v; want a miss", text, found, err)
		}
		want := strategytest.Session(token, "u")
		if _, err := p.Load(t.Context(), token, func(context.Context) (strategy.CachedSession, error) { return want, nil }); err != nil {
			t.Fatalf("Load: %v", err)
		}
		if _, found, _ := p.Get(t.Context(), token); !found {
			t.Errorf("%s: Load did not replace it", text)
		}
	}
}

func TestWritesFailLoudly(t *testing.T) {
	n := newFakeCluster().node()
	p := strategy.NewPeerToPeerOn(n)
	for op, do := range map[string]func() error{
		"set":    func() error { return p.Set(t.Context(), strategytest.Session("t", "u")) },
		"delete": func() error { return p.Delete(t.Context(), "t") },
		"clear":  func() error { return p.Clear(t.Context()) },
		"cut":    func() error { return p.RevokeUser(t.Context(), "u") },
	} {
		for _, cause := range []error{node.ErrUnavailable, node.ErrUnconfirmed} {
			n.on(failing(op, cause))
			if err := do(); !errors.Is(err, cause) {
				t.Errorf("%s = %v, want %v", op, err, cause)
			}
		}
	}
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster()
		set := func(expires time.Time, opts ...strategy.Option) time.Duration {
			t.Helper()
			s := strategytest.Session("t", "u")
			s.Expires = expires
			if err := strategy.NewPeerToPeerOn(c.node(), opts...).Set(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			e, _, _ := c.node().Lookup(t.Context(), strategy.DefaultKeyPrefix+"t")
			return e.TTL
		}
		in2h := time.Now().Add(2 * time.Hour)
		for _, c := range []struct{ got, want time.Duration }{
			{set(in2h), 2 * time.Hour},
			{set(in2h, strategy.WithMaxTTL(time.Hour)), time.Hour},
			{set(time.Time{}), 0},
			{set(time.Time{}, strategy.WithDefaultTTL(time.Minute)), time.Minute},
			{set(time.Time{}, strategy.WithMaxTTL(time.Hour)), time.Hour},
			{set(in2h, strategy.WithDefaultTTL(time.Minute)), 2 * time.Hour},
		} {
			if c.got != c.want {
				t.Errorf("TTL %v, want %v", c.got, c.want)
			}
		}
	})
}

// A value that comes back with the version of another, as after a cluster that started over, is not mistaken for it.
func TestDecodedSessionsAreNoOlderThanTheNode(t *testing.T) {
	c := newFakeCluster()
	p := strategy.NewPeerToPeerOn(c.node())
	s := strategytest.Session("t", "u")
	if err := p.Set(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := p.Get(t.Context(), "t"); !found {
		t.Fatal("not found")
	}
	c.clock = 0
	s.User.Verified = false
	if err := strategy.NewPeerToPeerOn(c.node()).Set(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got, found, _ := p.Get(t.Context(), "t"); !found || got.User.Verified {
		t.Fatalf("found %v, with the older user %v", found, found && got.User.Verified)
	}
}

// peekedNode counts what it is asked for.
type peekedNode struct {
	*fakeNode
	peeks int
}

func (n *peekedNode) Peek(key string) (node.Entry, bool, bool) {
	n.peeks++
	return n.fakeNode.Peek(key)
}

// A session in the node's memory is looked up once, the first time too, when it is decoded.
func TestOneLookupInMemory(t *testing.T) {
	c := newFakeCluster()
	n := &peekedNode{fakeNode: c.node()}
	p := strategy.NewPeerToPeerOn(n)
	for name, read := range map[string]func(string) (strategy.CachedSession, error){
		"Get": func(token string) (strategy.CachedSession, error) {
			s, _, err := p.Get(t.Context(), token)
			return s, err
		},
		"Load": func(token string) (strategy.CachedSession, error) { return p.Load(t.Context(), token, nil) },
	} {
		want := strategytest.Session(name, "u")
		if err := p.Set(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			n.peeks = 0
			if got, err := read(name); err != nil || got.UserID() != want.UserID() || n.peeks != 1 {
				t.Errorf("%s = %v, %v, after looking %d times", name, got, err, n.peeks)
			}
		}
	}
}

func TestLoadWithoutTheCluster(t *testing.T) {
	for _, cause := range []error{node.ErrUnsure, node.ErrUnavailable} {
		c := newFakeCluster()
		n := c.node()
		n.on(failing("lookup", cause))
		want := strategytest.Session("t", "u")
		got, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return want, nil })
		if err != nil || got.Token != "t" {
			t.Errorf("%v: Load = %v", cause, err)
		}
		if len(c.entries) != 0 {
			t.Errorf("%v: something was stored without a ticket", cause)
		}
		n.on(failing("set", cause))
		if got, err = strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return want, nil }); err != nil || got.Token != "t" {
			t.Errorf("%v on the fill: Load = %v", cause, err)
		}
	}
}

// Load looks no longer than Get before it loads.
func TestLoadWaitsNoLongerThanItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		n.on(hanging("lookup"))
		begin := time.Now()
		got, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
			return strategytest.Session("t", "u"), nil
		})
		if took := time.Since(begin); err != nil || got.Token != "t" || took != 40*time.Millisecond {
			t.Errorf("Load = %q, %v after %v, want 40ms", got.Token, err, took)
		}
	})
}

// What is overtaken is loaded three times at most, under the lock that was taken for the first, and returned all the same.
func TestLoadThatIsAlwaysOvertaken(t *testing.T) {
	for _, cause := range []error{node.ErrStaleFill, node.ErrCondition} {
		synctest.Test(t, func(t *testing.T) {
			n := newFakeCluster().node()
			n.on(func(_ context.Context, op, key string) error {
				if op == "set" && key == strategy.DefaultKeyPrefix+"t" {
					return cause
				}
				return nil
			})
			loads, begin := 0, time.Now()
			got, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
				loads++
				return strategytest.Session("t", "u"), nil
			})
			if took := time.Since(begin); err != nil || got.Token != "t" || loads != 3 || took != 0 {
				t.Errorf("%v: Load = %q, %v after %d loads and %v", cause, got.Token, err, loads, took)
			}
		})
	}
}

// The lock spares queries, and nothing depends on it: without it what is loaded is stored as well. It has an end, for its holder may die.
func TestLoadLockThatCannotBeHad(t *testing.T) {
	for _, cause := range []error{nil, node.ErrUnavailable, node.ErrUnconfirmed} {
		c := newFakeCluster()
		n := c.node()
		asked := 0
		n.on(func(_ context.Context, op, key string) error {
			if op == "set" && key == lockOfT {
				asked++
				return cause
			}
			return nil
		})
		p := strategy.NewPeerToPeerOn(n)
		got, err := p.Load(t.Context(), "t", func(ctx context.Context) (strategy.CachedSession, error) {
			if lock, locked, _ := c.node().Lookup(ctx, lockOfT); locked != (cause == nil) || locked && lock.TTL <= 0 {
				t.Errorf("%v: locked %v, for %v", cause, locked, lock.TTL)
			}
			return strategytest.Session("t", "u"), nil
		})
		if _, found, _ := c.node().Lookup(t.Context(), strategy.DefaultKeyPrefix+"t"); err != nil || got.Token != "t" || !found {
			t.Errorf("%v: Load = %q, %v; stored: %v", cause, got.Token, err, found)
		}
		if asked != 1 {
			t.Errorf("%v: asked for the lock %d times: a load does not wait for one that nobody can have", cause, asked)
		}
	}
}

// Who waits for another's lock and can no longer tell what has become of the key loads, and stores nothing: a deletion may have come meanwhile.
func TestLoadUnsureWhileItWaitsForTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster()
		if err := c.node().Set(t.Context(), lockOfT, []byte("another replica"), strategy.SetParams{}); err != nil {
			t.Fatal(err)
		}
		n, looks := c.node(), 0
		n.on(func(_ context.Context, op, key string) error {
			if op == "lookup" && key == strategy.DefaultKeyPrefix+"t" {
				if looks++; looks > 1 {
					return node.ErrUnsure
				}
			}
			return nil
		})
		got, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(ctx context.Context) (strategy.CachedSession, error) {
			session := strategytest.Session("t", "u")
			return session, c.node().Delete(ctx, strategy.DefaultKeyPrefix+"t", false)
		})
		if err != nil || got.Token != "t" || looks != 2 {
			t.Errorf("Load = %q, %v after %d looks", got.Token, err, looks)
		}
		if _, found, _ := c.node().Lookup(t.Context(), strategy.DefaultKeyPrefix+"t"); found {
			t.Error("what was read before the deletion is stored")
		}
	})
}

// While nothing can be stored, a herd shares loads all the same, and nobody gets one from before he came.
func TestLoadHerdWithoutTheCluster(t *testing.T) {
	n := newFakeCluster().node()
	n.on(failing("lookup", node.ErrUnsure))
	p := strategy.NewPeerToPeerOn(n)
	var loads atomic.Int32
	var wg sync.WaitGroup
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			wg.Go(func() {
				_, err := p.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) {
					loads.Add(1)
					<-time.After(time.Second)
					return strategytest.Session("t", "u"), nil
				})
				if err != nil {
					t.Errorf("Load: %v", err)
				}
			})
		}
		wg.Wait()
	})
	if n := loads.Load(); n > 2 {
		t.Errorf("%d loads, want two at most", n)
	}
}

func TestLoadOutlivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := strategy.NewPeerToPeerOn(newFakeCluster().node())
		load := func(ctx context.Context) (strategy.CachedSession, error) {
			select {
			case <-time.After(time.Second):
				return strategytest.Session("t", "u"), nil
			case <-ctx.Done():
				return strategy.CachedSession{}, ctx.Err()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.Load(ctx, "t", load); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("first Load = %v, want its deadline", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := p.Load(t.Context(), "t", load); err != nil {
				t.Errorf("second Load = %v", err)
			}
		})
		wg.Wait()
	})
}

func TestLoaderPanic(t *testing.T) {
	for name, c := range map[string]strategy.Loader{
		"InMemory":   strategy.NewInMemory(strategy.InMemoryConfig{}),
		"PeerToPeer": strategy.NewPeerToPeerOn(newFakeCluster().node()),
	} {
		func() {
			defer func() {
				if p := recover(); p != "mine" {
					t.Errorf("%s: recovered %v, want the loader's panic", name, p)
				}
			}()
			_, _ = c.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { panic("mine") })
		}()
		got, err := c.Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return strategytest.Session("t", "u"), nil })
		if err != nil || got.Token != "t" {
			t.Errorf("%s: Load after a panic: %v", name, err)
		}
	}
}

// A lock whose holder died delays a load by no more than its time.
func TestLoadLockOfADeadReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeCluster().node()
		if err := n.Set(t.Context(), "load-lock:"+strategy.DefaultKeyPrefix+"t", []byte("dead"), strategy.SetParams{TTL: 2 * time.Second}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err := strategy.NewPeerToPeerOn(n).Load(t.Context(), "t", func(context.Context) (strategy.CachedSession, error) { return strategytest.Session("t", "u"), nil })
		if took := time.Since(begin); err != nil || took > 2100*time.Millisecond {
			t.Errorf("Load took %v, error %v", took, err)
		}
	})
}
