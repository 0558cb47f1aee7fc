package strategy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/strategytest"
)

type cached = strategy.CachedSession

func failing(err error) func(string) error { return func(string) error { return err } }

func TestUnsureIsAMissAndIsLogged(t *testing.T) {
	for _, cause := range []error{node.ErrUnsure, node.ErrUnavailable, node.ErrOverload, node.ErrClosed} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			f := strategy.NewFake()
			c := strategy.NewPeerToPeerOn(f, strategy.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			strict := strategy.NewPeerToPeerOn(f, strategy.WithUnsureError(), strategy.WithLogger(nil))
			set(t, c, strategytest.Session("top-secret", 1))
			f.FailWith(failing(cause))
			for range 5 {
				if has(t, c, "top-secret") {
					t.Fatal("want a miss")
				}
			}
			time.Sleep(2 * time.Second)
			has(t, c, "top-secret")
			if n := strings.Count(log.String(), "level=WARN"); n != 2 || !strings.Contains(log.String(), "suppressed=4") {
				t.Errorf("want two warnings, the second with 4 suppressed:\n%s", log.String())
			}
			if strings.Contains(log.String(), "top-secret") {
				t.Errorf("the log shows a token:\n%s", log.String())
			}
			if _, _, err := strict.Get(t.Context(), "top-secret"); !errors.Is(err, cause) {
				t.Errorf("WithUnsureError: want %v, got %v", cause, err)
			}
			want := strategytest.Session("top-secret", 2)
			got, err := c.Load(t.Context(), "top-secret", func(context.Context) (cached, error) { return want, nil })
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Load: %+v, %v", got, err)
			}
			if f.Calls("write") != 1 {
				t.Error("Load stored without a ticket")
			}
			f.FailWith(nil)
			if !has(t, c, "top-secret") {
				t.Error("the session is lost")
			}
		})
	}
}

// TestGetGivesUpInTime: a Get takes no longer than the read wait.
func TestGetGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := strategy.NewFake()
		c := strategy.NewPeerToPeerOn(f, strategy.WithUnsureError(), strategy.WithLogger(nil))
		f.FailWith(func(string) error {
			time.Sleep(strategy.DefaultReadWait)
			return context.DeadlineExceeded
		})
		start := time.Now()
		if _, _, err := c.Get(t.Context(), "a"); !errors.Is(err, node.ErrUnsure) {
			t.Fatalf("want ErrUnsure, got %v", err)
		}
		if took := time.Since(start); took != 40*time.Millisecond {
			t.Fatalf("took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := c.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Fatalf("want the caller's own error, got %v", err)
		}
	})
}

func TestPeerToPeerEntry(t *testing.T) {
	f := strategy.NewFake()
	c := strategy.NewPeerToPeerOn(f, strategy.WithKeyPrefix("p:"), strategy.WithReadWait(time.Minute))
	set(t, c, strategytest.Session("a", 7))
	tags, ttl := f.Entry("p:a")
	if !reflect.DeepEqual(tags, []string{"user:7"}) || ttl <= 59*time.Minute || ttl > time.Hour {
		t.Fatalf("tags %v, TTL %v", tags, ttl)
	}
}

func TestPeerToPeerReadsWhatOthersWrite(t *testing.T) {
	f := strategy.NewFake()
	var log bytes.Buffer
	c := strategy.NewPeerToPeerOn(f, strategy.WithReadWait(time.Minute), strategy.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	put := func(token string, s cached) {
		value, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Put(strategy.DefaultKeyPrefix+token, value); err != nil {
			t.Fatal(err)
		}
	}
	for user := range int64(3) { // each time the decoded form is out of date
		put("a", strategytest.Session("a", user))
		for range 2 {
			s, found, err := c.Get(t.Context(), "a")
			if err != nil || !found || s.User.ID != strategy.NumberID(user) {
				t.Fatalf("user %d: %+v %v %v", user, s, found, err)
			}
		}
	}
	over := strategytest.Session("a", 1)
	over.Expires = time.Now().Add(-time.Minute)
	put("a", over)
	put("b", strategytest.Session("other", 1))
	if err := f.Put(strategy.DefaultKeyPrefix+"c", []byte(`{"token":"c","user":`)); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"a", "b", "c"} {
		if has(t, c, token) {
			t.Errorf("%s: want a miss", token)
		}
	}
	if !strings.Contains(log.String(), "level=WARN") {
		t.Error("nothing was logged")
	}
}

// A waiter must not be given what was read before a deletion that was acknowledged before it asked.
func TestLoadGivesWaitersNothingOlderThanTheirQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := strategy.NewFake()
		here, there := strategy.NewPeerToPeerOn(f, strategy.WithLogger(nil)), strategy.NewPeerToPeerOn(f)
		gate := make(chan struct{})
		before, after := strategytest.Session("a", 1), strategytest.Session("a", 2)
		first := make(chan cached, 1)
		go func() {
			s, err := here.Load(t.Context(), "a", func(context.Context) (cached, error) {
				<-gate
				return before, nil
			})
			if err != nil {
				t.Errorf("first: %v", err)
			}
			first <- s
		}()
		synctest.Wait()
		if err := there.RevokeUser(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		second := make(chan cached, 8)
		for range cap(second) {
			go func() {
				s, err := here.Load(t.Context(), "a", func(context.Context) (cached, error) { return after, nil })
				if err != nil {
					t.Errorf("second: %v", err)
				}
				second <- s
			}()
		}
		synctest.Wait()
		close(gate)
		if s := <-first; s.User.ID != strategy.NumberID(1) {
			t.Errorf("first: %+v", s.User)
		}
		for range cap(second) {
			if s := <-second; s.User == nil || s.User.ID != strategy.NumberID(2) {
				t.Errorf("second: %+v", s.User)
			}
		}
	})
}

func TestLoadWaitersOutliveACancelledLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategy.NewPeerToPeerOn(strategy.NewFake())
		ctx, cancel := context.WithCancel(t.Context())
		want := strategytest.Session("a", 1)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Load(ctx, "a", func(ctx context.Context) (cached, error) {
				<-ctx.Done()
				return cached{}, ctx.Err()
			})
			failed <- err
		}()
		synctest.Wait()
		got := make(chan cached, 1)
		go func() {
			s, err := c.Load(t.Context(), "a", func(context.Context) (cached, error) { return want, nil })
			if err != nil {
				t.Errorf("waiter: %v", err)
			}
			got <- s
		}()
		synctest.Wait()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if s := <-got; !reflect.DeepEqual(s, want) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestLoadSurvivesAPanic(t *testing.T) {
	c := strategy.NewInMemory(strategy.InMemoryConfig{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		_, _ = c.Load(t.Context(), "a", func(context.Context) (cached, error) { panic("loader") })
	}()
	want := strategytest.Session("a", 1)
	got, err := c.Load(t.Context(), "a", func(context.Context) (cached, error) { return want, nil })
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func BenchmarkPeerToPeerGet(b *testing.B) {
	for name, bytes := range map[string]int64{"decoded": strategy.DefaultDecodedBytes, "decoding": 0} {
		b.Run(name, func(b *testing.B) {
			c := strategy.NewPeerToPeerOn(strategy.NewFake(), strategy.WithDecodedBytes(bytes), strategy.WithReadWait(0))
			if err := c.Set(b.Context(), strategytest.Session("a", 1)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, found, err := c.Get(b.Context(), "a"); err != nil || !found {
					b.Fatal(found, err)
				}
			}
		})
	}
}
