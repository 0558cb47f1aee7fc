package main

import (
	"io"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/bench"
	"github.com/huddle-cache/huddle/cmd/internal/bench/load"
)

// A measurement leaves a cluster as it found it.
func TestBenchLeavesNoKeysBehind(t *testing.T) {
	c, at := start(t)
	if err := at[0].Set(t.Context(), "mine", "v", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	cfg := bench.Config{
		Workloads: []load.Workload{load.Login, load.Logout}, Callers: []int{8}, Keys: 100, ValueBytes: 16, Requests: 600, Warm: time.Millisecond,
		Seed: 1, Out: io.Discard, Err: io.Discard,
	}
	for _, n := range c.Nodes() {
		cfg.Addrs = append(cfg.Addrs, n.RESP)
	}
	if err := bench.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if keys, err := at[1].Keys(t.Context(), "*").Result(); err != nil || len(keys) != 1 || keys[0] != "mine" {
		t.Errorf("%d keys are there, %v", len(keys), err)
	}
}
