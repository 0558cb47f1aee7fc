package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
	"github.com/huddle-cache/huddle/node"
)

// Redis clients of a node that leaves get no error in place of an answer: they are served until all is handed over, and then find their connections
// closed. The node is not ready from the beginning, and does not claim to have lost the majority.
func TestClientsOfANodeThatLeaves(t *testing.T) {
	var log syncBuffer
	cfg := Config{
		Node: node.Config{Name: "leaver", Listen: "127.0.0.1:0", Replicas: 1, MaxBytes: 64 << 20}, RESP: "127.0.0.1:0", Admin: "127.0.0.1:0",
		LeaveTimeout: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	cfg.Node.Logger = cfg.Logger
	signals, served := make(chan os.Signal, 1), make(chan error, 1)
	go func() { served <- Serve(cfg, signals) }()
	waitFor(t, &log, `msg="in sync"`, 1)
	at := func(what string) string {
		return regexp.MustCompile(what + `=(\S+)`).FindStringSubmatch(log.String()[strings.Index(log.String(), `msg="node started"`):])[1]
	}
	for _, name := range []string{"b", "c"} {
		n, err := node.Start(t.Context(), node.Config{Name: name, Join: []string{at("listen")}, Replicas: 1, RepairRate: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		<-n.Ready()
	}
	cluster.QuietRedis()
	rdb := redis.NewClient(&redis.Options{Addr: at("resp"), MaxRetries: -1, ReadTimeout: 30 * time.Second, PoolSize: 20})
	defer rdb.Close()
	for i := range 400 {
		if err := rdb.Set(t.Context(), fmt.Sprint("k", i), make([]byte, 10_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var leaving atomic.Bool
	var callers sync.WaitGroup
	var answers atomic.Int64 // since it leaves
	for c := range 16 {
		callers.Go(func() {
			for i := 0; ; i++ {
				var err error
				if key := fmt.Sprint("k", (i*16+c)%400); c%2 == 0 {
					err = rdb.Set(t.Context(), key, "v", time.Hour).Err()
				} else {
					err = rdb.Get(t.Context(), key).Err()
				}
				switch reply := redis.Error(nil); {
				case errors.As(err, &reply):
					t.Errorf("leaving: %v: %v", leaving.Load(), err)
					return
				case err != nil && leaving.Load(): // closed, and refused from then on
					return
				case err != nil:
					t.Error(err)
					return
				}
				if leaving.Load() {
					answers.Add(1)
				}
			}
		})
	}
	ready := func() (code int, body string) {
		r, err := http.Get(at("admin") + "readyz")
		if err != nil {
			return 0, ""
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(b)
	}
	leaving.Store(true)
	signals <- syscall.SIGTERM
	waitFor(t, &log, "msg=leaving", 1)
	said, before := false, true
	for {
		code, body := ready()
		if code == 0 {
			break // it has ended
		}
		before = before && code == http.StatusOK
		said = said || body == "leaving: handing over\n"
		if code == http.StatusOK && !before || strings.Contains(body, "majority") {
			t.Errorf("/readyz: %d %s", code, body)
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	callers.Wait()
	if !said || answers.Load() == 0 || strings.Contains(log.String(), "majority") {
		t.Errorf("/readyz said that it leaves: %v; %d answers since; log:\n%s", said, answers.Load(), log.String())
	}
}
