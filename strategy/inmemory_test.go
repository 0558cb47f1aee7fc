package strategy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

func has(t *testing.T, c strategy.SessionCache, token string) bool {
	t.Helper()
	_, found, err := c.Get(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func set(t *testing.T, c strategy.SessionCache, s strategy.CachedSession) {
	t.Helper()
	if err := c.Set(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func TestInMemoryEvictsTheLeastRecentlyUsed(t *testing.T) {
	m := strategy.NewInMemory(strategy.InMemoryConfig{MaxSessions: 3})
	for _, token := range []string{"a", "b", "c"} {
		set(t, m, strategytest.Session(token, 1))
	}
	has(t, m, "a")
	set(t, m, strategytest.Session("d", 1))
	if !has(t, m, "a") || has(t, m, "b") || !has(t, m, "c") || !has(t, m, "d") || m.Len() != 3 {
		t.Fatal("b should be gone, and only b")
	}
}

func TestInMemoryStaysWithinMaxBytes(t *testing.T) {
	const limit = 20_000
	m := strategy.NewInMemory(strategy.InMemoryConfig{MaxBytes: limit})
	for i := range 200 {
		s := strategytest.Session(fmt.Sprint(i), 1)
		s.User.Identifier = strings.Repeat("x", i*10)
		set(t, m, s)
		if m.Bytes() > limit {
			t.Fatalf("%d bytes", m.Bytes())
		}
	}
	if !has(t, m, "199") {
		t.Fatal("the latest is gone")
	}
	s := strategytest.Session("199", 1)
	s.User.Identifier = strings.Repeat("x", limit)
	if err := m.Set(t.Context(), s); !errors.Is(err, strategy.ErrTooLarge) {
		t.Fatalf("want ErrTooLarge, got %v", err)
	}
	if has(t, m, "199") {
		t.Fatal("the older session is still served")
	}
	if err := m.Clear(t.Context()); err != nil || m.Bytes() != 0 || m.Len() != 0 {
		t.Fatalf("after Clear: %d bytes, %d sessions, %v", m.Bytes(), m.Len(), err)
	}
}

func TestInMemoryFreesWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := strategy.NewInMemory(strategy.InMemoryConfig{})
		for i := range 50 {
			s := strategytest.Session(fmt.Sprint(i), 1)
			s.Expires = time.Now().Add(time.Duration(1+i%5) * time.Minute)
			set(t, m, s)
		}
		forever := strategytest.Session("forever", 1)
		forever.Expires = time.Time{}
		set(t, m, forever)
		for minute := range 5 {
			time.Sleep(time.Minute)
			if want := 50 - 10*(minute+1) + 1; m.Len() != want {
				t.Fatalf("after minute %d: %d sessions, want %d", minute+1, m.Len(), want)
			}
		}
		time.Sleep(1000 * time.Hour)
		if !has(t, m, "forever") {
			t.Fatal("a session without end has ended")
		}
	})
}

func TestInMemoryRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := strategy.NewInMemory(strategy.InMemoryConfig{Retention: time.Minute, MaxRevoked: 2})
		s := strategytest.Session("a", 1)
		del := func(token string) {
			if err := m.Delete(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		del("a")
		time.Sleep(40 * time.Second)
		del("a")
		time.Sleep(59 * time.Second)
		if err := m.Set(t.Context(), s); !errors.Is(err, strategy.ErrRevoked) {
			t.Fatalf("within the retention: %v", err)
		}
		time.Sleep(time.Second)
		set(t, m, s)
		for _, token := range []string{"x", "y", "z"} {
			del(token)
		}
		set(t, m, strategytest.Session("x", 1)) // forgotten for want of room
		for _, token := range []string{"y", "z"} {
			if err := m.Set(t.Context(), strategytest.Session(token, 1)); !errors.Is(err, strategy.ErrRevoked) {
				t.Fatalf("%s: %v", token, err)
			}
		}
	})
}
