package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

func TestClusterViews(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{About: About{Cluster: "shop", Version: "v9", Replicas: 2}}, true)
	c := dial(ts, "")
	ctx := t.Context()
	if !c.Ready(ctx) {
		t.Error("not ready though in sync")
	}
	f.mu.Lock()
	f.inSync = false
	f.mu.Unlock()
	if c.Ready(ctx) {
		t.Error("ready though not in sync")
	}
	st, err := c.Status(ctx, true)
	if err != nil || st.Name != "n1" || st.View != 4 || st.Stats.Members != 2 || st.Cluster != "shop" || st.TotalEntries == nil {
		t.Errorf("status %+v, %v", st, err)
	}
	m, err := c.Members(ctx)
	if err != nil || len(m.Members) != 2 || m.View != 4 {
		t.Errorf("members %+v, %v", m, err)
	}
	r, err := c.Locate(ctx, "k")
	if err != nil || r.Owner != "n2" || r.Partition != 17 || len(r.Shares) != 2 {
		t.Errorf("ring %+v, %v", r, err)
	}
	if r, err := c.Ring(ctx); err != nil || r.Placement != nil {
		t.Errorf("ring without key %+v, %v", r, err)
	}
	if err := errors.Join(c.RevokeUser(ctx, "u/1"), c.Forget(ctx, "n 3"), c.Clear(ctx)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(f.users, []string{"u/1"}) || !slices.Equal(f.forgot, []string{"n 3"}) {
		t.Errorf("users %q, forgot %q", f.users, f.forgot)
	}
}

func TestForgetSaysWhyNot(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	f.err = fmt.Errorf("%w: %q is alive", node.ErrInvalid, "n2")
	if err := dial(ts, "").Forget(t.Context(), "n2"); codeOf(err) != api.CodeInvalid || err.Error() != `"n2" is alive` {
		t.Errorf("got %v", err)
	}
	f.err = node.ErrClosed
	if err := dial(ts, "").Forget(t.Context(), "n2"); codeOf(err) != api.CodeClosed {
		t.Errorf("got %v", err)
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	f := newFakeNode()
	_, ts := serve(t, f, Config{}, true)
	ready := func() (int, string) { return do(t, http.MethodGet, ts.URL+"/readyz", "") }
	f.inSync = false
	if code, body := ready(); code != 503 || body != "not in sync: no majority of the cluster is within reach\n" {
		t.Errorf("%d %q", code, body)
	}
	f.leaving = true
	if code, body := ready(); code != 503 || body != "leaving: handing over\n" {
		t.Errorf("%d %q", code, body)
	}
	f.other = "silent"
	if code, body := ready(); code != 503 || body != "leaving: no majority of the cluster is within reach to hand over to\n" {
		t.Errorf("%d %q", code, body)
	}
	f.leaving = false
	f.waiting = "2 of the 3 nodes that are expected are there"
	if code, body := ready(); code != 503 || body != "not in sync: in no cluster: "+f.waiting+"\n" {
		t.Errorf("%d %q", code, body)
	}
	f.heldBy = "10.0.0.9:7400"
	if code, body := ready(); code != 503 || !strings.Contains(body, "10.0.0.9:7400, has the name n1") || !strings.Contains(body, "--name") {
		t.Errorf("%d %q", code, body)
	}
}
