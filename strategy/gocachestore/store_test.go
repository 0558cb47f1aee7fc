package gocachestore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/marshaler"
	"github.com/eko/gocache/lib/v4/store"
	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy/gocachestore"
)

// gocache's ChainCache has a goroutine that nothing ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/eko/gocache/lib/v4/cache.(*ChainCache[...]).setter"))
}

func notFound(err error) bool { return errors.Is(err, store.NotFound{}) }

func TestStore(t *testing.T) {
	c := nodetest.Start(t, 3)
	ctx := t.Context()
	a := gocachestore.New[[]byte](c.Node(0), "a:", store.WithExpiration(time.Hour))
	b := gocachestore.New[string](c.Node(2), "a:")
	other := gocachestore.New[string](c.Node(1), "b:")
	if a.GetType() != "huddle" {
		t.Error(a.GetType())
	}
	value := []byte("v")
	if err := a.Set(ctx, "k", value, store.WithTags([]string{"t1", "t2"}), store.WithCost(3)); err != nil {
		t.Fatal(err)
	}
	value[0] = '?'
	v, ttl, err := b.GetWithTTL(ctx, "k")
	if v != any("v") || ttl <= 59*time.Minute || ttl > time.Hour || err != nil {
		t.Fatalf("GetWithTTL = %v, %v, %v", v, ttl, err)
	}
	got, err := a.Get(ctx, "k")
	if bytes, ok := got.([]byte); !ok || string(bytes) != "v" || err != nil {
		t.Fatalf("Get = %v, %v", got, err)
	}
	got.([]byte)[0] = '?' // the caller's own
	for _, key := range []any{"unknown", "", strings.Repeat("x", 5000)} {
		if v, err := b.Get(ctx, key); v != nil || !notFound(err) {
			t.Errorf("Get of an absent key = %v, %v; want NotFound", v, err)
		}
		if err := b.Delete(ctx, key); err != nil {
			t.Errorf("Delete of an absent key: %v", err)
		}
	}
	_, noKey := a.Get(ctx, 7)
	for _, err := range []error{noKey, a.Delete(ctx, 7), a.Set(ctx, 7, "x"), a.Set(ctx, "k", 7), a.Set(ctx, "k", "v", store.WithExpiration(-1))} {
		if !errors.Is(err, node.ErrInvalid) {
			t.Errorf("%v, want ErrInvalid", err)
		}
	}
	if v, err := b.Get(ctx, "k"); v != any("v") || err != nil {
		t.Errorf("Get = %v, %v", v, err)
	}
	if err := b.Set(ctx, "k2", "w", store.WithTags([]string{"t2"})); err != nil {
		t.Fatal(err)
	}
	if err := other.Set(ctx, "k2", "z", store.WithTags([]string{"t2"})); err != nil {
		t.Fatal(err)
	}
	if err := b.Invalidate(ctx, store.WithInvalidateTags([]string{"t2"})); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"k", "k2"} {
		if v, err := a.Get(ctx, key); !notFound(err) {
			t.Errorf("Get of %s after Invalidate = %v, %v", key, v, err)
		}
	}
	if err := a.Set(ctx, "k3", "x"); err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(ctx, "k3"); err != nil {
		t.Fatal(err)
	}
	if err := b.Set(ctx, "k3", "again"); err != nil {
		t.Errorf("Set after Delete: %v", err)
	}
	if err := b.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if v, err := a.Get(ctx, "k3"); !notFound(err) {
		t.Errorf("Get after Clear = %v, %v", v, err)
	}
	if v, err := other.Get(ctx, "k2"); v != any("z") || err != nil {
		t.Errorf("another prefix: Get = %v, %v; want what was set", v, err)
	}
}

type user struct {
	Name  string
	Roles []string
}

