package strategy_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func TestInMemoryBounds(t *testing.T) {
	c := strategy.NewInMemory(strategy.InMemoryConfig{MaxEntries: 100})
	set := func(token string) {
		t.Helper()
		if err := c.Set(t.Context(), strategytest.Session(token, "u")); err != nil {
			t.Fatal(err)
		}
	}
	get := func(token string) bool {
		_, found, _ := c.Get(t.Context(), token)
		return found
	}
	for i := range 100 {
		set(fmt.Sprintf("used%d", i))
	}
	for i := range 10_000 { // a flood of sessions that nobody asks for again
		if i%50 == 0 {
			for j := range 90 {
				if !get(fmt.Sprintf("used%d", j)) {
					t.Fatalf("session %d, in use, was evicted after %d others", j, i)
				}
			}
		}
		token := fmt.Sprintf("flood%d", i)
		set(token)
		if i == 0 && !get(token) {
			t.Fatal("a session is gone right after its Set")
		}
		if n := c.Len(); n > 100 {
			t.Fatalf("%d sessions, want 100 at most", n)
		}
	}
}

func TestInMemoryBytes(t *testing.T) {
	c := strategy.NewInMemory(strategy.InMemoryConfig{MaxBytes: 1 << 20})
	big := strategytest.Session("", "u")
	if err := big.SetField("blob", string(make([]byte, 10_000))); err != nil { // 60 000 bytes of JSON: zeros are escaped
		t.Fatal(err)
	}
	for i := range 200 {
		big.Token = fmt.Sprintf("t%d", i)
		if err := c.Set(t.Context(), big); err != nil {
			t.Fatal(err)
		}
		if n := c.Len(); n > 17 {
			t.Fatalf("%d sessions of 60 kB in 1 MiB", n)
		}
		if _, found, _ := c.Get(t.Context(), big.Token); !found {
			t.Fatal("a session is gone right after its Set")
		}
	}
	if err := big.SetField("blob", string(make([]byte, 100_000))); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), big); !errors.Is(err, strategy.ErrTooLarge) {
		t.Fatalf("Set of more than half the bound = %v, want ErrTooLarge", err)
	}
	if err := c.RevokeUser(t.Context(), "u"); err != nil || c.Len() != 0 {
		t.Fatalf("after RevokeUser %d sessions, error %v", c.Len(), err)
	}
}

func TestInMemoryFreesWithoutBeingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategy.NewInMemory(strategy.InMemoryConfig{Retention: time.Hour})
		for i := range 100 {
			s := strategytest.Session(fmt.Sprintf("t%d", i), "u")
			s.Expires = time.Now().Add(time.Duration(i+1) * time.Minute)
			if err := c.Set(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(50*time.Minute + 2*time.Second)
		if n := c.Len(); n != 50 {
			t.Errorf("%d sessions after half the time, want 50", n)
		}
		if err := c.Delete(t.Context(), "t99"); err != nil {
			t.Fatal(err)
		}
		again := strategytest.Session("t99", "u")
		again.Expires = time.Now().Add(24 * time.Hour)
		<-time.After(59 * time.Minute)
		if err := c.Set(t.Context(), again); !errors.Is(err, strategy.ErrRevoked) {
			t.Errorf("Set within the retention = %v, want ErrRevoked", err)
		}
		<-time.After(time.Minute + 2*time.Second)
		if err := c.Set(t.Context(), again); err != nil {
			t.Errorf("Set after the retention: %v", err)
		}
		if n := c.Len(); n != 1 {
			t.Errorf("%d sessions in the end, want 1", n)
		}
	})
}

func TestInMemoryForgetsOldestDeadTokensFirst(t *testing.T) {
	c := strategy.NewInMemory(strategy.InMemoryConfig{MaxBytes: 64 << 10})
	for i := range 1000 {
		if err := c.Delete(t.Context(), fmt.Sprintf("t%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Set(t.Context(), strategytest.Session("t999", "u")); !errors.Is(err, strategy.ErrRevoked) {
		t.Errorf("the latest: %v, want ErrRevoked", err)
	}
	if err := c.Set(t.Context(), strategytest.Session("t0", "u")); err != nil {
		t.Errorf("the oldest: %v", err)
	}
}

// A client that repeats its log-out does not wash out the log-outs of others.
func TestInMemoryDeletedAgainAndAgain(t *testing.T) {
	c := strategy.NewInMemory(strategy.InMemoryConfig{MaxBytes: 1 << 20})
	if err := c.Delete(t.Context(), "logged-out"); err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		if err := c.Delete(t.Context(), fmt.Sprint("same", i%3)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Set(t.Context(), strategytest.Session("logged-out", "u")); !errors.Is(err, strategy.ErrRevoked) {
		t.Errorf("Set = %v, want ErrRevoked", err)
	}
}

// A token is dead for the retention from when it was last deleted.
func TestInMemoryDeletedAgainStaysDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategy.NewInMemory(strategy.InMemoryConfig{})
		for range 2 {
			if err := c.Delete(t.Context(), "t"); err != nil {
				t.Fatal(err)
			}
			<-time.After(40 * time.Minute)
		}
		if err := c.Set(t.Context(), strategytest.Session("t", "u")); !errors.Is(err, strategy.ErrRevoked) {
			t.Errorf("Set 40 minutes after the second Delete = %v, want ErrRevoked", err)
		}
	})
}

// RevokeUser ends the sessions of its user and no others, whatever has come and gone before.
func TestInMemoryUsers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c, users := strategy.NewInMemory(strategy.InMemoryConfig{}), map[string]string{} // by token
	for step := range 5000 {
		token, user := fmt.Sprint("t", random.IntN(30)), fmt.Sprint("u", random.IntN(4))
		switch random.IntN(20) {
		case 0:
			if err := c.RevokeUser(t.Context(), user); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(users, func(_, of string) bool { return of == user })
		case 1, 2, 3:
			over := strategytest.Session(token, user)
			over.Expires = time.Now().Add(-time.Second)
			if err := c.Set(t.Context(), over); err != nil { // removes it
				t.Fatal(err)
			}
			delete(users, token)
		default:
			if err := c.Set(t.Context(), strategytest.Session(token, user)); err != nil {
				t.Fatal(err)
			}
			users[token] = user
		}
		if n := c.Len(); n != len(users) {
			t.Fatalf("step %d: %d sessions, want %d", step, n, len(users))
		}
		got, found, _ := c.Get(t.Context(), token)
		if want, is := users[token]; found != is || got.UserID() != want {
			t.Fatalf("step %d: %s is of %q, want %q", step, token, got.UserID(), want)
		}
	}
}

// The bound of bytes holds for sessions and deleted tokens together also when there come more of the latter alone.
func TestInMemoryDeletedTokensTakeTheRoomOfSessions(t *testing.T) {
	c := strategy.NewInMemory(strategy.InMemoryConfig{MaxBytes: 1 << 20})
	for i := range 5000 {
		if err := c.Set(t.Context(), strategytest.Session(fmt.Sprint("t", i), "u")); err != nil {
			t.Fatal(err)
		}
	}
	full := c.Len()
	for i := range 1000 {
		_ = c.Delete(t.Context(), fmt.Sprint(strings.Repeat("x", 900), i)) // of sessions that are not here; a quarter of the bytes at most
	}
	if now := c.Len(); now > full*4/5 || now < full*7/10 {
		t.Errorf("%d sessions, %d before", now, full)
	}
}
