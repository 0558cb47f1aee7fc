package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/chaos"
	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/cmd/internal/demo"
)

// start runs a cluster of three processes, ready and settled, with a Redis client for each.
func start(t *testing.T, args ...string) (*cluster.Cluster, []*redis.Client) {
	t.Helper()
	cluster.QuietRedis()
	c, err := cluster.Start(cluster.Options{Nodes: 3, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, n := range c.Nodes() {
			if pid := n.PID(); pid != 0 {
				t.Errorf("process %d is left", pid)
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := errors.Join(c.WaitReady(ctx), c.WaitSettled(ctx)); err != nil {
		t.Fatal(err)
	}
	var clients []*redis.Client
	for _, n := range c.Nodes() {
		cl := n.Redis(10 * time.Second)
		t.Cleanup(func() { _ = cl.Close() })
		clients = append(clients, cl)
	}
	return c, clients
}

// read gets key through cl, asking again while the node is not sure.
func read(ctx context.Context, cl *redis.Client, key string) (string, error) {
	for {
		value, err := cl.Get(ctx, key).Result()
		if err == nil || errors.Is(err, redis.Nil) || ctx.Err() != nil {
			return value, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestASessionIsOneOnAllNodes(t *testing.T) {
	_, at := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 20 {
		key := fmt.Sprintf("session:%d", i)
		a, b, c := at[i%3], at[(i+1)%3], at[(i+2)%3]
		if err := a.Set(ctx, key, "one", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		for _, cl := range []*redis.Client{b, c, b} {
			if v, err := read(ctx, cl, key); err != nil || v != "one" {
				t.Fatalf("%s: %q, %v", key, v, err)
			}
		}
		if err := b.Set(ctx, key, "two", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		for _, cl := range at {
			if v, err := read(ctx, cl, key); err != nil || v != "two" {
				t.Fatalf("%s after the second set: %q, %v", key, v, err)
			}
		}
		if err := c.Del(ctx, key).Err(); err != nil {
			t.Fatal(err)
		}
		for _, cl := range at {
			if v, err := read(ctx, cl, key); !errors.Is(err, redis.Nil) {
				t.Fatalf("%s after the delete: %q, %v", key, v, err)
			}
		}
	}
}

func TestAKilledNodeTakesNothingWithIt(t *testing.T) {
	const sessions = 5000
	c, at := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	key := func(i int) string { return fmt.Sprintf("session:%d", i) }
	var setting sync.WaitGroup
	for n, cl := range at {
		setting.Go(func() {
			for i := n; i < sessions; i += len(at) * 100 {
				_, err := cl.Pipelined(ctx, func(p redis.Pipeliner) error {
					for j := i; j < min(sessions, i+len(at)*100); j += len(at) {
						p.Set(ctx, key(j), key(j), time.Hour)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	setting.Wait()
	if t.Failed() {
		return
	}
	c.Nodes()[1].Kill()
	killed := time.Now()
	var reading sync.WaitGroup
	for _, cl := range []*redis.Client{at[0], at[2]} {
		for w := range 4 {
			reading.Go(func() {
				for i := w; i < sessions; i += 4 {
					if v, err := read(ctx, cl, key(i)); err != nil || v != key(i) {
						t.Errorf("%s: %q, %v, %v after the kill", key(i), v, err, time.Since(killed))
						return
					}
				}
			})
		}
	}
	reading.Wait()
	t.Logf("%d sessions read from both survivors within %v of the kill", sessions, time.Since(killed).Round(time.Millisecond))
}

func TestARollingRestartLosesNothing(t *testing.T) {
	const sessions = 500
	c, at := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	key := func(i int) string { return fmt.Sprintf("session:%d", i) }
	for i := range sessions {
		if err := at[i%3].Set(ctx, key(i), key(i), time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes() {
		if err := n.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		if tail := n.LogTail(5); !strings.Contains(tail, "msg=left ") {
			t.Errorf("%s did not leave as it should: %s", n.Name, tail)
		}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitReady(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	for i := range sessions {
		for n, cl := range at {
			if v, err := read(ctx, cl, key(i)); err != nil || v != key(i) {
				t.Fatalf("%s on node %d: %q, %v", key(i), n+1, v, err)
			}
		}
	}
}

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	if err := demo.Run(t.Context(), demo.Config{Nodes: 3, For: 20 * time.Second, Out: &out}); err != nil {
		t.Fatalf("%v after\n%s", err, out.String())
	}
	for _, want := range []string{"Anna logs in", "kill -9", "in sync after", "1,000 of 1,000 sessions are there", "wrong     0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demonstration does not say %q:\n%s", want, out.String())
		}
	}
}

func TestChaos(t *testing.T) {
	var out bytes.Buffer
	err := chaos.Run(t.Context(), chaos.Config{
		Seed: 1, For: 15 * time.Second, Nodes: 3, Replicas: 2, Faults: []chaos.Fault{chaos.Kill, chaos.Pause, chaos.Restart}, Out: &out,
	})
	if err != nil || !strings.Contains(out.String(), "Every promise was kept.") {
		t.Fatalf("%v after\n%s", err, out.String())
	}
}
