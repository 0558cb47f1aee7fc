// Package strategytest is the suite that every SessionCache passes.
package strategytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/strategy"
)

// Cache is what the suite tests: a SessionCache with what both of ours offer beside it.
type Cache interface {
	strategy.SessionCache
	RevokeUser(ctx context.Context, userID string) error
	Load(ctx context.Context, token string, load func(context.Context) (strategy.CachedSession, error)) (strategy.CachedSession, error)
}

var (
	_ Cache = (*strategy.InMemory)(nil)
	_ Cache = (*strategy.PeerToPeer)(nil)
)

// Session returns a session with every field set, of the user with the number user, that ends in an hour.
func Session(token string, user int64) strategy.CachedSession {
	return strategy.CachedSession{
		CacheExpiry: 1786000000.5, ID: strategy.NumberID(12), Token: token,
		Expires:       time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond),
		ActiveOrderID: strategy.StringID("order-7"), ActiveChannelID: strategy.NumberID(1), AuthenticationStrategy: "native",
		User: &strategy.CachedSessionUser{
			ID: strategy.NumberID(user), Identifier: "ada@example.com", Verified: true,
			ChannelPermissions: []strategy.ChannelPermissions{{
				ID: strategy.StringID("1"), Token: "channel", Code: "default", Permissions: []string{"Authenticated", "ReadOrder"},
				Extra: map[string]json.RawMessage{"region": json.RawMessage(`"eu"`)},
			}},
			Extra: map[string]json.RawMessage{"tier": json.RawMessage(`{"n":1}`)},
		},
		Extra: map[string]json.RawMessage{"custom": json.RawMessage(`[1,"<&>"]`)},
	}
}

