package app

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// waitFor waits until log holds text so many times.
func waitFor(t *testing.T, log *syncBuffer, text string, times int) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); strings.Count(log.String(), text) < times; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not there %d times:\n%s", text, times, log)
		}
	}
}

// A node that gave up its cluster says that it is in sync with the next one, as it did with the first.
func TestInSyncIsSaidEachTime(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	cfg := Config{
		Node: node.Config{
			Name: "a", Listen: addr, Join: []string{addr}, Replicas: 2, Lease: 100 * time.Millisecond, ExpelAfter: 200 * time.Millisecond,
			ForgetAfter: 300 * time.Millisecond,
		},
		LeaveTimeout: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	cfg.Node.Logger = cfg.Logger
	signals, served := make(chan os.Signal, 1), make(chan error, 1)
	go func() { served <- Serve(cfg, signals) }()
	waitFor(t, &log, `msg="in sync"`, 1)
	other, err := node.Start(t.Context(), node.Config{Name: "b", Listen: "127.0.0.1:0", Join: []string{addr}, Lease: cfg.Node.Lease, ExpelAfter: cfg.Node.ExpelAfter})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, &log, "2 members", 1)
	if err := other.Close(); err != nil { // a crash: half of two is no majority
		t.Fatal(err)
	}
	waitFor(t, &log, "event=started-over", 1)
	waitFor(t, &log, `msg="in sync"`, 2)
	signals <- syscall.SIGTERM
	if err := <-served; err != nil {
		t.Error(err)
	}
}
