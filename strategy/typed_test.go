package strategy_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
)

// gobs is a Codec as a user may write one. It refuses to encode what is named "secret", and says so with the name.
type gobs[T any] struct{}

func (gobs[T]) Encode(value T) ([]byte, error) {
	var b bytes.Buffer
	if text := fmt.Sprint(value); strings.Contains(text, "secret") {
		return nil, errors.New("cannot encode " + text)
	}
	err := gob.NewEncoder(&b).Encode(value)
	return b.Bytes(), err
}

func (gobs[T]) Decode(data []byte) (value T, err error) {
	err = gob.NewDecoder(bytes.NewReader(data)).Decode(&value)
	return value, err
}

func TestTypedCodec(t *testing.T) {
	c := newFakeCluster()
	a, b := strategy.NewTypedOn[map[string]int](c.node(), gobs[map[string]int]{}), strategy.NewTypedOn[map[string]int](c.node(), gobs[map[string]int]{})
	value := map[string]int{"x": 1}
	if err := a.Set(t.Context(), "t", strategy.Item[map[string]int]{Value: value}); err != nil {
		t.Fatal(err)
	}
	value["x"] = 2 // the caller's own
	for range 2 {
		got, found, err := b.Get(t.Context(), "t")
		if err != nil || !found || got["x"] != 1 {
			t.Fatalf("Get = %v, %v, %v", got, found, err)
		}
		got["x"] = 3 // the caller's own too
	}
	if err := a.Set(t.Context(), "t", strategy.Item[map[string]int]{Value: map[string]int{"secret": 1}}); err == nil {
		t.Error("Set of what cannot be encoded works")
	}
	if got, _, _ := b.Get(t.Context(), "t"); got["x"] != 1 {
		t.Errorf("a Set that failed changed the value to %v", got)
	}
}

