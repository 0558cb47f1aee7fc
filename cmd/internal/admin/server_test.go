package admin

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/cmd/internal/client"
)

func TestListenAndClose(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: newFakeNode()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	c := client.New(s.Addr(), "")
	if _, err := c.Status(t.Context(), false); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), "hidden"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	var u *url.Error
	if _, err := c.Get(t.Context(), "hidden"); errors.As(err, &u) {
		t.Error("the error holds the address of the request")
	}
}
