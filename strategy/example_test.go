package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// startNode starts the node of an example, a cluster of one.
func startNode() *node.Node {
	n, err := node.Start(context.Background(), node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := n.WaitReady(context.Background()); err != nil {
		log.Fatal(err)
	}
	return n
}

// The session cache that the replicas share. A session of the same shape that a Vendure process has written reads here too.
func ExamplePeerToPeer() {
	n := startNode()
	defer n.Close()
	ctx := context.Background()
	sessions := strategy.NewPeerToPeer(n)

	err := sessions.Set(ctx, strategy.CachedSession{
		Token:   "token",
		ID:      strategy.IntID(1),
		Expires: time.Now().Add(time.Hour),
		User:    &strategy.CachedSessionUser{ID: strategy.StringID("7"), Identifier: "ada@example.com"},
	})
	fmt.Println(err)
	session, found, err := sessions.Get(ctx, "token")
	fmt.Println(session.User.Identifier, found, err)

	fmt.Println(sessions.Delete(ctx, "token"))
	_, found, err = sessions.Get(ctx, "token")
	fmt.Println(found, err)
	// Output:
	// <nil>
	// ada@example.com true <nil>
	// <nil>
	// false <nil>
}

// Load asks the database once in the whole cluster.
func ExamplePeerToPeer_Load() {
	n := startNode()
	defer n.Close()
	ctx := context.Background()
	sessions := strategy.NewPeerToPeer(n)
	load := func(context.Context) (strategy.CachedSession, error) {
		fmt.Println("asking the database")
		return strategy.CachedSession{Token: "token", Expires: time.Now().Add(time.Hour)}, nil
	}
	for range 3 {
		session, err := sessions.Load(ctx, "token", load)
		fmt.Println(session.Token, err)
	}
	// Output:
	// asking the database
	// token <nil>
	// token <nil>
	// token <nil>
}

// The same, for a service of one instance: no cluster, the same interface.
func ExampleInMemory() {
	ctx := context.Background()
	var sessions strategy.SessionCache = strategy.NewInMemory(strategy.InMemoryConfig{MaxEntries: 1000})
	fmt.Println(sessions.Set(ctx, strategy.CachedSession{Token: "token", Expires: time.Now().Add(time.Hour)}))
	fmt.Println(sessions.Delete(ctx, "token"))
	err := sessions.Set(ctx, strategy.CachedSession{Token: "token", Expires: time.Now().Add(time.Hour)})
	fmt.Println(errors.Is(err, strategy.ErrRevoked)) // a deleted token stays dead
	// Output:
	// <nil>
	// <nil>
	// true
}

// Any type of session will do.
func ExampleTyped() {
	type account struct {
		Name  string
		Roles []string
	}
	n := startNode()
	defer n.Close()
	ctx := context.Background()
	accounts := strategy.NewTyped[account](n, nil, strategy.WithKeyPrefix("account:")) // nil: as JSON

	err := accounts.Set(ctx, "token", strategy.Item[account]{
		Value: account{"ada", []string{"admin"}}, Expires: time.Now().Add(time.Hour), UserID: "7",
	})
	fmt.Println(err)
	a, found, err := accounts.Get(ctx, "token")
	fmt.Println(a.Name, a.Roles, found, err)

	fmt.Println(accounts.RevokeUser(ctx, "7")) // every session of hers, on every replica
	_, found, err = accounts.Get(ctx, "token")
	fmt.Println(found, err)
	// Output:
	// <nil>
	// ada [admin] true <nil>
	// <nil>
	// false <nil>
}

// What was loaded before a change is not stored after it. Here the role changes while the session is being loaded: Load notices
// and loads again.
func ExampleTyped_Load() {
	n := startNode()
	defer n.Close()
	ctx := context.Background()
	roles := strategy.NewTyped[string](n, nil, strategy.WithKeyPrefix("role:"))

	inDatabase := "admin"
	role, err := roles.Load(ctx, "token", func(context.Context) (strategy.Item[string], error) {
		read := inDatabase
		if read == "admin" { // somebody takes the role away, and says so to the cache
			inDatabase = "guest"
			if err := roles.RevokeUser(ctx, "7"); err != nil {
				return strategy.Item[string]{}, err
			}
		}
		return strategy.Item[string]{Value: read, UserID: "7"}, nil
	})
	fmt.Println(role, err)
	// Output: guest <nil>
}

// One line shares the sessions of scs.
func ExampleSCSStore() {
	n := startNode()
	defer n.Close()
	sessions := scs.New()
	sessions.Store = strategy.NewSCSStore(n)

	ctx, err := sessions.Load(context.Background(), "") // what sessions.LoadAndSave does for each request
	if err != nil {
		log.Fatal(err)
	}
	sessions.Put(ctx, "user", "ada")
	token, _, err := sessions.Commit(ctx)
	if err != nil {
		log.Fatal(err)
	}
	ctx, err = sessions.Load(context.Background(), token) // on any replica
	fmt.Println(sessions.GetString(ctx, "user"), err)
	// Output: ada <nil>
}

// "Log out everywhere" needs to know whose session the data is.
func ExampleWithUserOf() {
	n := startNode()
	defer n.Close()
	store := strategy.NewSCSStore(n, strategy.WithUserOf(func(data []byte) string {
		_, values, err := scs.GobCodec{}.Decode(data)
		if err != nil {
			return ""
		}
		user, _ := values["user"].(string)
		return user
	}))
	data, err := scs.GobCodec{}.Encode(time.Now().Add(time.Hour), map[string]any{"user": "ada"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(store.Commit("token", data, time.Now().Add(time.Hour)))
	fmt.Println(store.RevokeUser(context.Background(), "ada"))
	_, found, err := store.Find("token")
	fmt.Println(found, err)
	// Output:
	// <nil>
	// <nil>
	// false <nil>
}

// Fiber's session middleware, and its other middleware on a storage of their own.
func ExampleFiberStorage() {
	n := startNode()
	defer n.Close()
	// session.New(session.Config{Storage: sessions}), limiter.New(limiter.Config{Storage: counters})
	sessions := strategy.NewFiberStorage(n)
	counters := strategy.NewFiberStorage(n, strategy.WithStorePrefix("limiter:"), strategy.WithReusableKeys())

	for _, storage := range []*strategy.FiberStorage{sessions, counters} {
		if err := storage.Delete("key"); err != nil {
			log.Fatal(err)
		}
		err := storage.Set("key", []byte("value"), time.Minute)
		fmt.Println(errors.Is(err, strategy.ErrRevoked))
	}
	// Output:
	// true
	// false
}
