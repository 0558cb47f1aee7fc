package resp

import (
	"context"
	"errors"
	"maps"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

func TestGoRedis(t *testing.T) {
	t.Parallel()
	for _, proto := range []int{2, 3} {
		s := start(t, Config{Password: "secret"})
		ctx := t.Context()
		c := goredis.NewClient(&goredis.Options{Addr: s.Addr(), Password: "secret", Protocol: proto, ClientName: "test"})
		t.Cleanup(func() { c.Close() })
		check := func(what string, got, want any, err error) {
			t.Helper()
			if err != nil || got != want {
				t.Errorf("RESP%d: %s: %v, %v, want %v", proto, what, got, err, want)
			}
		}
		set, err := c.Set(ctx, "k", "v", time.Minute).Result()
		check("set", set, "OK", err)
		got, err := c.Get(ctx, "k").Result()
		check("get", got, "v", err)
		if _, err := c.Get(ctx, "none").Result(); !errors.Is(err, goredis.Nil) {
			t.Errorf("get of an absent key: %v", err)
		}
		ttl, err := c.TTL(ctx, "k").Result()
		check("ttl", ttl, time.Minute, err)
		name, err := c.ClientGetName(ctx).Result()
		check("client getname", name, "test", err)
		n, err := c.SAdd(ctx, "s", "a", "b").Result()
		check("sadd", n, int64(2), err)
		members, err := c.SMembersMap(ctx, "s").Result()
		check("smembers", len(members), 2, err)
		is, err := c.SMIsMember(ctx, "s", "a", "z").Result()
		check("smismember", len(is) == 2 && is[0] && !is[1], true, err)
		config, err := c.ConfigGet(ctx, "save").Result()
		check("config get", len(config), 1, err)
		commands, err := c.Command(ctx).Result()
		check("command", commands["get"] != nil && commands["get"].ReadOnly, true, err)
		info, err := c.Info(ctx).Result()
		check("info", strings.Contains(info, "loading:0") && strings.Contains(info, "members:1"), true, err)
		size, err := c.DBSize(ctx).Result()
		check("dbsize", size, int64(2), err)
		var keys []string
		for it := c.Scan(ctx, 0, "*", 1).Iterator(); it.Next(ctx); {
			keys = append(keys, it.Val())
		}
		check("scan", strings.Join(keys, " "), "k s", nil)
		values, err := c.MGet(ctx, "k", "none", "s").Result()
		check("mget", len(values) == 3 && values[0] == "v" && values[1] == nil && values[2] == nil, true, err)
		err = c.Watch(ctx, func(tx *goredis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(p goredis.Pipeliner) error {
				p.Incr(ctx, "n")
				p.Expire(ctx, "n", time.Hour)
				return nil
			})
			return err
		}, "n")
		check("watch", nil, nil, err)
		err = c.Watch(ctx, func(tx *goredis.Tx) error {
			if err := c.Set(ctx, "n", "5", 0).Err(); err != nil {
				return err
			}
			_, err := tx.TxPipelined(ctx, func(p goredis.Pipeliner) error { return p.Incr(ctx, "n").Err() })
			return err
		}, "n")
		if !errors.Is(err, goredis.TxFailedErr) {
			t.Errorf("a watched key changed, and EXEC answers %v", err)
		}
		deleted, err := c.Del(ctx, "k", "s", "n").Result()
		check("del", deleted, int64(3), err)
		flushed, err := c.FlushDB(ctx).Result()
		check("flushdb", flushed, "OK", err)
		wrong := goredis.NewClient(&goredis.Options{Addr: s.Addr(), Password: "wrong", Protocol: proto})
		if err := wrong.Ping(ctx).Err(); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("a wrong password: %v", err)
		}
		wrong.Close()
	}
}

