package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

func TestTouchIfVersion(t *testing.T) {
	ns := cluster(t, 3, node.Config{}).Nodes()
	ctx := ctxT(t)
	if err := ns[0].Set(ctx, "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	e, _, err := ns[1].Lookup(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, node.ErrCondition} { // the first gives another version
		if err := ns[i].TouchIfVersion(ctx, "k", time.Duration(1+i)*time.Hour, e.Version); !errors.Is(err, want) {
			t.Errorf("touch %d: %v", i, err)
		}
	}
	if e, _, err = ns[2].Lookup(ctx, "k"); err != nil || e.TTL <= time.Minute || e.TTL > time.Hour {
		t.Errorf("TTL %v, %v", e.TTL, err)
	}
	if err := ns[0].TouchIfVersion(ctx, "absent", time.Hour, e.Version); !errors.Is(err, node.ErrCondition) {
		t.Errorf("absent: %v", err)
	}
	if err := ns[0].TouchIfVersion(ctx, "k", -time.Hour, e.Version); !errors.Is(err, node.ErrInvalid) {
		t.Errorf("a negative TTL: %v", err)
	}
	if err := ns[0].TouchIfVersion(ctx, "", time.Hour, e.Version); !errors.Is(err, node.ErrInvalid) {
		t.Errorf("no key: %v", err)
	}
}

// TestDeleteAbsent: it loses to all that happened to the key after the miss.
func TestDeleteAbsent(t *testing.T) {
	ns := cluster(t, 3, node.Config{}).Nodes()
	for about, c := range map[string]struct {
		meanwhile func(context.Context) error
		want      error
		found     bool
	}{
		"nothing": {func(context.Context) error { return nil }, nil, false},
		"set":     {func(ctx context.Context) error { return ns[1].Set(ctx, "set", []byte("v")) }, node.ErrCondition, true},
		"set and deleted": {func(ctx context.Context) error {
			return errors.Join(ns[1].Set(ctx, "set and deleted", []byte("v")), ns[2].Delete(ctx, "set and deleted"))
		}, node.ErrStaleFill, false},
		"cleared": {func(ctx context.Context) error { return ns[2].Clear(ctx) }, node.ErrStaleFill, false},
	} {
		ctx := ctxT(t)
		_, found, ticket, err := ns[0].LookupAtOwner(ctx, about)
		if found || err != nil {
			t.Fatalf("%s: found %v, %v", about, found, err)
		}
		if err := c.meanwhile(ctx); err != nil {
			t.Fatal(err)
		}
		if err := ns[0].DeleteAbsent(ctx, about, ticket); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", about, err)
		}
		if e, found, _, err := ns[0].LookupAtOwner(ctx, about); found != c.found || err != nil || found && string(e.Value) != "v" {
			t.Errorf("%s: found %v, %v", about, found, err)
		}
	}
	if err := ns[0].DeleteAbsent(ctxT(t), "k", node.Ticket{}); !errors.Is(err, node.ErrStaleFill) {
		t.Errorf("without a ticket: %v", err)
	}
}

// The ticket of a hit makes a Set void if what it puts in the place of the entry was cut meanwhile, though the entry has none of the tags.
func TestTheTicketOfAHit(t *testing.T) {
	ns := cluster(t, 3, node.Config{}).Nodes()
	ctx := ctxT(t)
	for i, n := range ns {
		if err := n.Set(ctx, "k", []byte("v")); err != nil {
			t.Fatal(err)
		}
		e, found, ticket, err := n.LookupAtOwner(ctx, "k")
		if err != nil || !found || ticket == (node.Ticket{}) {
			t.Fatalf("node %d: found %v, ticket %v, %v", i, found, ticket, err)
		}
		want := error(nil)
		if i > 0 {
			if err := ns[0].InvalidateTags(ctx, "user"); err != nil {
				t.Fatal(err)
			}
			want = node.ErrStaleFill
		}
		err = n.Set(ctx, "k", []byte("of the user"), node.IfVersion(e.Version), node.WithTicket(ticket), node.WithTags("user"))
		if !errors.Is(err, want) {
			t.Errorf("node %d: %v, want %v", i, err, want)
		}
	}
}

// What is made of another key's entry is as old as that: what has ended that one ends it too, and lets it not be stored.
func TestWithAge(t *testing.T) {
	ns := cluster(t, 3, node.Config{}).Nodes()
	ctx := ctxT(t)
	lookup := func(n *node.Node, key string) (node.Entry, bool) {
		t.Helper()
		e, found, err := n.Lookup(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return e, found
	}
	for i, n := range ns {
		token := fmt.Sprint("token", i)
		if err := n.Set(ctx, token, []byte("v"), node.WithTags("user")); err != nil {
			t.Fatal(err)
		}
		set, _ := lookup(n, token)
		if existed, err := n.Touch(ctx, token, time.Hour); !existed || err != nil {
			t.Fatal(existed, err)
		}
		e, _ := lookup(n, token)
		if set.Age != set.Version || e.Age != set.Age || e.Version <= set.Version {
			t.Errorf("node %d: version %d, age %d; touched %d, %d", i, set.Version, set.Age, e.Version, e.Age)
		}
		renewed := func(key string) error {
			return n.Set(ctx, key, e.Value, node.WithTags("user"), node.WithAge(e.Age))
		}
		if err := renewed(token + " renewed"); err != nil {
			t.Fatal(err)
		}
		if e, found := lookup(ns[(i+1)%3], token+" renewed"); !found || e.Age != set.Age {
			t.Errorf("node %d: renewed: %v, age %d, want %d", i, found, e.Age, set.Age)
		}
		if err := ns[(i+2)%3].InvalidateTags(ctx, "user"); err != nil {
			t.Fatal(err)
		}
		if err := renewed(token + " late"); !errors.Is(err, node.ErrStaleFill) {
			t.Errorf("node %d: renewed after the user was revoked: %v, want ErrStaleFill", i, err)
		}
		for _, key := range []string{token, token + " renewed", token + " late"} {
			if _, found := lookup(n, key); found {
				t.Errorf("node %d: %q is there", i, key)
			}
		}
	}
}