// What another type has left under the key is a miss, is logged without the value, and gives way to a load.
func TestTypedUndecodable(t *testing.T) {
	c := newFakeCluster()
	var log bytes.Buffer
	if err := strategy.NewTypedOn[string](c.node(), nil).Set(t.Context(), "t", strategy.Item[string]{Value: "private"}); err != nil {
		t.Fatal(err)
	}
	numbers := strategy.NewTypedOn[int](c.node(), nil, strategy.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if n, found, err := numbers.Get(t.Context(), "t"); found || err != nil || n != 0 {
		t.Errorf("Get = %v, %v, %v; want a miss", n, found, err)
	}
	if said := log.String(); !strings.Contains(said, "level=ERROR") || strings.Contains(said, "private") {
		t.Errorf("logged: %s", said)
	}
	load := func(context.Context) (strategy.Item[int], error) { return strategy.Item[int]{Value: 7}, nil }
	if n, err := numbers.Load(t.Context(), "t", load); n != 7 || err != nil {
		t.Errorf("Load = %v, %v", n, err)
	}
	if n, found, err := numbers.Get(t.Context(), "t"); n != 7 || !found || err != nil {
		t.Errorf("Get after Load = %v, %v, %v", n, found, err)
	}
}

func TestTypedErrors(t *testing.T) {
	n := newFakeCluster().node()
	s := strategy.NewTypedOn[string](n, nil)
	long := strings.Repeat("x", 1100)
	broken := errors.New("database is down")
	load := func(context.Context) (strategy.Item[string], error) { return strategy.Item[string]{}, broken }
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"Set without a token", s.Set(t.Context(), "", strategy.Item[string]{}), strategy.ErrInvalid},
		{"Set of a long token", s.Set(t.Context(), long, strategy.Item[string]{}), strategy.ErrTooLarge},
		{"Set of a large value", s.Set(t.Context(), "t", strategy.Item[string]{Value: strings.Repeat("x", 2<<20)}), strategy.ErrTooLarge},
		{"Delete without a token", s.Delete(t.Context(), ""), nil},
		{"Delete of a long token", s.Delete(t.Context(), long), nil},
		{"RevokeUser of nobody", s.RevokeUser(t.Context(), ""), strategy.ErrInvalid},
		{"Load without a token", second(s.Load(t.Context(), "", load)), strategy.ErrInvalid},
		{"Load of a long token", second(s.Load(t.Context(), long, load)), strategy.ErrTooLarge},
		{"Load that fails", second(s.Load(t.Context(), "t", load)), broken},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	// A value that the codec cannot write, or reads no more, is not usable.
	funcs, lossy := strategy.NewTypedOn[func()](n, nil), strategy.NewTypedOn[error](n, nil)
	_, noRead := lossy.Load(t.Context(), "lossy", func(context.Context) (strategy.Item[error], error) {
		return strategy.Item[error]{Value: broken}, nil
	})
	for what, err := range map[string]error{
		"Set of a func":                  funcs.Set(t.Context(), "f", strategy.Item[func()]{}),
		"Load of a func":                 second(funcs.Load(t.Context(), "f", func(context.Context) (i strategy.Item[func()], _ error) { return i, nil })),
		"Load of what cannot be decoded": noRead,
	} {
		if !errors.Is(err, strategy.ErrInvalid) {
			t.Errorf("%s = %v, want ErrInvalid", what, err)
		}
	}
	for _, token := range []string{"", long, "unknown"} {
		if _, found, err := s.Get(t.Context(), token); found || err != nil {
			t.Errorf("Get of a token of %d bytes = %v, %v; want a miss", len(token), found, err)
		}
	}
	n.on(failing("lookup", node.ErrUnsure))
	if _, found, err := s.Get(t.Context(), "t"); found || err != nil {
		t.Errorf("Get while unsure = %v, %v; want a miss", found, err)
	}
	loud := strategy.NewTypedOn[string](n, nil, strategy.WithUnsureError())
	if _, found, err := loud.Get(t.Context(), "t"); found || !errors.Is(err, strategy.ErrUnsure) {
		t.Errorf("Get while unsure with WithUnsureError = %v, %v", found, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTypedExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strategy.NewTypedOn[int](newFakeCluster().node(), nil)
		is := func(want bool) {
			t.Helper()
			if _, found, err := s.Get(t.Context(), "t"); found != want || err != nil {
				t.Errorf("Get = %v, %v; want %v", found, err, want)
			}
		}
		if err := s.Set(t.Context(), "t", strategy.Item[int]{Value: 1, Expires: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		<-time.After(59 * time.Second)
		is(true)
		<-time.After(time.Second)
		is(false)
		if err := s.Set(t.Context(), "t", strategy.Item[int]{Value: 2}); err != nil {
			t.Fatal(err)
		}
		is(true)
		if err := s.Set(t.Context(), "t", strategy.Item[int]{Value: 3, Expires: time.Now()}); err != nil { // over: removed
			t.Fatal(err)
		}
		is(false)
	})
}

func TestTypedOnNodes(t *testing.T) {
	nodes := nodetest.Start(t, 3).Nodes()
	var caches []*strategy.Typed[cart]
	for _, n := range nodes {
		caches = append(caches, strategy.NewTyped[cart](n, nil, strategy.WithReadWait(5*time.Second)))
	}
	loads := 0
	for i := range 30 {
		token := fmt.Sprint("t", i)
		for _, c := range caches {
			got, err := c.Load(t.Context(), token, func(context.Context) (strategy.Item[cart], error) {
				loads++
				return strategy.Item[cart]{Value: cart{[]string{token}}, UserID: fmt.Sprint("u", i%2)}, nil
			})
			if err != nil || len(got.Items) != 1 || got.Items[0] != token {
				t.Fatalf("Load = %v, %v", got, err)
			}
		}
	}
	if loads != 30 {
		t.Errorf("%d loads of 30 sessions", loads)
	}
	if err := caches[2].RevokeUser(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	if err := caches[1].Delete(t.Context(), "t0"); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		for _, c := range caches {
			_, found, err := c.Get(t.Context(), fmt.Sprint("t", i))
			if want := i%2 == 0 && i != 0; found != want || err != nil {
				t.Fatalf("t%d: found %v, error %v; want %v", i, found, err, want)
			}
		}
	}
}
