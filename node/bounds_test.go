package node_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// Times that reach beyond the end of the clock mean for ever, and not at once.
func TestTimesWithoutEnd(t *testing.T) {
	n := start(t, node.Config{Retention: math.MaxInt64})
	<-n.Ready()
	ctx := ctxT(t)
	if err := n.Set(ctx, "set", []byte("v"), node.WithTTL(math.MaxInt64)); err != nil {
		t.Fatal(err)
	}
	if err := n.Set(ctx, "touched", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if there, err := n.Touch(ctx, "touched", math.MaxInt64); !there || err != nil {
		t.Fatal(there, err)
	}
	for _, key := range []string{"set", "touched"} {
		if e, found, err := n.Lookup(ctx, key); !found || err != nil || e.TTL < 99*365*24*time.Hour {
			t.Errorf("%s: %v, TTL %v, %v", key, found, e.TTL, err)
		}
	}
	if err := n.Delete(ctx, "revoked", node.Revoke()); err != nil {
		t.Fatal(err)
	}
	if err := n.Set(ctx, "revoked", []byte("late")); !errors.Is(err, node.ErrRevoked) {
		t.Errorf("a late Set: %v", err)
	}
}

func TestConfigOutOfRange(t *testing.T) {
	for what, cfg := range map[string]node.Config{
		"Retention": {Retention: -1}, "DefaultTTL": {DefaultTTL: -1}, "Settle": {Settle: -1}, "ReadTimeout": {ReadTimeout: -1},
		"WriteTimeout": {WriteTimeout: -1}, "Expect": {Expect: -1}, "Name": {Name: "a\x00b"}, "Profile": {Profile: "moon"},
	} {
		n, err := node.Start(t.Context(), cfg)
		if !errors.Is(err, node.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		if n != nil {
			_ = n.Close()
		}
	}
}

// Revocations whose callers have already given up are made all the same, as ErrUnconfirmed says.
func TestRevocationsOfCallersThatHaveGone(t *testing.T) {
	n := start(t, node.Config{})
	<-n.Ready()
	ctx := ctxT(t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		what   string
		revoke func() error
	}{
		{"InvalidateTags", func() error { return n.InvalidateTags(ended, "u") }},
		{"Clear", func() error { return n.Clear(ended) }},
		{"DeleteMany", func() error { return n.DeleteMany(ended, []string{"k"})[0] }},
		{"Delete", func() error { return n.Delete(ended, "k", node.Revoke()) }},
	} {
		if err := n.Set(ctx, "k", []byte("v"), node.WithTags("u")); err != nil {
			t.Fatal(c.what, err)
		}
		if err := c.revoke(); err != nil && !errors.Is(err, node.ErrUnconfirmed) {
			t.Errorf("%s: %v", c.what, err)
		}
		gone(t, n, c.what, "k")
	}
	if err := n.Set(ended, "other", []byte("v")); !errors.Is(err, context.Canceled) {
		t.Errorf("a Set of a caller that has gone: %v", err)
	}
	if _, found, err := n.Get(ctx, "other"); found || err != nil {
		t.Errorf("it was made: %v, %v", found, err)
	}
}

func gone(t *testing.T, n *node.Node, what, key string) {
	t.Helper()
	ctx := ctxT(t)
	for {
		_, found, err := n.Get(ctx, key)
		switch {
		case err != nil:
			t.Fatalf("%s: it is not done: %v", what, err)
		case !found:
			return
		}
	}
}

// WithKeepTTL of a key that is absent gives it the default.
func TestKeepTTLOfAnAbsentKey(t *testing.T) {
	n := start(t, node.Config{DefaultTTL: time.Minute})
	<-n.Ready()
	if err := n.Set(ctxT(t), "k", []byte("v"), node.WithKeepTTL()); err != nil {
		t.Fatal(err)
	}
	if e, found, err := n.Lookup(ctxT(t), "k"); !found || err != nil || e.TTL <= 0 || e.TTL > time.Minute {
		t.Errorf("%v, TTL %v, %v", found, e.TTL, err)
	}
}

// A fill must not bring back what was read before an acknowledged Set, though a cut of its tag has removed that one since (P6).
func TestFillAfterASetThatWasCut(t *testing.T) {
	n := start(t, node.Config{})
	<-n.Ready()
	ctx := ctxT(t)
	_, found, ticket, err := n.LookupOrTicket(ctx, "token")
	if found || err != nil {
		t.Fatal(found, err)
	}
	if err := n.Set(ctx, "token", []byte("logged in"), node.WithTags("user:7")); err != nil {
		t.Fatal(err)
	}
	if err := n.InvalidateTags(ctx, "user:7"); err != nil {
		t.Fatal(err)
	}
	for n.Stats().Entries > 0 {
		if ctx.Err() != nil {
			t.Fatal("what was cut is not freed")
		}
		time.Sleep(time.Millisecond)
	}
	if err := n.Set(ctx, "token", []byte("anonymous"), node.WithTicket(ticket)); !errors.Is(err, node.ErrStaleFill) {
		t.Errorf("the fill: %v", err)
	}
	if v, found, err := n.Get(ctx, "token"); found || err != nil {
		t.Errorf("%q, %v, %v", v, found, err)
	}
}

// To list or count a few keys takes a few messages, though there are thousands of partitions.
func TestScanAsksEachOwnerOnce(t *testing.T) {
	c := nodetest.Start(t, 3, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.Partitions, cfg.VirtualNodes = 4099, 40 }))
	ctx := ctxT(t)
	n := c.Node(0)
	for i := range 10 {
		if err := n.Set(ctx, fmt.Sprint("k", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	before := n.Stats().SentMessages
	if count, err := n.Len(ctx); count != 10 || err != nil {
		t.Fatal(count, err)
	}
	if keys, next, err := n.Scan(ctx, 0, 100); len(keys) != 10 || next != 0 || err != nil {
		t.Fatal(keys, next, err)
	}
	if sent := n.Stats().SentMessages - before; sent > 400 { // what is sent at rest meanwhile among them
		t.Errorf("%d messages", sent)
	}
}
