package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// tool finds one of the programs of Debian's redis-tools.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package redis-tools", name)
	}
	return path
}

// at runs a program of redis-tools against a node.
func at(t *testing.T, n *cluster.Node, program, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	host, port, err := net.SplitHostPort(n.RESP)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, tool(t, program), append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestRedisCLIOnEveryNode(t *testing.T) {
	c, _ := start(t)
	n := c.Nodes()
	for _, step := range []struct {
		node int
		args string
		want string
	}{
		{0, "set s v ex 100", "OK"},
		{1, "get s", "v"},
		{2, "get s", "v"},
		{1, "-3 get s", "v"},
		{2, "expire s 1000", "1"},
		{1, "sadd tag s s2", "2"},
		{2, "-3 smembers tag", "s\ns2"},
		{0, "type tag", "set"},
		{1, "--scan --pattern t*", "tag"},
		{2, "del s tag", "2"},
		{0, "get s", ""},
		{1, "exists s tag", "0"},
		{0, "get", "ERR wrong number of arguments for 'get' command"},
		{1, "nosuch x", "ERR unknown command 'nosuch', with args beginning with: 'x'"},
		{2, "set k v ex 0", "ERR invalid expire time in 'set' command"},
		{0, "-3 hello 4", "NOPROTO unsupported protocol version"},
	} {
		if got := at(t, n[step.node], "redis-cli", "", strings.Fields(step.args)...); got != step.want {
			t.Errorf("redis-cli %s at %s: %q, want %q", step.args, n[step.node].Name, got, step.want)
		}
	}
	at(t, n[0], "redis-cli", "", "set", "timed", "v", "ex", "600")
	if got := at(t, n[1], "redis-cli", "", "ttl", "timed"); !regexp.MustCompile("^(600|5[0-9][0-9])$").MatchString(got) {
		t.Errorf("ttl: %s", got)
	}
	got := at(t, n[0], "redis-cli", "multi\nset a 1\nincr a\nsadd tags a\nget a\nexec\n")
	if want := "OK\nQUEUED\nQUEUED\nQUEUED\nQUEUED\nOK\n2\n1\n2"; got != want {
		t.Errorf("a transaction: %q, want %q", got, want)
	}
	var piped strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&piped, "SET piped:%d %d\r\n", i%100, i)
	}
	if got := at(t, n[1], "redis-cli", piped.String(), "--pipe"); !strings.Contains(got, "errors: 0, replies: 1000") {
		t.Errorf("redis-cli --pipe: %s", got)
	}
	for i := range 100 {
		key, want := fmt.Sprint("piped:", i), fmt.Sprint(900+i)
		if i%10 == 0 {
			if got := at(t, n[2], "redis-cli", "", "get", key); got != want {
				t.Errorf("%s: %q, want %q: a pipeline keeps the order of the writes of a key", key, got, want)
			}
		}
	}
	if got := at(t, n[2], "redis-cli", "", "flushall"); got != "OK" {
		t.Errorf("flushall: %q", got)
	}
	if got := at(t, n[0], "redis-cli", "", "dbsize"); got != "0" {
		t.Errorf("dbsize after flushall: %q", got)
	}
}

// TestSameAsRedisOnACluster sends the same commands to a Redis and to a cluster of three processes, over connections to all of them: a
// reply may not tell that there is more than one node.
func TestSameAsRedisOnACluster(t *testing.T) {
	server := resptest.Redis(t)
	c, _ := start(t)
	var ours []string
	for _, n := range c.Nodes() {
		ours = append(ours, n.RESP)
	}
	resptest.CompareScripts(t, server, ours[0])
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			resptest.CompareRandom(t, server, ours, resptest.Options{Seed: 100 + seed, Commands: 800, Tickets: true})
		})
	}
}

func TestRedisBenchmarkOnACluster(t *testing.T) {
	c, _ := start(t)
	out := at(t, c.Nodes()[0], "redis-benchmark", "", "-n", "5000", "-r", "1000", "-d", "100", "-P", "16", "-t", "ping,set,get,incr,sadd,mset", "--csv")
	lines := regexp.MustCompile(`(?m)^"[^"]*","[0-9.]+"`).FindAllString(out, -1)
	if len(lines) != 7 || strings.Contains(out, "rror") {
		t.Errorf("redis-benchmark:\n%s", out)
	}
}

