package app

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
)

// FuzzUserTag reads any value as one that may be a session, and holds the tag against the session's user.
func FuzzUserTag(f *testing.F) {
	f.Add([]byte(`{"token":"t","user":{"id":"7","identifier":"a"}}`))
	f.Add([]byte(`{"user":{"id":9007199254740993}}`))
	f.Add([]byte(`{"user":{"id":[[[[[[1]]]]]]}}`))
	f.Add([]byte(`{"user":{"id":"\ud800"}}`))
	f.Add([]byte(`{"user":{"id":1},"User":{"id":2}}`))
	f.Add([]byte(` {"\u0075ser":{"i\u0064":1},"note":"a\nb"}`))
	f.Add([]byte(`{"user":{"id":1,"id":"2"},"user":{"id":3,"verified":"x"}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		tag, ok := userTagOf(value)
		if ok != (tag != "") || ok && !strings.HasPrefix(tag, "user:") {
			t.Errorf("%q, %v", tag, ok)
		}
		if ok && !json.Valid(value) {
			t.Error("a user is found in what is no JSON")
		}
		var session strategy.CachedSession
		if session.UnmarshalJSON(value) == nil && strings.TrimPrefix(tag, "user:") != session.UserID() {
			t.Errorf("%q, and the session's user is %q", tag, session.UserID())
		}
	})
}

// FuzzConfig checks any addresses: none that others can reach may pass without a key or a password.
func FuzzConfig(f *testing.F) {
	f.Add("127.0.0.1:7400", "unix:/x", "localhost:7480", 2)
	f.Add("[::1%lo]:1", "0.0.0.0:1", "", 1)
	f.Add(":7400", "[::ffff:127.0.0.1]:9", "127.1:1", 16)
	f.Fuzz(func(t *testing.T, listen, respAddr, admin string, replicas int) {
		cfg := Config{Node: node.Config{Listen: listen, Replicas: replicas}, RESP: respAddr, Admin: admin}
		if cfg.Check() != nil {
			return
		}
		for _, addr := range []string{listen, tcpOnly(respAddr)} {
			host, _, err := net.SplitHostPort(addr)
			if addr == "" {
				continue
			}
			ip, ipErr := netip.ParseAddr(host)
			if err != nil || !strings.EqualFold(host, "localhost") && (ipErr != nil || !ip.Unmap().IsLoopback()) {
				t.Errorf("%q passes", addr)
			}
		}
	})
}
