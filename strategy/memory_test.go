package strategy_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

// reused is a string in memory that its owner writes over, as web servers do with that of a request.
func reused(text string) (s string, overwrite func()) {
	buf := []byte(text)
	return unsafe.String(&buf[0], len(buf)), func() {
		for i := range buf {
			buf[i] = '#'
		}
	}
}

// cachesOwn are caches whose keys are the bare tokens, so that any memory that they share with the caller shows.
func cachesOwn() map[string]func() strategy.SessionCache {
	return map[string]func() strategy.SessionCache{
		"InMemory": func() strategy.SessionCache { return strategy.NewInMemory(strategy.InMemoryConfig{}) },
		"PeerToPeer": func() strategy.SessionCache {
			return strategy.NewPeerToPeerOn(newFakeCluster().node(), strategy.WithKeyPrefix(""))
		},
	}
}

func TestCachesKeepNoMemoryOfTheCaller(t *testing.T) {
	for name, open := range cachesOwn() {
		t.Run(name, func(t *testing.T) {
			c := open()
			token, overwrite := reused("deleted")
			if err := c.Delete(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			overwrite()
			if err := c.Set(t.Context(), strategytest.Session("deleted", "u")); !errors.Is(err, strategy.ErrRevoked) {
				t.Errorf("Set of a deleted token = %v, want ErrRevoked", err)
			}

			token, overwriteToken := reused("set")
			user, overwriteUser := reused("alice")
			if err := c.Set(t.Context(), strategytest.Session(token, user)); err != nil {
				t.Fatal(err)
			}
			overwriteToken()
			overwriteUser()
			if got, found, _ := c.Get(t.Context(), "set"); !found || got.Token != "set" || got.UserID() != "alice" {
				t.Errorf("Get = %q of %q, %v", got.Token, got.UserID(), found)
			}
			if err := c.(strategy.UserRevoker).RevokeUser(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			if _, found, _ := c.Get(t.Context(), "set"); found {
				t.Error("found after RevokeUser")
			}
		})
	}
}

// A load goes on for those who joined it when its first caller has left with his memory.
func TestLoadKeepsNoMemoryOfTheCaller(t *testing.T) {
	for name, open := range cachesOwn() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := open().(strategy.Loader)
				token, overwrite := reused("token")
				session, release, loads := strategytest.Session("token", "u"), make(chan struct{}), 0
				load := func(context.Context) (strategy.CachedSession, error) {
					loads++
					<-release
					return session, nil
				}
				ctx, leave := context.WithCancel(t.Context())
				first, second := make(chan error), make(chan error)
				go func() {
					_, err := l.Load(ctx, token, load)
					first <- err
				}()
				synctest.Wait()
				go func() {
					_, err := l.Load(t.Context(), "token", load)
					second <- err
				}()
				synctest.Wait()
				leave()
				if err := <-first; !errors.Is(err, context.Canceled) {
					t.Errorf("Load = %v", err)
				}
				overwrite()
				close(release)
				if err := <-second; err != nil || loads != 1 {
					t.Errorf("Load of who joined = %v, with %d loads", err, loads)
				}
			})
		})
	}
}