func TestGoRedisOnEveryNode(t *testing.T) {
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", proto), func(t *testing.T) {
			c, _ := start(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var clients []*redis.Client
			for _, n := range c.Nodes() {
				cl := redis.NewClient(&redis.Options{Addr: n.RESP, Protocol: proto, MaxRetries: 10, MaxRetryBackoff: time.Second})
				t.Cleanup(func() { _ = cl.Close() })
				clients = append(clients, cl)
			}
			goRedisSession(ctx, t, clients)
			goRedisBatches(ctx, t, clients)
			goRedisFills(ctx, t, clients)
			goRedisHashes(ctx, t, clients)

			// After its node has been killed and started again, a client goes on with the connections it makes anew.
			one := c.Nodes()[0]
			if err := clients[0].Set(ctx, "kept", "yes", 0).Err(); err != nil {
				t.Fatal(err)
			}
			one.Kill()
			if got, err := read(ctx, clients[1], "kept"); err != nil || got != "yes" {
				t.Fatalf("with a node dead: %q, %v", got, err)
			}
			if err := one.Start(); err != nil {
				t.Fatal(err)
			}
			if err := c.WaitReady(ctx, one); err != nil {
				t.Fatal(err)
			}
			if got, err := clients[0].Get(ctx, "kept").Result(); err != nil || got != "yes" {
				t.Errorf("on the node that was started again: %q, %v", got, err)
			}
		})
	}
}

func goRedisSession(ctx context.Context, t *testing.T, clients []*redis.Client) {
	t.Helper()
	a, b, c := clients[0], clients[1], clients[2]
	if err := a.Set(ctx, "s", "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	for _, cl := range []*redis.Client{b, c} {
		if v, err := cl.Get(ctx, "s").Result(); err != nil || v != "v" {
			t.Errorf("get: %q, %v", v, err)
		}
	}
	if d, err := b.TTL(ctx, "s").Result(); err != nil || d <= 58*time.Second || d > time.Minute {
		t.Errorf("ttl: %v, %v", d, err)
	}
	if ok, err := b.Expire(ctx, "s", time.Hour).Result(); err != nil || !ok {
		t.Errorf("expire: %v, %v", ok, err)
	}
	if n, err := c.Del(ctx, "s").Result(); err != nil || n != 1 {
		t.Errorf("del: %d, %v", n, err)
	}
	for _, cl := range clients {
		if v, err := cl.Get(ctx, "s").Result(); !errors.Is(err, redis.Nil) {
			t.Errorf("get after del: %q, %v", v, err)
		}
	}
	for want, err := range map[string]error{
		"ERR unknown command 'nosuch', with args beginning with: ": a.Do(ctx, "nosuch").Err(),
		"ERR wrong number of arguments for 'get' command":          a.Do(ctx, "get").Err(),
		"ERR invalid expire time in 'set' command":                 a.Do(ctx, "set", "k", "v", "ex", "0").Err(),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func goRedisBatches(ctx context.Context, t *testing.T, clients []*redis.Client) {
	t.Helper()
	a, b, c := clients[0], clients[1], clients[2]
	var keys []string
	for i := range 50 {
		keys = append(keys, fmt.Sprintf("batch:%02d", i))
	}
	cmds, err := a.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 200 {
			p.Set(ctx, keys[i%50], i, 0)
			p.Get(ctx, keys[i%50])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if v := cmds[2*i+1].(*redis.StringCmd).Val(); v != fmt.Sprint(i) {
			t.Fatalf("reply %d of the pipeline: %q", i, v)
		}
	}
	var found []string
	for it := b.Scan(ctx, 0, "batch:*", 10).Iterator(); it.Next(ctx); {
		found = append(found, it.Val())
	}
	slices.Sort(found)
	if found = slices.Compact(found); !slices.Equal(found, keys) {
		t.Errorf("scan found %d keys", len(found))
	}
	if n, err := c.Del(ctx, keys...).Result(); err != nil || n != 50 {
		t.Errorf("del: %d, %v", n, err)
	}
	tx, err := a.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "n", 1, 0)
		p.Incr(ctx, "n")
		p.SAdd(ctx, "tag", "n")
		p.SMembers(ctx, "tag")
		return nil
	})
	if err != nil || len(tx) != 4 || tx[1].(*redis.IntCmd).Val() != 2 || !slices.Equal(tx[3].(*redis.StringSliceCmd).Val(), []string{"n"}) {
		t.Errorf("a transaction: %v, %v", tx, err)
	}
	err = a.Watch(ctx, func(tx *redis.Tx) error {
		if err := b.Set(ctx, "n", 5, 0).Err(); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "n", 7, 0).Err() })
		return err
	}, "n")
	if !errors.Is(err, redis.TxFailedErr) {
		t.Errorf("a watched key changed at another node, and EXEC answers %v", err)
	}
	if v, err := c.Get(ctx, "n").Result(); err != nil || v != "5" {
		t.Errorf("after the transaction that failed: %q, %v", v, err)
	}
}

