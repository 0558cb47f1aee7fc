package gorillastore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/gorillastore"
)

func Example() {
	n, err := node.Start(context.Background(), node.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	<-n.Ready()
	store := gorillastore.New(n, [][]byte{[]byte("32 bytes, alike on each replica.")})
	store.Options.Secure = false // this example speaks plain HTTP

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	}))
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	for range 2 {
		response, err := browser.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Print(string(text))
	}
	browser.CloseIdleConnections()
	// Output:
	// visit 1
	// visit 2
}
