package app

import (
	"errors"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/admin"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/transport/resp"
)

// What revoke-user does ends the sessions of a user that came through the admin interface, and those of a session library.
func TestRevokeUserReachesEverySession(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	b := &adminBackend{Node: n}
	store := strategy.NewSCSStore(n, strategy.WithUserOf(func(data []byte) string { return string(data) }))
	if err := errors.Join(
		b.Set(t.Context(), "session", []byte(`{"user":{"id":7}}`), admin.SetArgs{}),
		store.Commit("token", []byte("7"), time.Now().Add(time.Hour)),
		store.Commit("other", []byte("8"), time.Now().Add(time.Hour)),
		b.RevokeUser(t.Context(), "7"),
	); err != nil {
		t.Fatal(err)
	}
	if _, found, err := n.Get(t.Context(), "session"); found || err != nil {
		t.Errorf("the session of the admin interface: %v, %v", found, err)
	}
	if _, found, err := store.Find("token"); found || err != nil {
		t.Errorf("the session of scs: %v, %v", found, err)
	}
	if _, found, err := store.Find("other"); !found || err != nil {
		t.Errorf("the session of another user: %v, %v", found, err)
	}
}

// What a Redis client changes without writing it anew keeps its tags: it ends with the user, or with whatever they stand for.
func TestChangesKeepTheTags(t *testing.T) {
	cluster := nodetest.Start(t, 3)
	n := cluster.Node(0)
	c, ctx := clientOf(t, cluster.Node(1)), t.Context()
	store := strategy.NewSCSStore(n, strategy.WithStorePrefix("scs:"), strategy.WithUserOf(func(data []byte) string { return string(data) }))
	if err := errors.Join(
		store.Commit("token", []byte("7"), time.Now().Add(time.Hour)),
		c.Rename(ctx, "scs:token", "scs:renamed").Err(),
		n.Set(ctx, "here", []byte("x"), node.WithTags("a", "b")),
		n.Set(ctx, "same", []byte("x"), node.WithTags("c")), // in place of it stands what has other tags
		c.Rename(ctx, "here", "same").Err(),
		n.Set(ctx, "count", []byte("1"), node.WithTags("a")),
		c.Incr(ctx, "count").Err(),
		c.Expire(ctx, "count", time.Hour).Err(),
		n.Set(ctx, "again", []byte("x"), node.WithTags("a")),
		c.Set(ctx, "again", "y", 0).Err(),
	); err != nil {
		t.Fatal(err)
	}
	if data, found, err := store.Find("renamed"); string(data) != "7" || !found || err != nil {
		t.Fatalf("renamed: %q, %v, %v", data, found, err)
	}
	if err := n.InvalidateTags(ctx, strategy.UserTag("7"), "a"); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"scs:renamed": 0, "same": 0, "count": 0, "again": 1} {
		if there, err := c.Exists(ctx, key).Result(); there != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", key, there, err, want)
		}
	}
}

// What the Redis port makes of the entry of another key is as old as that: it is refused when that has been ended meanwhile.
func TestTheAgeOfWhatIsRenamed(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	b, ctx := &respBackend{node: n}, t.Context()
	if err := n.Set(ctx, "old", []byte("v"), node.WithTags("user")); err != nil {
		t.Fatal(err)
	}
	e, found, err := b.Lookup(ctx, "old")
	if !found || err != nil || e.Age == 0 {
		t.Fatalf("%+v, %v, %v", e, found, err)
	}
	set := func(key string) error { return b.Set(ctx, key, e.Value, resp.SetArgs{Tags: e.Tags, Age: e.Age}) }
	if err := errors.Join(set("new"), n.InvalidateTags(ctx, "user")); err != nil {
		t.Fatal(err)
	}
	if err := set("late"); !errors.Is(err, resp.ErrCondition) {
		t.Errorf("made of what has been ended: %v, want ErrCondition", err)
	}
}
