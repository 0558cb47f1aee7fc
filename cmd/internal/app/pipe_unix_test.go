//go:build unix

package app

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// A pipe is read once: it gives what it has only then, and who opens it again waits for somebody who writes.
func TestAPipeIsReadOnce(t *testing.T) {
	n, err := node.Start(t.Context(), node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	dir := t.TempDir()
	var log bytes.Buffer
	cfg := Config{
		Files:  Files{Passwords: filepath.Join(dir, "password"), Tokens: filepath.Join(dir, "token")},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	written := make(chan error, 1)
	for _, path := range []string{cfg.Files.Passwords, cfg.Files.Tokens} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() { written <- os.WriteFile(path, []byte("secret\n"), 0) }()
	}
	files, err := cfg.Files.load()
	if err := errors.Join(err, <-written, <-written); err != nil {
		t.Fatal(err)
	}
	w := newWatcher(cfg, files)
	if !w.look(n, true) || !strings.Contains(log.String(), "nothing has changed") || !w.checkToken()([]byte("secret")) {
		t.Errorf("logged is %s", log.String())
	}

	// A file that becomes one is an error.
	cfg.Files.Tokens = filepath.Join(dir, "file")
	if err := os.WriteFile(cfg.Files.Tokens, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg = cfg
	w.look(n, true)
	w.look(n, true)
	if err := errors.Join(os.Remove(cfg.Files.Tokens), syscall.Mkfifo(cfg.Files.Tokens, 0o600)); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	w.look(n, true)
	if !w.look(n, true) || !strings.Contains(log.String(), "--admin-token-file: "+cfg.Files.Tokens+" is a pipe now") || !w.checkToken()([]byte("token")) {
		t.Errorf("logged is %s", log.String())
	}
}

// A node that waits for somebody to write its key is ended by a signal like any other.
func TestASignalEndsTheWaitForAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	signals, served := make(chan os.Signal, 1), make(chan error, 1)
	signals <- syscall.SIGTERM
	go func() {
		served <- Serve(Config{Node: node.Config{Listen: "127.0.0.1:0", Replicas: 1}, Files: Files{Key: path}, Logger: slog.New(slog.DiscardHandler)}, signals)
	}()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it waits on")
	}
	end, err := os.OpenFile(path, os.O_RDWR, 0) // lets the reader go
	if err != nil {
		t.Fatal(err)
	}
	_ = end.Close()
}
