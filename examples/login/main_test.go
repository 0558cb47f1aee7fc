package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// Who shows an empty token is not logged in, and nothing is wrong with the database.
func TestEmptyCookie(t *testing.T) {
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	r.Header.Set("Cookie", cookieName+"=")
	new(service).known(func(http.ResponseWriter, *http.Request, account, string) { t.Error("let through") })(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
}

// The ring is a small one, for the race detector makes a large one slow.
func TestCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, false, node.Config{Partitions: 257, VirtualNodes: 40}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "Every answer was right.\n") {
		t.Fatalf("the story does not end well:\n%s", out.String())
	}
}
