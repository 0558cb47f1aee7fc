package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport"
)

// watchKeyFile watches a new key file for a node that uses it, and writes its log to the buffer.
func watchKeyFile(t *testing.T) (w *watcher, n *node.Node, keys keyfile.Keys, log *bytes.Buffer) {
	t.Helper()
	keys, err := keyfile.New()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, keys.Format(), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err = node.Start(t.Context(), node.Config{Key: keys.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	log = new(bytes.Buffer)
	cfg := Config{Files: Files{Key: path}, Logger: slog.New(slog.NewTextHandler(log, nil))}
	files, err := cfg.Files.load()
	if err != nil {
		t.Fatal(err)
	}
	return newWatcher(cfg, files), n, keys, log
}

// A key file that is being written is not put to use before two looks have found the same, and nothing is said of it.
func TestAFileHalfWrittenIsNotPutToUse(t *testing.T) {
	w, n, keys, log := watchKeyFile(t)
	added, err := keys.Add()
	if err != nil {
		t.Fatal(err)
	}
	used, err := added.Use()
	if err != nil {
		t.Fatal(err)
	}
	whole := used.Format()
	first := bytes.Index(whole[bytes.IndexByte(whole, '\n')+1:], []byte("\n")) + bytes.IndexByte(whole, '\n') + 2 // up to the first key
	for _, part := range [][]byte{whole[:first], whole[:first+5], whole} {
		if err := os.WriteFile(w.cfg.Files.Key, part, 0o600); err != nil {
			t.Fatal(err)
		}
		if w.look(n, true) {
			t.Errorf("%d bytes of %d are put to use at once", len(part), len(whole))
		}
	}
	if log.Len() > 0 || !bytes.Equal(w.now.secrets.Key, keys.Key) {
		t.Errorf("what is half written is in use: %s", log)
	}
	if !w.look(n, true) || !bytes.Equal(w.now.secrets.Key, used.Key) || !strings.Contains(log.String(), "are in use") {
		t.Errorf("what is written is not in use: %s", log)
	}
	log.Reset()
	if err := os.Remove(w.cfg.Files.Key); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.look(n, false)
	}
	if strings.Count(log.String(), "could not be read again") != 1 {
		t.Errorf("a file that is gone is reported as %q", log)
	}
}

// What has changed is noticed by what is in it: a key may take the place of another, of the same length.
func TestASecretOfTheSameLength(t *testing.T) {
	w, n, keys, log := watchKeyFile(t)
	other, err := keyfile.New()
	if err != nil {
		t.Fatal(err)
	}
	if before, after := keys.Format(), other.Format(); len(before) != len(after) {
		t.Fatalf("%d and %d bytes", len(before), len(after))
	}
	if err := os.WriteFile(w.cfg.Files.Key, other.Format(), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.look(n, false) || !w.look(n, false) || !bytes.Equal(w.now.secrets.Key, other.Key) {
		t.Errorf("what is written is not in use: %s", log)
	}
}

// Who asks the node to read its files again is answered, also when nothing has changed.
func TestWhoAsksIsAnswered(t *testing.T) {
	w, n, _, log := watchKeyFile(t)
	if !w.look(n, true) || !strings.Contains(log.String(), "nothing has changed") {
		t.Errorf("logged is %q", log)
	}
}

// Who has mended a file that could not be read is told that it can be, though it holds what it held before.
func TestAMendedFileIsReported(t *testing.T) {
	w, n, keys, log := watchKeyFile(t)
	if err := os.Truncate(w.cfg.Files.Key, 0); err != nil {
		t.Fatal(err)
	}
	w.look(n, false)
	if !w.look(n, false) || !strings.Contains(log.String(), "could not be read again") {
		t.Fatalf("logged is %q", log)
	}
	log.Reset()
	if err := os.WriteFile(w.cfg.Files.Key, keys.Format(), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.look(n, false)
	}
	if strings.Count(log.String(), "have been read again, nothing has changed") != 1 {
		t.Errorf("logged is %q", log)
	}
}

// The start says which keys there are, and when everybody may read them.
func TestTheStartNamesTheKeys(t *testing.T) {
	w, _, keys, log := watchKeyFile(t)
	w.begin()
	if text := log.String(); !strings.Contains(text, transport.Fingerprint(keys.Key)) || strings.Contains(text, "everybody") {
		t.Errorf("logged is %q", text)
	}
	if runtime.GOOS == "windows" {
		return // a file has no such mode
	}
	if err := os.Chmod(w.cfg.Files.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if w.begin(); !strings.Contains(log.String(), "everybody") {
		t.Errorf("logged is %q", log)
	}
}

// A key file that is not there can be made; one that cannot be read must not be made anew.
func TestOnlyAMissingKeyFileIsToBeMade(t *testing.T) {
	dir := t.TempDir() // cannot be read as a file, by root neither
	for path, advised := range map[string]bool{filepath.Join(dir, "missing"): true, dir: false} {
		if _, err := (Files{Key: path}).load(); err == nil || strings.Contains(err.Error(), "huddle keygen") != advised {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What is wrong with a key file is said once.
func TestErrorsOfAKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for text, want := range map[string]string{"": "it holds no key", "c2hvcnQ=": "line 1 holds no key of 32 bytes"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Files{Key: path}.load()
		var usage *UsageError
		if !errors.As(err, &usage) || !strings.Contains(usage.Text, "is no key file: "+want+"; make one") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The watcher looks at the ends of certificates as it begins.
func TestTheWatcherTellsOfCertificates(t *testing.T) {
	var log bytes.Buffer
	cfg := Config{Files: Files{RESPCert: "cert", RESPKey: "key"}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	w := newWatcher(cfg, contents{resp: selfSigned(t, time.Nanosecond)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w.run(ctx, nil, nil); !strings.Contains(log.String(), "the certificate of --resp-tls-cert has ended") {
		t.Errorf("logged: %s", &log)
	}
}
