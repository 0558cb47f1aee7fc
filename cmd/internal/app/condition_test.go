package app

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/admin"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/transport/resp"
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

// So are those of the Redis protocol front, and its TTLs, tickets and tags.
func TestRedisWritesOnCondition(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	b, ctx := &respBackend{node: n, final: finalKeys{"sess"}}, t.Context()
	set := func(value string, a resp.SetArgs) error { return b.Set(ctx, "k", []byte(value), a) }
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, resp.ErrCondition) {
			t.Errorf("%s: %v, want ErrCondition", what, err)
		}
	}
	refused("present, and it is absent", set("a", resp.SetArgs{IfPresent: true}))
	_, found, absent, err := b.LookupOrTicket(ctx, "k")
	if found || err != nil || absent == (resp.Ticket{}) {
		t.Fatalf("%v, %v, %v", found, absent, err)
	}
	if err := set("a", resp.SetArgs{Ticket: absent, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	refused("absent, and it is present", set("b", resp.SetArgs{IfAbsent: true}))
	refused("under the ticket of before", set("b", resp.SetArgs{Ticket: absent}))
	e, found, there, err := b.LookupOrTicket(ctx, "k")
	if !found || err != nil || there == (resp.Ticket{}) || e.TTL <= 0 {
		t.Fatalf("%+v, %v, %v, %v", e, found, there, err)
	}
	if err := set("b", resp.SetArgs{KeepTTL: true, IfVersion: e.Version}); err != nil {
		t.Fatal(err)
	}
	refused("another version", set("c", resp.SetArgs{IfVersion: e.Version}))
	_, err = b.Touch(ctx, "k", time.Minute, e.Version)
	refused("another version to be touched", err)
	_, err = b.Remove(ctx, "k", e.Version)
	refused("another version to be removed", err)
	_, err = b.Unset(ctx, "k", e.Version)
	refused("another version to be unset", err)
	if e, found, err = b.Lookup(ctx, "k"); !found || err != nil || string(e.Value) != "b" || e.TTL <= time.Minute {
		t.Fatalf("%q for %v, %v, %v; want b for the time that it had", e.Value, e.TTL, found, err)
	}
	errs := b.SetMany(ctx, []resp.SetItem{{Key: "k", Value: []byte("c"), Args: resp.SetArgs{IfAbsent: true}}, {Key: "other", Value: []byte("v")}})
	if refused("one of many", errs[0]); errs[1] != nil {
		t.Error(errs[1])
	}
}

// A session is dead once it is removed, and no other key is. What is begun ends as what is waited for.
func TestRedisRemovesForGood(t *testing.T) {
	n := nodetest.Start(t, 1).Node(0)
	b, ctx := &respBackend{node: n, final: finalKeys{"sess"}}, t.Context()
	for _, key := range []string{"sess:t", "other"} {
		if err := b.Set(ctx, key, []byte("v"), resp.SetArgs{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{true, false} {
			ended := make(chan resp.Outcome, 1)
			b.Begin([]resp.Op{{Kind: resp.OpRemove, Key: key, Timeout: time.Minute}}, func(_ int, o resp.Outcome) { ended <- o })
			if o := <-ended; o.Found != want || o.Err != nil {
				t.Errorf("%s removed: %+v, want %v", key, o, want)
			}
		}
		if err := b.Set(ctx, key, []byte("v"), resp.SetArgs{}); errors.Is(err, resp.ErrRevoked) != (key == "sess:t") {
			t.Errorf("%s set again: %v", key, err)
		}
	}
}

// A node that leaves is not in sync, so that balancers look elsewhere.
func TestWhoLeavesIsNotInSync(t *testing.T) {
	b := &adminBackend{Node: nodetest.Start(t, 1).Node(0)}
	for _, leaves := range []bool{false, true} {
		if b.leaving.Store(leaves); b.InSync() == leaves {
			t.Errorf("leaves: %v, in sync: %v", leaves, b.InSync())
		}
	}
}

// Where the node has a default TTL, what is to have none has none.
func TestRedisWritesWithoutAnEnd(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{Listen: "127.0.0.1:0", DefaultTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	<-n.Ready()
	b := &respBackend{node: n}
	for _, none := range []bool{false, true} {
		if err := b.Set(t.Context(), "k", []byte("v"), resp.SetArgs{NoTTL: none}); err != nil {
			t.Fatal(err)
		}
		if e, found, err := b.Lookup(t.Context(), "k"); !found || err != nil || (e.TTL == 0) != none {
			t.Errorf("without a TTL %v: %v, %v, %v", none, e.TTL, found, err)
		}
	}
}

// A set is no token, whatever its key begins with: who logs out everywhere logs in again.
func TestASetIsNotDeadOnceItIsRemoved(t *testing.T) {
	c, ctx := redisOf(t), t.Context()
	for range 2 {
		if n, err := c.SAdd(ctx, "sess-of-7", "sess:t").Result(); err != nil || n != 1 {
			t.Errorf("sadd: %d, %v", n, err)
		}
		if n, err := c.Del(ctx, "sess-of-7").Result(); err != nil || n != 1 {
			t.Errorf("del: %d, %v", n, err)
		}
	}
}

// The fronts ask for what they are to ask for, and a removed session is dead where it is to be.
func TestFrontsAskForTheirSecrets(t *testing.T) {
	n, ctx := nodetest.Start(t, 1).Node(0), t.Context()
	cfg := Config{
		RESP: "127.0.0.1:0", Admin: "127.0.0.1:0", Revoke: []string{"sess"}, Logger: slog.New(slog.DiscardHandler), Files: Files{Passwords: "x", Tokens: "y"},
	}
	f, err := openFronts(cfg, n, newWatcher(cfg, contents{passwords: []string{"of-redis"}, admin: []string{"of-admin"}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	stranger, friend := redis.NewClient(&redis.Options{Addr: f.respAddr()}), redis.NewClient(&redis.Options{Addr: f.respAddr(), Password: "of-redis"})
	t.Cleanup(func() { _ = errors.Join(stranger.Close(), friend.Close()) })
	if err := stranger.Set(ctx, "sess:t", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
	if err := errors.Join(friend.Set(ctx, "sess:t", "v", 0).Err(), friend.Del(ctx, "sess:t").Err()); err != nil {
		t.Fatal(err)
	}
	if err := friend.Set(ctx, "sess:t", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "REVOKED") {
		t.Errorf("after its removal: %v", err)
	}
	for token, want := range map[string]int{"": http.StatusUnauthorized, "of-admin": http.StatusOK} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.adminURL()+"api/v1/entries", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("with token %q: %d, want %d", token, answer.StatusCode, want)
		}
	}
}
