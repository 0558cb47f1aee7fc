package gocachestore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/store"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy/gocachestore"
)

func Example() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	<-n.Ready()
	users := cache.New[string](gocachestore.New[string](n, "users:", store.WithExpiration(time.Hour)))
	if err := users.Set(ctx, "42", "Ada", store.WithTags([]string{"team-7"})); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(users.Get(ctx, "42"))
	fmt.Println(users.Invalidate(ctx, store.WithInvalidateTags([]string{"team-7"})))
	name, err := users.Get(ctx, "42")
	fmt.Printf("%q %v\n", name, err != nil)
	// Output:
	// Ada <nil>
	// <nil>
	// "" true
}
