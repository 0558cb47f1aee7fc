package app

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport/resp"
)

func TestCheck(t *testing.T) {
	good := func() Config {
		return Config{
			Node: node.Config{Listen: "127.0.0.1:7400", Replicas: 2}, RESP: "127.0.0.1:7379", Admin: "localhost:7480",
		}
	}
	for _, c := range []struct {
		about  string
		change func(*Config)
		want   string // part of the error; empty: no error
	}{
		{"all on loopback", func(*Config) {}, ""},
		{"IPv6 loopback", func(c *Config) { c.Node.Listen = "[::1]:7400" }, ""},
		{"open listen", func(c *Config) { c.Node.Listen = "0.0.0.0:7400" }, "huddle keygen"},
		{"listen on all", func(c *Config) { c.Node.Listen = ":7400" }, "--key-file"},
		{"listen on a name", func(c *Config) { c.Node.Listen = "box.example:7400" }, "--key-file"},
		{"open listen with key", func(c *Config) { c.Node.Listen, c.Files.Key = ":7400", "key" }, ""},
		{"open listen with certificates", func(c *Config) { c.Node.Listen, c.Files = ":7400", Files{Cert: "a", CertKey: "b", CA: "c"} }, ""},
		{"a certificate alone", func(c *Config) { c.Files.Cert = "a" }, "go together"},
		{"a certificate for clients alone", func(c *Config) { c.Files.RESPCert = "a" }, "go together"},
		{"a certificate on a socket", func(c *Config) { c.RESP, c.Files = "unix:/tmp/x", Files{RESPCert: "a", RESPKey: "b"} }, "host:port"},
		{"hashed tokens without a key", func(c *Config) { c.Node.HashTokens = true }, "--key-file"},
		{"open listen, insecure", func(c *Config) { c.Node.Listen, c.Node.Insecure = ":7400", true }, ""},
		{"open resp", func(c *Config) { c.RESP = "10.0.0.1:7379" }, "--resp-password-file"},
		{"open resp with password", func(c *Config) { c.RESP, c.Files.Passwords = "10.0.0.1:7379", "x" }, ""},
		{"resp on a socket", func(c *Config) { c.RESP = "unix:/tmp/x" }, ""},
		{"resp on a socket without path", func(c *Config) { c.RESP = "unix:" }, "no path"},
		{"no port", func(c *Config) { c.Admin = "127.0.0.1" }, "--admin"},
		{"advertised everywhere", func(c *Config) { c.Node.Advertise = "0.0.0.0:7400" }, "--advertise 0.0.0.0:7400"},
		{"advertised name", func(c *Config) { c.Node.Advertise = "box.example:7400" }, ""},
		{"a port that cannot be", func(c *Config) { c.Node.Listen = "127.0.0.1:99999" }, `--listen "127.0.0.1:99999" is not usable`},
		{"a word for resp", func(c *Config) { c.RESP = "foo" }, "such as 127.0.0.1:7379, unix:/path, or off"},
		{"no fronts", func(c *Config) { c.Admin, c.RESP = "", "" }, ""},
		{"no copies", func(c *Config) { c.Node.Replicas = 0 }, "--replicas"},
		{"expect without join", func(c *Config) { c.Node.Expect = 3 }, "needs --join"},
	} {
		cfg := good()
		c.change(&cfg)
		err := cfg.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.about, err)
		}
		var usage *UsageError
		if err != nil && !errors.As(err, &usage) {
			t.Errorf("%s: %T is no usage error", c.about, err)
		}
	}
}