// Run runs the suite. start returns an empty cache for one test and closes it by t.Cleanup. It must
// not give up reads early: the suite takes a miss for what it says.
func Run(t *testing.T, start func(t *testing.T) Cache) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Cache)
	}{
		{"miss", miss},
		{"set and get", setGet},
		{"overwrite", overwrite},
		{"copies", copies},
		{"session that has ended", ended},
		{"session that ends", ends},
		{"bad tokens", badTokens},
		{"delete wins over a late set", deleteWins},
		{"clear", clears},
		{"revoke user", revokeUser},
		{"load", load},
		{"load of a deleted token", loadDeleted},
		{"load that a delete overtakes", loadOvertakenByDelete},
		{"load that a set overtakes", loadOvertakenBySet},
		{"load that a clear overtakes", loadOvertakenByClear},
		{"load that a user's revocation overtakes", loadOvertakenByRevokeUser},
		{"one load at a time", oneLoad},
		{"many at once", manyAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, start(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantMiss(t *testing.T, c Cache, token string) {
	t.Helper()
	s, found, err := c.Get(t.Context(), token)
	must(t, err)
	if found || !reflect.DeepEqual(s, strategy.CachedSession{}) {
		t.Fatalf("want a miss, got found=%v %+v", found, s)
	}
}

func wantHit(t *testing.T, c Cache, want strategy.CachedSession) {
	t.Helper()
	got, found, err := c.Get(t.Context(), want.Token)
	must(t, err)
	if !found {
		t.Fatal("want a hit, got a miss")
	}
	wantSame(t, got, want)
}

func wantSame(t *testing.T, got, want strategy.CachedSession) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func miss(t *testing.T, c Cache) {
	wantMiss(t, c, "nobody")
	must(t, c.Delete(t.Context(), "nobody"))
}

func setGet(t *testing.T, c Cache) {
	s := Session("a", 1)
	must(t, c.Set(t.Context(), s))
	wantHit(t, c, s)
	wantHit(t, c, s)
	anonymous := strategy.CachedSession{ID: strategy.StringID("x"), Token: "b", Expires: s.Expires}
	must(t, c.Set(t.Context(), anonymous))
	wantHit(t, c, anonymous)
	wantMiss(t, c, "A")
}

func overwrite(t *testing.T, c Cache) {
	s := Session("a", 1)
	must(t, c.Set(t.Context(), s))
	wantHit(t, c, s)
	s.User = nil
	s.ActiveOrderID = strategy.ID{}
	must(t, c.Set(t.Context(), s))
	wantHit(t, c, s)
}

// copies: neither what was passed in nor what was handed out is shared.
func copies(t *testing.T, c Cache) {
	want := Session("a", 1)
	in := want.Clone()
	must(t, c.Set(t.Context(), in))
	spoil(in)
	for range 3 {
		out, found, err := c.Get(t.Context(), "a")
		must(t, err)
		if !found {
			t.Fatal("want a hit")
		}
		wantSame(t, out, want)
		spoil(out)
	}
	loaded := want.Clone()
	loaded.Token = "b"
	wantLoaded := loaded.Clone()
	out, err := c.Load(t.Context(), "b", func(context.Context) (strategy.CachedSession, error) { return loaded, nil })
	must(t, err)
	spoil(out)
	wantHit(t, c, wantLoaded)
}

func spoil(s strategy.CachedSession) {
	s.User.Identifier = "mallory"
	s.User.ChannelPermissions[0].Permissions[0] = "SuperAdmin"
	s.User.ChannelPermissions[0].Extra["region"][1] = 'x'
	s.User.Extra["tier"] = json.RawMessage(`0`)
	s.Extra["custom"][1] = '9'
}

func ended(t *testing.T, c Cache) {
	s := Session("a", 1)
	must(t, c.Set(t.Context(), s))
	s.Expires = time.Now().Add(-time.Second)
	must(t, c.Set(t.Context(), s))
	wantMiss(t, c, "a")
}

func ends(t *testing.T, c Cache) {
	s := Session("a", 1)
	s.Expires = time.Now().Add(150 * time.Millisecond).UTC().Truncate(time.Millisecond)
	must(t, c.Set(t.Context(), s))
	timer := time.NewTimer(time.Until(s.Expires) + time.Millisecond)
	defer timer.Stop()
	<-timer.C
	wantMiss(t, c, "a")
}

func badTokens(t *testing.T, c Cache) {
	long := string(make([]byte, 100_000))
	for _, token := range []string{"", long} {
		wantMiss(t, c, token)
		must(t, c.Delete(t.Context(), token))
		s := Session(token, 1)
		if err := c.Set(t.Context(), s); !errors.Is(err, strategy.ErrInvalid) && !errors.Is(err, strategy.ErrTooLarge) {
			t.Fatalf("Set with a token of %d bytes: got %v", len(token), err)
		}
	}
}

func deleteWins(t *testing.T, c Cache) {
	s := Session("a", 1)
	must(t, c.Set(t.Context(), s))
	must(t, c.Delete(t.Context(), "a"))
	wantMiss(t, c, "a")
	if err := c.Set(t.Context(), s); !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("late Set: want ErrRevoked, got %v", err)
	}
	wantMiss(t, c, "a")
	must(t, c.Delete(t.Context(), "never seen"))
	if err := c.Set(t.Context(), Session("never seen", 1)); !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("late Set of a token that nobody had: want ErrRevoked, got %v", err)
	}
	must(t, c.Clear(t.Context()))
	if err := c.Set(t.Context(), s); !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("late Set after a Clear: want ErrRevoked, got %v", err)
	}
}

func clears(t *testing.T, c Cache) {
	must(t, c.Clear(t.Context()))
	for i := range 20 {
		must(t, c.Set(t.Context(), Session(fmt.Sprint(i), int64(i))))
	}
	must(t, c.Clear(t.Context()))
	for i := range 20 {
		wantMiss(t, c, fmt.Sprint(i))
	}
	s := Session("0", 1)
	must(t, c.Set(t.Context(), s))
	wantHit(t, c, s)
}

func revokeUser(t *testing.T, c Cache) {
	other := Session("c", 2)
	changed := Session("d", 1)
	must(t, c.Set(t.Context(), Session("a", 1)))
	must(t, c.Set(t.Context(), Session("b", 1)))
	must(t, c.Set(t.Context(), other))
	must(t, c.Set(t.Context(), changed))
	changed.User.ID = strategy.NumberID(2) // no longer a session of user 1
	must(t, c.Set(t.Context(), changed))
	must(t, c.RevokeUser(t.Context(), "1"))
	wantMiss(t, c, "a")
	wantMiss(t, c, "b")
	wantHit(t, c, other)
	wantHit(t, c, changed)
	again := Session("a", 1)
	must(t, c.Set(t.Context(), again))
	wantHit(t, c, again)
	must(t, c.RevokeUser(t.Context(), "nobody"))
	if err := c.RevokeUser(t.Context(), ""); !errors.Is(err, strategy.ErrInvalid) {
		t.Fatalf("RevokeUser of nobody: want ErrInvalid, got %v", err)
	}
}

