package gorillastore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/gorillastore"
)

func Example() {
	n, err := node.Start(context.Background(), node.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	store := gorillastore.New(n, [][]byte{[]byte("the same 32 bytes on all replicas")})

	http.HandleFunc("GET /visits", func(w http.ResponseWriter, r *http.Request) {
		session, err := store.Get(r, "visits")
		if errors.Is(err, strategy.ErrUnsure) {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		visits, _ := session.Values["visits"].(int)
		session.Values["visits"] = visits + 1
		if err := session.Save(r, w); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "visit", visits+1)
	})
}