// TestCaches puts the store under gocache's own caches.
func TestCaches(t *testing.T) {
	c := nodetest.Start(t, 2)
	ctx := t.Context()

	texts := cache.New[string](gocachestore.New[string](c.Node(0), "texts:"))
	if err := texts.Set(ctx, struct{ ID int }{7}, "seven"); err != nil { // any key: gocache hashes it
		t.Fatal(err)
	}
	if v, err := texts.Get(ctx, struct{ ID int }{7}); v != "seven" || err != nil {
		t.Errorf("Get = %q, %v", v, err)
	}

	users := marshaler.New(cache.New[any](gocachestore.New[[]byte](c.Node(0), "users:")))
	elsewhere := marshaler.New(cache.New[any](gocachestore.New[[]byte](c.Node(1), "users:")))
	if err := users.Set(ctx, "7", user{"ada", []string{"admin"}}, store.WithTags([]string{"user-7"})); err != nil {
		t.Fatal(err)
	}
	var u user
	if _, err := elsewhere.Get(ctx, "7", &u); err != nil || u.Name != "ada" || len(u.Roles) != 1 {
		t.Errorf("Get = %+v, %v", u, err)
	}
	if err := elsewhere.Invalidate(ctx, store.WithInvalidateTags([]string{"user-7"})); err != nil {
		t.Fatal(err)
	}
	if _, err := users.Get(ctx, "7", &u); !notFound(err) {
		t.Errorf("Get after Invalidate = %v", err)
	}

	chain := cache.NewChain[string](
		cache.New[string](gocachestore.New[string](c.Node(0), "first:")), cache.New[string](gocachestore.New[string](c.Node(0), "second:")))
	if err := chain.GetCaches()[1].Set(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if v, err := chain.Get(ctx, "k"); v != "v" || err != nil {
		t.Errorf("chain: Get = %q, %v", v, err)
	}

	loads := 0
	loading := cache.NewLoadable(func(_ context.Context, key any) (string, []store.Option, error) {
		loads++
		return fmt.Sprint("loaded ", key), []store.Option{store.WithExpiration(time.Minute)}, nil
	}, cache.New[string](gocachestore.New[string](c.Node(1), "loaded:")))
	for range 2 {
		if v, err := loading.Get(ctx, "k"); v != "loaded k" || err != nil {
			t.Errorf("loadable: Get = %q, %v", v, err)
		}
	}
	if err := loading.Close(); err != nil { // waits until it is stored
		t.Fatal(err)
	}
	if v, err := gocachestore.New[string](c.Node(0), "loaded:").Get(ctx, "k"); v != any("loaded k") || err != nil || loads != 1 {
		t.Errorf("Get on another node = %v, %v after %d loads", v, err, loads)
	}
}

// What cannot be told is an error, but not NotFound, and takes no longer than the wait.
func TestUnsureIsNotNotFound(t *testing.T) {
	c := nodetest.Start(t, 3)
	s := gocachestore.New[string](c.Node(0), "")
	if err := s.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	c.Isolate(0)
	for begin := time.Now(); ; {
		asked := time.Now()
		v, err := s.Get(t.Context(), "k")
		if errors.Is(err, node.ErrUnsure) && !notFound(err) {
			if took := time.Since(asked); took > 2*time.Second { // a node's own time is 5 s
				t.Errorf("Get took %v, want 250 ms", took)
			}
			break
		}
		if err != nil || v != any("v") || time.Since(begin) > 10*time.Second {
			t.Fatalf("Get on a node that is cut off = %v, %v", v, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := s.Get(ctx, "k"); !errors.Is(err, node.ErrUnsure) || time.Since(begin) < 400*time.Millisecond {
		t.Errorf("Get = %v after %v, want ErrUnsure when the caller's time is nearly up", err, time.Since(begin))
	}
	c.Heal(0)
	c.WaitSettled()
	if err := s.Set(t.Context(), "k", "v"); err != nil { // what has gone on may have ended it
		t.Fatal(err)
	}
	if v, err := s.Get(t.Context(), "k"); v != any("v") || err != nil {
		t.Errorf("Get = %v, %v", v, err)
	}

	// What could not be removed everywhere is not said to be.
	c.Isolate(0)
	for what, remove := range map[string]func(context.Context) error{
		"Delete":     func(ctx context.Context) error { return s.Delete(ctx, "k") },
		"Invalidate": func(ctx context.Context) error { return s.Invalidate(ctx, store.WithInvalidateTags([]string{"t"})) },
		"Clear":      s.Clear,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := remove(ctx); !errors.Is(err, node.ErrUnconfirmed) {
			t.Errorf("%s on a node that is cut off = %v, want ErrUnconfirmed", what, err)
		}
		cancel()
	}
	c.Heal(0)
}
