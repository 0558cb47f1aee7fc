package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
	"github.com/huddle-cache/huddle/transport"
)

// startWith runs three processes, ready and settled, with flags for all and for each.
func startWith(t *testing.T, opts cluster.Options) (*cluster.Cluster, []*redis.Client) {
	t.Helper()
	cluster.QuietRedis()
	opts.Nodes = 3
	c, err := cluster.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range c.Nodes() {
				t.Logf("%s:\n%s", n.Name, n.LogTail(15))
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := errors.Join(c.WaitReady(ctx), c.WaitSettled(ctx)); err != nil {
		t.Fatal(err)
	}
	var clients []*redis.Client
	for _, n := range c.Nodes() {
		cl := n.Redis(20 * time.Second)
		t.Cleanup(func() { _ = cl.Close() })
		clients = append(clients, cl)
	}
	return c, clients
}

// newKeyFile makes a key file with one key.
func newKeyFile(t *testing.T, path string) keyfile.Keys {
	t.Helper()
	keys, err := keyfile.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, keys.Format(), 0o600); err != nil {
		t.Fatal(err)
	}
	return keys
}

// A cluster under load goes from one key to another, node by node, and no request fails. In the end the old key is refused.
func TestRollingChangeOfTheKey(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		t.Run("hashed tokens "+strconv.FormatBool(hashed), func(t *testing.T) {
			dir := t.TempDir()
			first := newKeyFile(t, filepath.Join(dir, "old"))
			file := func(i int) string { return filepath.Join(dir, "key"+strconv.Itoa(i)) }
			for i := range 3 {
				if err := os.WriteFile(file(i), first.Format(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var args []string
			if hashed {
				args = []string{"--hash-tokens"}
			}
			c, at := startWith(t, cluster.Options{Args: args, NodeArgs: func(i int) []string { return []string{"--key-file", file(i)} }})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			if err := at[0].Set(ctx, "from before", "value", 0).Err(); err != nil {
				t.Fatal(err)
			}
			x := startTraffic(t, at, 8)
			x.more(200)
			keys := first
			for step, change := range []func(keyfile.Keys) (keyfile.Keys, error){keyfile.Keys.Add, keyfile.Keys.Use, keyfile.Keys.Drop} {
				var err error
				if keys, err = change(keys); err != nil {
					t.Fatal(err)
				}
				for i, n := range c.Nodes() {
					if err := keys.Replace(file(i)); err != nil {
						t.Fatal(err)
					}
					if step < 2 { // the last is noticed without being told
						if err := n.Signal(syscall.SIGHUP); err != nil {
							t.Fatal(err)
						}
					}
					eventually(t, "the key file is read again", func() bool {
						return strings.Count(n.Log(), "secrets have been read again and are in use") == step+1
					})
					x.more(200)
				}
			}
			for i, cl := range at {
				if v, err := read(ctx, cl, "from before"); err != nil || v != "value" {
					t.Errorf("node %d, an entry from before: %q, %v", i, v, err)
				}
			}
			late, err := cluster.Start(cluster.Options{Nodes: 1, Args: []string{"--join", c.Nodes()[0].Listen, "--key-file", filepath.Join(dir, "old")}})
			if err != nil {
				t.Fatal(err)
			}
			defer late.Close()
			eventually(t, "the old key is refused", func() bool { return strings.Contains(c.Nodes()[0].Log(), "refused a connection") })
			x.more(500)
			t.Logf("%d requests, none has failed", x.stop())
			if late.Nodes()[0].Client().Ready(ctx) {
				t.Error("a node with the old key is ready")
			}
			for _, n := range c.Nodes() {
				st, err := n.Client().Status(ctx, false)
				if err != nil || st.Stats.Members != 3 {
					t.Errorf("%s has %d members, %v", n.Name, st.Stats.Members, err)
				}
				if log := n.Log(); !strings.Contains(log, transport.Fingerprint(keys.Key)) {
					t.Errorf("%s does not say which key it uses", n.Name)
				}
			}
			// A node of the new key is welcome.
			node := c.Nodes()[1]
			if err := errors.Join(node.Leave(ctx), node.Start(), c.WaitReady(ctx, node)); err != nil {
				t.Fatal(err)
			}
			if v, err := read(ctx, at[1], "from before"); err != nil || v != "value" {
				t.Errorf("after a restart, an entry from before: %q, %v", v, err)
			}
		})
	}
}

// Strangers of every kind try to join a cluster under load, for as long as it takes them to try often. Each is refused and logged
// once, none is in, and no request fails.
func TestStrangersStayOut(t *testing.T) {
	dir := t.TempDir()
	key, other := filepath.Join(dir, "key"), filepath.Join(dir, "other")
	newKeyFile(t, key)
	newKeyFile(t, other)
	cert, certKey, authority := newCertificates(t, dir, time.Hour)
	c, at := startWith(t, cluster.Options{Args: []string{"--key-file", key}})
	n := c.Nodes()[0]
	refusals := func() int { return strings.Count(n.Log(), "refused a connection") }
	x := startTraffic(t, at, 8)
	for name, args := range map[string][]string{
		"no key":                     nil,
		"another key":                {"--key-file", other},
		"the key with another label": {"--key-file", key, "--cluster", "other"},
		"a certificate":              {"--tls-cert", cert, "--tls-key", certKey, "--tls-ca", authority},
	} {
		t.Run(name, func(t *testing.T) {
			before := refusals()
			s, err := cluster.Start(cluster.Options{Nodes: 1, Args: append([]string{"--join", n.Listen, "--log-level", "debug"}, args...)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			stranger := s.Nodes()[0]
			eventually(t, "it has tried to join, and it has tried again", func() bool { return strings.Count(stranger.Log(), "cannot join") >= 1 })
			x.more(2000)
			after := refusals()
			t.Logf("%d lines are logged of it", after-before)
			if after-before > 2 {
				t.Errorf("%d lines are logged of it", after-before)
			}
			if stranger.Client().Ready(t.Context()) {
				t.Error("it is ready")
			}
			if st, err := n.Client().Status(t.Context(), false); err != nil || st.Stats.Members != 3 || st.Stats.ViewChanges > 3 {
				t.Errorf("the cluster is harmed: %d members, %d changes of its view, %v", st.Stats.Members, st.Stats.ViewChanges, err)
			}
		})
	}
	if refusals() < 2 {
		t.Errorf("the log says nothing of strangers:\n%s", n.LogTail(20))
	}
	t.Logf("%d requests, none has failed", x.stop())
}