// goRedisFills stores under WATCH what was read elsewhere because a key was absent. It must lose to whatever happened to the key
// meanwhile at another node, and be stored if nothing did.
// goRedisHashes creates sessions at one node, reads and changes them at another, and gives them another id at the third.
func goRedisHashes(ctx context.Context, t *testing.T, clients []*redis.Client) {
	t.Helper()
	for i := range 12 { // keys of several owners
		a, b, c := clients[i%3], clients[(i+1)%3], clients[(i+2)%3]
		before, after := fmt.Sprintf("hash:%d", i), fmt.Sprintf("hash:renamed:%d", i)
		err := errors.Join(
			a.HSet(ctx, before, "f", "1", "g", "2").Err(), b.PExpire(ctx, before, time.Hour).Err(), b.HIncrBy(ctx, before, "f", 4).Err(), c.Rename(ctx, before, after).Err())
		if err != nil {
			t.Fatal(err)
		}
		for _, cl := range clients {
			if got, err := cl.HGetAll(ctx, after).Result(); err != nil || len(got) != 2 || got["f"] != "5" || got["g"] != "2" {
				t.Errorf("%s: %v, %v", after, got, err)
			}
			if n, err := cl.Exists(ctx, before).Result(); err != nil || n != 0 {
				t.Errorf("%s exists: %d, %v", before, n, err)
			}
		}
		if d, err := a.TTL(ctx, after).Result(); err != nil || d <= 59*time.Minute || d > time.Hour {
			t.Errorf("ttl: %v, %v", d, err)
		}
		if n, err := b.Del(ctx, after).Result(); err != nil || n != 1 {
			t.Errorf("del: %d, %v", n, err)
		}
		if err := c.Rename(ctx, after, before).Err(); err == nil || err.Error() != "ERR no such key" {
			t.Errorf("rename of what was deleted: %v", err)
		}
	}
}

func goRedisFills(ctx context.Context, t *testing.T, clients []*redis.Client) {
	t.Helper()
	for i, tc := range []struct {
		meanwhile func(cl *redis.Client, key string) error
		stored    bool
	}{
		{func(cl *redis.Client, key string) error { return cl.Get(ctx, "other:"+key).Err() }, true},
		{func(cl *redis.Client, key string) error { return cl.Del(ctx, key).Err() }, false},
		{func(cl *redis.Client, key string) error {
			return errors.Join(cl.Set(ctx, key, "newer", 0).Err(), cl.Del(ctx, key).Err())
		}, false},
		{func(cl *redis.Client, _ string) error { return cl.FlushDB(ctx).Err() }, false},
	} {
		for j := range 6 { // keys of several owners
			a, b := clients[j%3], clients[(j+1)%3]
			key := fmt.Sprintf("fill:%d:%d", i, j)
			err := a.Watch(ctx, func(tx *redis.Tx) error {
				if err := tx.Get(ctx, key).Err(); !errors.Is(err, redis.Nil) {
					return fmt.Errorf("get of an absent key: %w", err)
				}
				if err := tc.meanwhile(b, key); err != nil && !errors.Is(err, redis.Nil) {
					return err
				}
				_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, key, "filled", time.Hour).Err() })
				return err
			}, key)
			switch v, readErr := clients[(j+2)%3].Get(ctx, key).Result(); {
			case tc.stored && (err != nil || v != "filled"):
				t.Errorf("fill %d of %s: %v, then %q, %v", i, key, err, v, readErr)
			case !tc.stored && (!errors.Is(err, redis.TxFailedErr) || !errors.Is(readErr, redis.Nil)):
				t.Errorf("fill %d of %s, overtaken: %v, then %q, %v", i, key, err, v, readErr)
			}
		}
	}
}
