package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// traffic keeps sessions on all nodes until it is stopped: each visitor logs in on one node, is seen on another, and logs out on
// a third. No request may fail, and none may be answered wrongly.
type traffic struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup
	done   atomic.Int64 // requests answered
	failed atomic.Int64
}

// Every token and value of the traffic holds these.
const (
	tokenMark = "SECRET-TOKEN-"
	valueMark = "SECRET-VALUE-"
)

func startTraffic(t *testing.T, at []*redis.Client, visitors int) *traffic {
	ctx, cancel := context.WithCancel(t.Context())
	x := &traffic{t: t, cancel: cancel}
	t.Cleanup(func() { // also of a test that ends early: nobody is to complain when it is over
		x.cancel()
		x.wg.Wait()
	})
	for v := range visitors {
		x.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := x.visit(at, v, i); err != nil && x.failed.Add(1) < 5 {
					t.Errorf("visitor %d, %v: %v", v, time.Now().Format(time.TimeOnly+".000"), err)
				}
			}
		})
	}
	return x
}

func (x *traffic) visit(at []*redis.Client, v, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	token, value := fmt.Sprintf("%s%d-%d", tokenMark, v, i), fmt.Sprintf("%s%d-%d", valueMark, v, i)+strings.Repeat("x", 200)
	a, b, c := at[(v+i)%len(at)], at[(v+i+1)%len(at)], at[(v+i+2)%len(at)]
	if err := a.Set(ctx, token, value, time.Hour).Err(); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	for _, cl := range []*redis.Client{b, a, c} {
		if got, err := cl.Get(ctx, token).Result(); err != nil || got != value {
			return fmt.Errorf("get: %d bytes, %w", len(got), err)
		}
	}
	if err := c.Del(ctx, token).Err(); err != nil {
		return fmt.Errorf("del: %w", err)
	}
	if _, err := b.Get(ctx, token).Result(); !errors.Is(err, redis.Nil) {
		return fmt.Errorf("get after del: %w", err)
	}
	x.done.Add(6)
	return nil
}

// more waits until so many further requests have been answered.
func (x *traffic) more(requests int64) {
	x.t.Helper()
	until := x.done.Load() + requests
	eventually(x.t, "the traffic goes on", func() bool { return x.done.Load() >= until || x.failed.Load() > 0 })
}

// stop ends the traffic and returns how many requests were answered.
func (x *traffic) stop() int64 {
	x.cancel()
	x.wg.Wait()
	if n := x.failed.Load(); n > 0 {
		x.t.Errorf("%d visits have failed, %d requests were answered", n, x.done.Load())
	}
	return x.done.Load()
}

// eventually waits for something outside of this process.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		case <-tick.C:
		}
	}
}
