package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/transport/resp"
)

// clientOf serves a node to Redis clients until the test ends, and returns one.
func clientOf(t *testing.T, n *node.Node) *redis.Client {
	t.Helper()
	server, err := resp.Listen(resp.Config{Addr: "127.0.0.1:0", Backend: &respBackend{node: n}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	c := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), server.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return c
}

// evicted are sessions that their owner has evicted, for nobody reads them there, while the other node, where they are read, has its copies.
type evicted struct {
	owner, other *redis.Client
	sessions     []string
	set          string // names the sessions; its owner is the same
}

func evict(t *testing.T, sessions int) evicted {
	t.Helper()
	cluster := nodetest.Start(t, 2, nodetest.WithConfig(func(_ int, c *node.Config) { c.MaxBytes, c.MaxValueBytes = 1<<20, 64<<10 }))
	cluster.WaitSettled()
	a, b := cluster.Node(0), cluster.Node(1)
	e := evicted{owner: clientOf(t, a), other: clientOf(t, b)}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; len(e.sessions) < sessions || e.set == ""; i++ {
		switch key := fmt.Sprint("key:", i); {
		case a.Locate(key).Owner != a.Name():
		case e.set == "":
			e.set = key
		default:
			e.sessions = append(e.sessions, key)
			must(e.other.Set(ctx, key, "ada", 0).Err())
		}
	}
	fill := func(name string, n int, between func()) {
		for i := range n {
			key := fmt.Sprint(name, i)
			must(e.owner.Set(ctx, key, strings.Repeat("x", 32<<10), 0).Err())
			must(e.owner.Get(ctx, key).Err())
			between()
		}
	}
	fill("early:", 10, func() {}) // so that the set does not lie beside the sessions
	for i := range 20 {
		must(e.owner.SAdd(ctx, e.set, fmt.Sprint("no session:", i)).Err())
	}
	for _, key := range e.sessions {
		must(e.owner.SAdd(ctx, e.set, key).Err())
	}
	fill("late:", 100, func() { // several times what there is room for
		must(e.owner.SAdd(ctx, e.set, "no session:0").Err())
		must(e.other.MGet(ctx, e.sessions...).Err())
	})
	for _, key := range e.sessions {
		if _, found, ok := a.Peek(key); found || !ok {
			t.Fatal("not evicted at its owner")
		}
		if v, err := e.other.Get(ctx, key).Result(); v != "ada" {
			t.Fatalf("the copy is gone too: %v", err)
		}
		if !e.owner.SIsMember(ctx, e.set, key).Val() {
			t.Fatal("not in the set any more")
		}
	}
	return e
}

// TestWhatItsOwnerHasEvictedIsRemovedEverywhere: a command that leaves nothing of a key leaves nothing of it anywhere, also if it finds nothing.
func TestWhatItsOwnerHasEvictedIsRemovedEverywhere(t *testing.T) {
	commands := []string{
		"DEL key", "GETDEL key", "EXPIRE key 0", "PEXPIRE key -5", "EXPIREAT key 1", "PEXPIREAT key 1", "GETEX key EXAT 1", "SET key v PXAT 1", "SET key v XX EXAT 1",
	}
	e := evict(t, 2*len(commands))
	for i, command := range commands {
		for j, at := range []*redis.Client{e.owner, e.other} {
			key := e.sessions[2*i+j]
			var args []any
			for word := range strings.FieldsSeq(command) {
				args = append(args, word)
			}
			args[1] = key
			got, err := at.Do(t.Context(), args...).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				t.Errorf("%s: %v", command, err)
			}
			for _, c := range []*redis.Client{e.owner, e.other} {
				if v, err := c.Get(t.Context(), key).Result(); !errors.Is(err, redis.Nil) {
					t.Errorf("%s is answered with %v, and %q is served afterwards (%v)", command, got, v, err)
				}
			}
		}
	}
}

// TestWhatItsOwnerHasEvictedCanBeChanged: a change at the node that has the copy is judged by what the owner has, which is nothing.
func TestWhatItsOwnerHasEvictedCanBeChanged(t *testing.T) {
	e := evict(t, 3)
	ctx := t.Context()
	if err := e.other.Do(ctx, "getset", e.sessions[0], "bob").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("getset: %v", err)
	}
	if err := e.other.SetArgs(ctx, e.sessions[1], "bob", redis.SetArgs{Get: true}).Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("set get: %v", err)
	}
	watched := e.sessions[2]
	var err error
	for range 2 { // the first finds that it has changed
		err = e.other.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, watched, "bob", 0).Err() })
			return err
		}, watched)
	}
	if err != nil {
		t.Errorf("watch, set: %v", err)
	}
	for _, key := range e.sessions {
		for _, c := range []*redis.Client{e.owner, e.other} {
			if v, err := c.Get(ctx, key).Result(); v != "bob" {
				t.Errorf("get: %q, %v", v, err)
			}
		}
	}
}

// TestASetNamesAllSessionsThatAreServed: a session that its owner has evicted leaves the set of its user's sessions only with its copies.
func TestASetNamesAllSessionsThatAreServed(t *testing.T) {
	e := evict(t, 1)
	ctx := t.Context()
	session := e.sessions[0]
	for i := 0; e.owner.SIsMember(ctx, e.set, session).Val(); i++ {
		if i == 1000 {
			t.Fatal("it stays in the set for ever")
		}
		key := fmt.Sprint("next:", i)
		if err := errors.Join(e.owner.Set(ctx, key, "s", 0).Err(), e.owner.SAdd(ctx, e.set, key).Err()); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := e.other.Get(ctx, session).Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("not in the set, and %q is served (%v)", v, err)
	}
}