// The library says what is wrong with an address, the command what to do about it.
func TestTheStatusPageHasAnAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:7480": "http://localhost:7480/", "0.0.0.0:7480": "http://localhost:7480/",
		"127.0.0.1:7480": "http://127.0.0.1:7480/", "[::1]:7480": "http://[::1]:7480/", "10.0.0.5:7480": "http://10.0.0.5:7480/",
	} {
		if got := urlOf(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	for addr, want := range map[string]string{
		n.Addr():         ": the port is taken; is another node running? Choose another with --listen",
		"192.0.2.1:7400": ": that is no address of this machine",
	} {
		_, err := node.Start(t.Context(), node.Config{Listen: addr, Insecure: true})
		if err == nil || !strings.HasPrefix(err.Error(), "huddle: listen "+addr) || strings.Contains(err.Error(), "--") {
			t.Errorf("the library says %v", err)
		}
		if got := explainListen("--listen", addr, err).Error(); got != "--listen "+addr+want {
			t.Errorf("the command says %q", got)
		}
	}
	_, err = node.Start(t.Context(), node.Config{Listen: "127.0.0.1:0", Advertise: "nowhere.invalid:1"})
	if err == nil {
		t.Fatal("a node has started that advertises a host that is none")
	}
	if got := explainListen("--listen", "127.0.0.1:0", err).Error(); !strings.HasPrefix(got, "--advertise nowhere.invalid: ") {
		t.Errorf("the command says %q", got)
	}
	_, err = resp.Listen(resp.Config{Addr: "unix:" + t.TempDir(), Backend: &respBackend{node: n}})
	if err == nil {
		t.Fatal("a folder is listened on")
	}
	if got := explainListen("--resp", "unix:x", err).Error(); !strings.HasPrefix(got, "--resp unix:x: /") || !strings.HasSuffix(got, " exists and is no socket") {
		t.Errorf("the command says %q", got)
	}
	denied := fmt.Errorf("listen: %w", &net.OpError{Op: "listen", Err: syscall.EACCES})
	if got := explainListen("--resp", "127.0.0.1:79", denied).Error(); !strings.Contains(got, "above 1023") {
		t.Error(got)
	}
}

// What is wrong with an argument is said with the limit, and never with the argument.
func TestSizeErrorsNameTheLimit(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	<-n.Ready()
	long := strings.Repeat("secret", 200)
	b := &respBackend{node: n}
	_, _, reading := b.Lookup(t.Context(), long)
	_, _, empty := b.Lookup(t.Context(), "")
	for want, err := range map[string]error{
		"key of 1200 bytes, at most 1024":         reading,
		"empty key":                               empty,
		"value of 1048577 bytes, at most 1048576": b.Set(t.Context(), "k", make([]byte, 1<<20+1), resp.SetArgs{}),
		"tag of 1200 bytes, at most 1024":         respError(n.Set(t.Context(), "k", nil, node.WithTags(long))),
		"65 tags, at most 64":                     respError(n.Set(t.Context(), "k", nil, node.WithTags(make([]string, 65)...))),
	} {
		var d *resp.DetailError
		if !errors.As(err, &d) || d.Text != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Monitors read sizes and keys from INFO.
func TestInfoForMonitors(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	<-n.Ready()
	fields := func() map[string]string {
		all := make(map[string]string)
		for _, section := range (&respBackend{node: n}).Info() {
			for _, f := range section.Fields {
				all[f[0]] = f[1]
			}
		}
		return all
	}
	if f := fields(); f["db0"] != "" || f["used_memory_human"] != "0B" || f["maxmemory_human"] != "256.00M" {
		t.Errorf("empty: %v", f)
	}
	if err := n.Set(t.Context(), "k", make([]byte, 1500)); err != nil {
		t.Fatal(err)
	}
	if err := n.Set(t.Context(), "ends", nil, node.WithTTL(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if f := fields(); f["db0"] != "keys=2,expires=1,avg_ttl=0" || !strings.HasSuffix(f["used_memory_human"], "K") {
		t.Errorf("with two keys: %v", f)
	}
	if got := humanBytes(1<<63 - 1); got != "8.00E" {
		t.Error(got)
	}
}

// Whoever gives a socket or a port that is taken is told what to do about it.
func TestATakenSocketSaysWhatToDo(t *testing.T) {
	addr := "unix:" + filepath.Join(t.TempDir(), "s")
	server, err := resp.Listen(resp.Config{Addr: addr, Backend: &respBackend{}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	_, err = resp.Listen(resp.Config{Addr: addr, Backend: &respBackend{}})
	want := "--resp " + addr + ": the socket is taken; is another node running? Choose another with --resp"
	if got := explainListen("--resp", addr, err); got.Error() != want {
		t.Errorf("%v", got)
	}
	if err := errors.Join(server.Close(), <-served); err != nil {
		t.Error(err)
	}
}

func TestErrorsKeepTheirMeaningAtTheRedisFront(t *testing.T) {
	for from, want := range map[error]error{
		node.ErrUnsure: resp.ErrUnsure, node.ErrCondition: resp.ErrCondition, node.ErrRevoked: resp.ErrRevoked, node.ErrClosed: resp.ErrClosed,
		node.ErrUnavailable: resp.ErrUnavailable, node.ErrUnconfirmed: resp.ErrUnconfirmed, node.ErrTooLarge: resp.ErrTooLarge,
		node.ErrInvalid: resp.ErrInvalid, node.ErrOverload: resp.ErrOverload, node.ErrHashed: resp.ErrHashed,
	} {
		if got := respError(fmt.Errorf("get: %w", from)); !errors.Is(got, want) {
			t.Errorf("%v became %v", from, got)
		}
	}
	if respError(nil) != nil {
		t.Error("nil became an error")
	}
}

// redisOf returns a client of a node's Redis front, where DEL of keys that begin with sess is final.
func redisOf(t *testing.T) *redis.Client {
	t.Helper()
	n, err := node.Start(t.Context(), node.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	<-n.Ready()
	b := &respBackend{node: n, final: finalKeys{"sess"}}
	server, err := resp.Listen(resp.Config{Addr: "127.0.0.1:0", Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	c := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), server.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestRevokedHashes: a hash is a token as a string is, also when it gets another name. One whose last field is taken out has not been deleted.
func TestRevokedHashes(t *testing.T) {
	c, ctx := redisOf(t), t.Context()
	revoked := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), "REVOKED") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := c.HSet(ctx, "sess:old", "user", "7").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Rename(ctx, "sess:old", "sess:new").Err(); err != nil {
		t.Fatal(err)
	}
	revoked("the old id is used again", c.HSet(ctx, "sess:old", "user", "7").Err())
	for range 2 { // taken out, and added again
		if n, err := c.HDel(ctx, "sess:new", "user").Result(); err != nil || n != 1 {
			t.Errorf("hdel: %d, %v", n, err)
		}
		if n, err := c.HSet(ctx, "sess:new", "user", "7").Result(); err != nil || n != 1 {
			t.Errorf("hset: %d, %v", n, err)
		}
	}
	if err := c.Del(ctx, "sess:new").Err(); err != nil {
		t.Fatal(err)
	}
	revoked("a session that was deleted", c.HSet(ctx, "sess:new", "user", "7").Err())
	if err := c.HSet(ctx, "other", "f", "v").Err(); err != nil {
		t.Fatal(err)
	}
	revoked("another gets the name of a deleted session", c.Rename(ctx, "other", "sess:new").Err())
	if v, err := c.HGet(ctx, "other", "f").Result(); err != nil || v != "v" {
		t.Errorf("what could not be renamed: %q, %v", v, err)
	}
	for range 2 { // no token
		if err := c.Rename(ctx, "other", "another").Err(); err != nil {
			t.Error(err)
		}
		if err := c.Rename(ctx, "another", "other").Err(); err != nil {
			t.Error(err)
		}
	}
}

// TestOnlyTokensAreRevoked: a set of a user's sessions that was deleted when he logged out everywhere takes his next session, and a lock that was
// deleted can be taken again.
func TestOnlyTokensAreRevoked(t *testing.T) {
	c := redisOf(t)
	for range 2 {
		if n, err := c.SAdd(t.Context(), "tag", "session").Result(); err != nil || n != 1 {
			t.Fatalf("sadd: %d, %v", n, err)
		}
		if n, err := c.Del(t.Context(), "tag").Result(); err != nil || n != 1 {
			t.Fatalf("del: %d, %v", n, err)
		}
	}
	if err := c.Set(t.Context(), "session", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Del(t.Context(), "session").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if taken, err := c.SetNX(t.Context(), "lock", "v", 0).Result(); err != nil || !taken {
			t.Errorf("a lock that was deleted is not taken again: %v, %v", taken, err)
		}
		if err := c.Del(t.Context(), "lock").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Set(t.Context(), "session", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "REVOKED") {
		t.Errorf("a token that was deleted for good is set again: %v", err)
	}
}

func TestUserTagOf(t *testing.T) {
	for value, want := range map[string]string{
		`{"token":"t","user":{"id":"7","identifier":"a"}}`: "user:7",
		`{"user":{"id":7}}`:                                               "user:7",
		`{"user":{"id":9007199254740993}}`:                                "user:9007199254740993",
		`{"user":{"id":1},"User":{"id":2}}`:                               "user:1",
		`{"user":{"id":1},"USER":"x"}`:                                    "user:1",
		`{"User":{"id":1}}`:                                               "",
		`{"user":{"ID":1}}`:                                               "",
		" \t\r\n{\"user\":{\"id\":1}}":                                    "user:1",
		`{"\u0075ser":{"id":1}}`:                                          "user:1",
		`{"us\u0065r":{"i\u0064":"\u0031"}}`:                              "user:1",
		`{"user":{"id":1},"user":{"id":2}}`:                               "user:2",
		`{"user":{"id":1},"user":null}`:                                   "",
		`{"user":{"id":1,"id":"2"}}`:                                      "user:2",
		`{"user":{"identifier":"a \u0026 \"b\"","id":"a\"b"},"x":["\n"]}`: `user:a"b`,
		`{"token":7,"user":{"id":1,"verified":"x"}}`:                      "user:1",
		`{"user":{}}`:                                                     "",
		`{"user":null}`:                                                   "",
		`{"user":{"id":null}}`:                                            "",
		`{"user":{"id":true}}`:                                            "",
		`{"user":{"id":""}}`:                                              "",
		`{"user":"7"}`:                                                    "",
		`{"id":"7"}`:                                                      "",
		`{"user":{"id":"7"}`:                                              "",
		`plain "user"`:                                                    "",
		``:                                                                "",
	} {
		if got, ok := userTagOf([]byte(value)); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", value, got, ok)
		}
	}
}