// TestSpringSession sends what the repository of Spring Session sends that keeps a session as a hash, and beside it the set of a user's sessions.
func TestSpringSession(t *testing.T) {
	t.Parallel()
	for _, proto := range []int{2, 3} {
		s := start(t, Config{})
		ctx := t.Context()
		c := goredis.NewClient(&goredis.Options{Addr: s.Addr(), Protocol: proto})
		t.Cleanup(func() { c.Close() })
		check := func(what string, got, want any, err error) {
			t.Helper()
			if err != nil || got != want {
				t.Errorf("RESP%d: %s: %v, %v, want %v", proto, what, got, err, want)
			}
		}
		const old, user = "spring:session:sessions:5a1c", "spring:session:index:7"
		key := old
		save := func(delta map[string]any) {
			t.Helper()
			ok, err := c.HMSet(ctx, key, delta).Result()
			check("hmset", ok, true, err)
			ok, err = c.PExpireAt(ctx, key, time.Now().Add(30*time.Minute)).Result()
			check("pexpireat", ok, true, err)
		}
		exists := func(want int64) {
			t.Helper()
			n, err := c.Exists(ctx, key).Result()
			check("exists "+key, n, want, err)
		}
		find := func(want map[string]string) {
			t.Helper()
			got, err := c.HGetAll(ctx, key).Result()
			check("hgetall "+key, maps.Equal(got, want), true, err)
		}

		session := map[string]string{"creationTime": "1700000000000", "lastAccessedTime": "1700000000000", "maxInactiveInterval": "1800"}
		save(map[string]any{"creationTime": "1700000000000", "lastAccessedTime": "1700000000000", "maxInactiveInterval": "1800"})
		find(session)

		exists(1) // a request that changes attributes
		session["lastAccessedTime"], session["sessionAttr:cart"] = "1700000001000", "\xac\xed\x00\x05t\x00\x01x"
		save(map[string]any{"lastAccessedTime": session["lastAccessedTime"], "sessionAttr:cart": session["sessionAttr:cart"]})
		find(session)

		exists(1) // the login
		moved, err := c.Rename(ctx, old, "spring:session:sessions:9f3e").Result()
		check("rename", moved, "OK", err)
		exists(0)
		key = "spring:session:sessions:9f3e"
		session["sessionAttr:user"] = "7"
		save(map[string]any{"sessionAttr:user": "7"})
		added, err := c.SAdd(ctx, user, key).Result()
		check("sadd", added, int64(1), err)
		find(session)
		if err := c.Rename(ctx, old, "spring:session:sessions:0000").Err(); err == nil || err.Error() != "ERR no such key" {
			t.Errorf("the login, sent again: %v", err)
		}

		n, err := c.HDel(ctx, key, "sessionAttr:cart").Result() // an attribute is removed
		check("hdel", n, int64(1), err)
		delete(session, "sessionAttr:cart")
		find(session)
		some, err := c.HMGet(ctx, key, "sessionAttr:user", "sessionAttr:cart").Result()
		check("hmget", len(some) == 2 && some[0] == "7" && some[1] == nil, true, err)
		ttl, err := c.PTTL(ctx, key).Result()
		check("pttl", ttl > 29*time.Minute && ttl <= 30*time.Minute, true, err)

		all, err := c.SMembers(ctx, user).Result() // the user logs out everywhere
		check("smembers", len(all) == 1 && all[0] == key, true, err)
		n, err = c.Del(ctx, all...).Result()
		check("del", n, int64(1), err)
		n, err = c.SRem(ctx, user, all[0]).Result()
		check("srem", n, int64(1), err)
		exists(0)
		find(map[string]string{})
		if err := c.HGet(ctx, key, "sessionAttr:user").Err(); !errors.Is(err, goredis.Nil) {
			t.Errorf("hget: %v", err)
		}
	}
}

func TestRedisCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("needs redis-cli")
	}
	cli := resptest.Program(t, "redis-cli", "redis-tools")
	s := start(t, Config{Password: "secret"})
	_, port, _ := net.SplitHostPort(s.Addr())
	run := func(stdin string, args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, cli, append([]string{"-p", port, "-a", "secret", "--no-auth-warning"}, args...)...)
		c.Stdin = strings.NewReader(stdin)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, tc := range []struct{ stdin, args, want string }{
		{"", "ping", "PONG"},
		{"", "set k v ex 100", "OK"},
		{"", "-3 get none", ""},
		{"", "-3 sadd s a", "1"},
		{"", "-3 smembers s", "a"},
		{"", "hset h f 1 g 2", "2"},
		{"", "hgetall h", "f\n1\ng\n2"},
		{"", "-3 hgetall h", "f 1\ng 2"},
		{"", "rename h i", "OK"},
		{"", "hdel i f g", "2"},
		{"set a 1\nmulti\nincr a\nget a\nexec\nget a\n", "", "OK\nOK\nQUEUED\nQUEUED\n2\n2\n2"},
		{"", "--scan", "a\nk\ns"},
		{cmd("set", "piped", "1") + cmd("del", "piped"), "--pipe", "All data transferred. Waiting for the last reply...\nLast reply received from server.\nerrors: 0, replies: 2"},
	} {
		if got := run(tc.stdin, strings.Fields(tc.args)...); got != tc.want {
			t.Errorf("redis-cli %s: %q, want %q", tc.args, got, tc.want)
		}
	}
	// From an empty answer to COMMAND DOCS it would conclude that there is nothing to tell; where there is none it has help, hints and
	// completion of its own.
	if got := run("", "help", "hget"); !strings.Contains(got, "Get the value of a hash field") {
		t.Errorf("redis-cli help hget: %q", got)
	}
}

func TestRedisBenchmark(t *testing.T) {
	if testing.Short() {
		t.Skip("needs redis-benchmark")
	}
	bench := resptest.Program(t, "redis-benchmark", "redis-tools")
	s := start(t, Config{})
	_, port, _ := net.SplitHostPort(s.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bench, "-p", port, "-n", "10000", "-t", "get,set", "-P", "16", "--csv").CombinedOutput()
	if err != nil || len(regexp.MustCompile(`(?m)^"(GET|SET)","[0-9.]+"`).FindAll(out, -1)) != 2 || strings.Contains(string(out), "rror") {
		t.Errorf("redis-benchmark: %v\n%s", err, out)
	}
}
