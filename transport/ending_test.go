package transport

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestEnding(t *testing.T) {
	for want, errs := range map[string][]error{
		"the connection was closed": {
			status.Error(codes.Unavailable, "error reading from server: EOF"),
			status.Error(codes.Canceled, "context canceled"),
			status.Error(codes.Canceled, "grpc: the client connection is closing"),
			status.Error(codes.Unavailable, "transport is closing"),
		},
		"the connection was reset":                     {status.Error(codes.Unavailable, "error reading from server: read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer")},
		"the connection timed out":                     {status.Error(codes.Unavailable, "error reading from server: read: connection timed out")},
		"the peer has ended the session: disconnected": {status.Error(codes.Aborted, "disconnected")},
		"message too large":                            {status.Error(codes.ResourceExhausted, "message too large")},
		"replaced by a newer session":                  {ErrReplaced},
		"EOF":                                          {io.EOF},
		"a second Hello in one session":                {errors.New("a second Hello in one session")},
	} {
		for _, err := range errs {
			if got := ending(err); got != want {
				t.Errorf("%v becomes %q", err, got)
			}
		}
	}
}

// Whichever side a session ends on, and whether it is broken off or the connection is lost, the log says so without gRPC's words.
func TestTheLogSaysWhyASessionEnds(t *testing.T) {
	var log strings.Builder
	var mu sync.Mutex
	a, b, ra, rb := pair(t, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil)) })
	first, there := ra.session(2), rb.session(1)
	a.Disconnect(2)
	ra.end(first)
	rb.end(there)
	a.Connect(b.Self())
	first, there = ra.session(2), rb.session(1)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ra.end(first)
	rb.end(there)
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); strings.Contains(text, "rpc error") || strings.Count(text, "session down") != 4 || strings.Count(text, "id=0000000000000002 ") != 4 {
		t.Errorf("the log says %s", text)
	}
}

// A reason and its cause do not say the same.
func TestRefusedKeyIsLoggedOnce(t *testing.T) {
	var log strings.Builder
	var mu sync.Mutex
	b, rb := node(t, 2, func(cfg *Config) {
		cfg.Key, cfg.Logger = testKey(1), slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	})
	a, _ := node(t, 1, func(cfg *Config) { cfg.Key = testKey(2) })
	a.Connect(b.Self())
	rb.aRefusal()
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); strings.Count(text, "does not accept the key") != 1 || !strings.Contains(text, "cause=") {
		t.Errorf("the log says %s", text)
	}
}