func load(t *testing.T, c Cache) {
	s := Session("a", 1)
	noSuch := errors.New("no such session")
	_, err := c.Load(t.Context(), "a", func(context.Context) (strategy.CachedSession, error) { return s, noSuch })
	if !errors.Is(err, noSuch) {
		t.Fatalf("want the load's own error, got %v", err)
	}
	wantMiss(t, c, "a")
	if _, err := c.Load(t.Context(), "b", func(context.Context) (strategy.CachedSession, error) { return s, nil }); !errors.Is(err, strategy.ErrInvalid) {
		t.Fatalf("session of another token: want ErrInvalid, got %v", err)
	}
	got, err := c.Load(t.Context(), "a", func(context.Context) (strategy.CachedSession, error) { return s, nil })
	must(t, err)
	wantSame(t, got, s)
	got, err = c.Load(t.Context(), "a", func(context.Context) (strategy.CachedSession, error) {
		t.Error("loaded what is cached")
		return s, nil
	})
	must(t, err)
	wantSame(t, got, s)
	wantHit(t, c, s)
}

func loadDeleted(t *testing.T, c Cache) {
	must(t, c.Delete(t.Context(), "a"))
	_, err := c.Load(t.Context(), "a", func(context.Context) (strategy.CachedSession, error) { return Session("a", 1), nil })
	if !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("want ErrRevoked, got %v", err)
	}
	wantMiss(t, c, "a")
}

func loadOvertakenByDelete(t *testing.T, c Cache) {
	_, err := c.Load(t.Context(), "a", func(ctx context.Context) (strategy.CachedSession, error) {
		return Session("a", 1), c.Delete(ctx, "a")
	})
	if !errors.Is(err, strategy.ErrRevoked) {
		t.Fatalf("want ErrRevoked, got %v", err)
	}
	wantMiss(t, c, "a")
}

func loadOvertakenBySet(t *testing.T, c Cache) {
	older, newer := Session("a", 1), Session("a", 2)
	got, err := c.Load(t.Context(), "a", func(ctx context.Context) (strategy.CachedSession, error) {
		return older, c.Set(ctx, newer)
	})
	must(t, err)
	wantSame(t, got, older)
	wantHit(t, c, newer)
}

func loadOvertakenByClear(t *testing.T, c Cache) {
	s := Session("a", 1)
	got, err := c.Load(t.Context(), "a", func(ctx context.Context) (strategy.CachedSession, error) { return s, c.Clear(ctx) })
	must(t, err)
	wantSame(t, got, s)
	wantMiss(t, c, "a")
}

func loadOvertakenByRevokeUser(t *testing.T, c Cache) {
	s := Session("a", 1)
	got, err := c.Load(t.Context(), "a", func(ctx context.Context) (strategy.CachedSession, error) { return s, c.RevokeUser(ctx, "1") })
	must(t, err)
	wantSame(t, got, s)
	wantMiss(t, c, "a")
}

func oneLoad(t *testing.T, c Cache) {
	s := Session("a", 1)
	var running, loads atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			got, err := c.Load(t.Context(), "a", func(context.Context) (strategy.CachedSession, error) {
				if running.Add(1) > 1 {
					t.Error("two loads of one token at once")
				}
				defer running.Add(-1)
				loads.Add(1)
				return s, nil
			})
			if err != nil || !reflect.DeepEqual(got, s) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := loads.Load(); n != 1 {
		t.Fatalf("%d loads for one miss", n)
	}
}

func manyAtOnce(t *testing.T, c Cache) {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				s := Session(fmt.Sprintf("%d-%d", worker, i), int64(worker))
				if err := c.Set(t.Context(), s); err != nil {
					t.Errorf("set: %v", err)
				}
				if got, found, err := c.Get(t.Context(), s.Token); err != nil || !found || !reflect.DeepEqual(got, s) {
					t.Errorf("get: found=%v %v", found, err)
				}
				if err := c.Delete(t.Context(), s.Token); err != nil {
					t.Errorf("delete: %v", err)
				}
				if _, found, err := c.Get(t.Context(), s.Token); err != nil || found {
					t.Errorf("get after delete: found=%v %v", found, err)
				}
			}
		})
	}
	wg.Wait()
}
