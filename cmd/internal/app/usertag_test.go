package app

import (
	"errors"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/admin"
	"github.com/huddle-cache/huddle/node/nodetest"
	"github.com/huddle-cache/huddle/strategy"
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
