package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

var (
	_ scs.Store            = (*strategy.SCSStore)(nil)
	_ scs.CtxStore         = (*strategy.SCSStore)(nil)
	_ scs.IterableStore    = (*strategy.SCSStore)(nil)
	_ scs.IterableCtxStore = (*strategy.SCSStore)(nil)
	_ fiberStorage         = (*strategy.FiberStorage)(nil)
)

// fiberStorage is the interface that Fiber 3 asks for; that of Fiber 2 is a part of it.
type fiberStorage interface {
	GetWithContext(ctx context.Context, key string) ([]byte, error)
	Get(key string) ([]byte, error)
	SetWithContext(ctx context.Context, key string, val []byte, exp time.Duration) error
	Set(key string, val []byte, exp time.Duration) error
	DeleteWithContext(ctx context.Context, key string) error
	Delete(key string) error
	ResetWithContext(ctx context.Context) error
	Reset() error
	Close() error
}

func TestSCSStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strategy.NewSCSStoreOn(strategy.NewFake())
		find := func(token, want string) {
			t.Helper()
			data, ok, err := s.Find(token)
			if err != nil || string(data) != want || ok != (want != "") || (data == nil) == ok {
				t.Fatalf("%q %v %v, want %q", data, ok, err, want)
			}
		}
		commit := func(token, data string, expiry time.Time) error { return s.Commit(token, []byte(data), expiry) }
		find("a", "")
		for i := range 5 {
			if err := commit(fmt.Sprint(i), fmt.Sprint("data", i), time.Now().Add(time.Duration(i+1)*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		find("3", "data3")
		find("", "")
		find(strings.Repeat("x", 5000), "")
		if err := commit("3", "again", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		find("3", "again")
		all, err := s.All()
		if err != nil || len(all) != 5 || string(all["3"]) != "again" || string(all["4"]) != "data4" {
			t.Fatalf("%q %v", all, err)
		}
		time.Sleep(time.Minute)
		find("0", "")
		if err := commit("1", "late", time.Now()); err != nil {
			t.Fatal(err)
		}
		find("1", "")
		for range 2 {
			if err := s.Delete("3"); err != nil {
				t.Fatal(err)
			}
		}
		find("3", "")
		if err := commit("3", "late", time.Now().Add(time.Hour)); !errors.Is(err, strategy.ErrRevoked) {
			t.Fatalf("late Commit: %v", err)
		}
		find("3", "")
	})
}

func TestEmptySCSStore(t *testing.T) {
	all, err := strategy.NewSCSStoreOn(strategy.NewFake()).All()
	if err != nil || all == nil || len(all) != 0 {
		t.Fatalf("%v %v", all, err)
	}
}

func TestFiberStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strategy.NewFiberStorageOn(strategy.NewFake())
		get := func(key, want string) {
			t.Helper()
			v, err := s.Get(key)
			if err != nil || string(v) != want || (v == nil) != (want == "") {
				t.Fatalf("%q %v, want %q", v, err, want)
			}
		}
		put := func(key, value string, exp time.Duration) {
			t.Helper()
			buf := []byte(value)
			if err := s.Set(key, buf, exp); err != nil {
				t.Fatal(err)
			}
			clear(buf) // Fiber uses its buffers again
		}
		get("a", "")
		put("a", "1", 0)
		put("b", "2", time.Minute)
		put("", "x", 0)
		put("c", "", 0)
		get("a", "1")
		get("b", "2")
		get("", "")
		get("c", "")
		time.Sleep(time.Minute)
		get("a", "1")
		get("b", "")
		put("a", "1", -1)
		get("a", "")
		put("a", "3", 0)
		if err := s.Delete("a"); err != nil {
			t.Fatal(err)
		}
		get("a", "")
		put("a", "4", 0)
		get("a", "4")
		if err := s.Reset(); err != nil {
			t.Fatal(err)
		}
		get("a", "")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStoresWaitForCertainty: unsure for a while is waited out; unsure for long fails. It is never absent.
func TestStoresWaitForCertainty(t *testing.T) {
	for _, cause := range []error{node.ErrUnsure, node.ErrUnavailable, node.ErrOverload} {
		synctest.Test(t, func(t *testing.T) {
			f := strategy.NewFake()
			s := strategy.NewSCSStoreOn(f, strategy.WithStoreTimeout(3*time.Second))
			fiber := strategy.NewFiberStorageOn(f, strategy.WithStorePrefix("scs:"))
			if err := s.Commit("a", []byte("1"), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			until := time.Now().Add(2 * time.Second)
			f.FailWith(func(string) error {
				if time.Now().Before(until) {
					return cause
				}
				return nil
			})
			if data, ok, err := s.Find("a"); err != nil || !ok || string(data) != "1" {
				t.Fatalf("%v: after a while: %q %v %v", cause, data, ok, err)
			}
			until = time.Now().Add(2 * time.Second)
			if err := s.Commit("a", []byte("2"), time.Now().Add(time.Hour)); err != nil {
				t.Fatalf("%v: commit after a while: %v", cause, err)
			}
			f.FailWith(failing(cause))
			start := time.Now()
			if _, ok, err := s.Find("a"); ok || !errors.Is(err, node.ErrUnsure) || !errors.Is(err, cause) {
				t.Fatalf("%v: for long: %v %v", cause, ok, err)
			}
			if took := time.Since(start); took < 3*time.Second || took > 3300*time.Millisecond {
				t.Fatalf("took %v", took)
			}
			if v, err := fiber.Get("a"); v != nil || !errors.Is(err, node.ErrUnsure) {
				t.Fatalf("%v: fiber: %q %v", cause, v, err)
			}
			if all, err := s.All(); all != nil || !errors.Is(err, cause) {
				t.Fatalf("%v: all: %v %v", cause, all, err)
			}
			for name, err := range map[string]error{
				"commit": s.Commit("a", nil, time.Now().Add(time.Hour)), "delete": s.Delete("a"), "reset": fiber.Reset(),
			} {
				if !errors.Is(err, cause) {
					t.Errorf("%s: want %v, got %v", name, cause, err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if _, ok, err := s.FindCtx(ctx, "a"); ok || !errors.Is(err, node.ErrUnsure) {
				t.Errorf("%v: with the caller's deadline: %v %v", cause, ok, err)
			}
		})
	}
}

func TestStoresDoNotRetryWhatStays(t *testing.T) {
	for _, cause := range []error{node.ErrClosed, node.ErrTooLarge, node.ErrUnconfirmed} {
		f := strategy.NewFake()
		s := strategy.NewSCSStoreOn(f)
		f.FailWith(failing(cause))
		if err := s.Commit("a", nil, time.Now().Add(time.Hour)); !errors.Is(err, cause) || f.Calls("write") != 1 {
			t.Errorf("want %v at once, got %v after %d", cause, err, f.Calls("write"))
		}
	}
}
