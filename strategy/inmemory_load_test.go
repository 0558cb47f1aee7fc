package strategy

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// Who joins a load after a deletion was acknowledged does not get the session, though the load has stored or found it before.
func TestInMemoryLoadJoinedAfterADeletion(t *testing.T) {
	gone := errors.New("no such session")
	for _, found := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := NewInMemory(InMemoryConfig{})
			session := CachedSession{Token: "t"}
			if found {
				if err := c.Set(t.Context(), session); err != nil {
					t.Fatal(err)
				}
			}
			filled, release := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { // a Load that is held up between its fill and its answer
				got, err := c.flights.do(t.Context(), "t", func(ctx context.Context) result[CachedSession] {
					r, _ := c.fill(ctx, "t", func(context.Context) (CachedSession, error) { return session, nil })
					close(filled)
					<-release
					return r
				})
				if err != nil || got.Token != "t" {
					t.Errorf("Load that began before the deletion = %v", err)
				}
			})
			<-filled
			if err := c.Delete(t.Context(), "t"); err != nil {
				t.Error(err)
			}
			wg.Go(func() {
				_, err := c.Load(t.Context(), "t", func(context.Context) (CachedSession, error) { return CachedSession{}, gone })
				if !errors.Is(err, gone) {
					t.Errorf("found %v: Load that began after the deletion = %v, want its own loader's answer", found, err)
				}
			})
			synctest.Wait() // it has joined
			close(release)
			wg.Wait()
		})
	}
}

// While the machine is suspended the monotonic clock stands still, and a session ends all the same.
func TestInMemoryEndsByTheWallClockToo(t *testing.T) {
	c := NewInMemory(InMemoryConfig{})
	session := CachedSession{Token: "t", Expires: time.Now().Add(time.Hour)}
	if err := c.Set(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	// As if the wall clock had gone two hours ahead of the monotonic one since: the first word of a time with both holds the wall's
	// seconds above 30 bits of nanoseconds.
	const nanosecondBits = 30
	h := c.items.items["t"].value
	*(*uint64)(unsafe.Pointer(&h.expires)) -= 2 * 60 * 60 << nanosecondBits
	if now := time.Now(); !now.Before(h.expires) || now.Round(0).Before(h.expires) {
		t.Fatal("the clocks do not differ")
	}
	if _, found, _ := c.Get(t.Context(), "t"); found {
		t.Error("found after its end")
	}
	fresh := CachedSession{Token: "t", AuthenticationStrategy: "fresh"}
	got, err := c.Load(t.Context(), "t", func(context.Context) (CachedSession, error) { return fresh, nil })
	if err != nil || got.AuthenticationStrategy != "fresh" {
		t.Errorf("Load = %q, %v; want a fresh session", got.AuthenticationStrategy, err)
	}
}

// Who joins a load gets a session of his own, and not the cache's; and of a load that has ended nothing is kept.
func TestWhoJoinsALoadGetsHisOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewInMemory(InMemoryConfig{})
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				got, err := c.Load(t.Context(), "t", func(context.Context) (CachedSession, error) {
					<-release
					return CachedSession{Token: "t", User: &CachedSessionUser{ID: StringID("u"), Identifier: "alice"}}, nil
				})
				if err != nil || got.User.Identifier != "alice" {
					t.Errorf("Load = %v, %v", got.User, err)
					return
				}
				got.User.Identifier = "mallory"
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if got, found, _ := c.Get(t.Context(), "t"); !found || got.User.Identifier != "alice" {
			t.Errorf("Get = %v, %v", got.User, found)
		}
		if n := len(c.loading) + len(c.flights.running); n != 0 {
			t.Errorf("%d loads are noted in the end", n)
		}
	})
}
