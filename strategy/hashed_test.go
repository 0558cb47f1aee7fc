package strategy

import (
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/node/nodetest"
)

// With node.Config.HashTokens the caches keep neither sessions nor tokens once a request has ended.
func TestHashedTokensAreNotKept(t *testing.T) {
	n := nodetest.Start(t, 1, nodetest.WithConfig(func(_ int, cfg *node.Config) { cfg.HashTokens, cfg.TokenKey = true, make([]byte, 32) })).Node(0)
	for what, opts := range map[string][]Option{"own": nil, "shared": {WithSharedUsers()}} {
		p := NewPeerToPeer(n, opts...)
		token := "token-of-" + what
		if err := p.Set(t.Context(), CachedSession{Token: token, User: &CachedSessionUser{ID: IntID(7), Identifier: "a&b"}}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if s, found, err := p.Get(t.Context(), token); !found || err != nil || s.User.Identifier != "a&b" {
				t.Fatal(s, found, err)
			}
		}
		if p.decoded.count != 0 {
			t.Errorf("%s: %d sessions are kept decoded", what, p.decoded.count)
		}
	}
	s := NewSCSStore(n)
	if err := s.Commit("token-of-scs", []byte("x"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.Find("token-of-scs"); !found || err != nil || !s.seen.has("token-of-scs") {
		t.Fatal(found, err)
	}
	for mark := range s.seen.marks.at {
		if strings.Contains(mark, "token") {
			t.Errorf("the store keeps %q", mark)
		}
	}
}
