package app

import (
	"errors"
	"testing"

	"github.com/huddle-cache/huddle/cmd/internal/admin"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// The conditions of the admin interface are those of the node.
func TestAdminWritesOnCondition(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	b, ctx := &adminBackend{Node: n}, t.Context()
	set := func(value string, c admin.Condition) error {
		return b.Set(ctx, "k", []byte(value), admin.SetArgs{If: c})
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, node.ErrCondition) {
			t.Errorf("%s: %v, want ErrCondition", what, err)
		}
	}
	refused("present, and it is absent", set("a", admin.Condition{Present: true}))
	if err := set("a", admin.Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	refused("absent, and it is present", set("b", admin.Condition{Absent: true}))
	e, _, err := b.Lookup(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(set("b", admin.Condition{Version: e.Version}), set("c", admin.Condition{Present: true})); err != nil {
		t.Fatal(err)
	}
	refused("another version", set("d", admin.Condition{Version: e.Version}))
	_, err = b.Remove(ctx, "k", false, e.Version)
	refused("another version to be removed", err)
	if e, _, err = b.Lookup(ctx, "k"); err != nil || string(e.Value) != "c" {
		t.Fatalf("%q, %v; want c", e.Value, err)
	}
	if existed, err := b.Remove(ctx, "k", true, e.Version); !existed || err != nil {
		t.Errorf("removed: %v, %v", existed, err)
	}
	if err := set("e", admin.Condition{}); !errors.Is(err, node.ErrRevoked) {
		t.Errorf("after a revocation: %v, want ErrRevoked", err)
	}
}
