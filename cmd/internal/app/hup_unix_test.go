//go:build unix

package app

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// atFirst does something with the first record that is logged.
type atFirst struct {
	slog.Handler
	once *sync.Once
	do   func()
}

func (a atFirst) Enabled(context.Context, slog.Level) bool  { return true }
func (a atFirst) WithAttrs([]slog.Attr) slog.Handler        { return a }
func (a atFirst) WithGroup(string) slog.Handler             { return a }
func (a atFirst) Handle(context.Context, slog.Record) error { a.once.Do(a.do); return nil }

// SIGHUP during the start, or as the process ends, does not end it: this one, if it did. The first may reach it only when Serve has returned.
func TestSIGHUPWhileStartingAndEnding(t *testing.T) {
	signals := make(chan os.Signal, 1)
	hup := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Error(err)
		}
		signals <- syscall.SIGTERM
	}
	cfg := Config{
		Node: node.Config{Listen: "127.0.0.1:0", Replicas: 1}, LeaveTimeout: 10 * time.Second,
		Logger: slog.New(atFirst{Handler: slog.DiscardHandler, once: new(sync.Once), do: hup}),
	}
	cfg.Node.Logger = cfg.Logger
	if err := Serve(cfg, signals); err != nil {
		t.Error(err)
	}
	later := make(chan os.Signal, 1)
	signal.Notify(later, syscall.SIGUSR1)
	defer signal.Stop(later)
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1} {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	<-later
}
