package resp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as if its process had been killed
	dead.Close()
	s, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	if s.Addr() != "unix:"+path {
		t.Error(s.Addr())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if got := dial(t, s.Addr()).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	if _, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()}); err == nil {
		t.Error("a socket in use was taken over")
	}
	if err := errors.Join(s.Close(), <-served); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Error("left behind:", left, err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()}); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// Why there can be no socket is said of what the operator named, not of the hidden directory in which it is made.
func TestUnixSocketErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	deep := filepath.Join(dir, strings.Repeat("d", maxSocketPath-len(dir)-3))
	used := filepath.Join(dir, "used")
	start(t, Config{Addr: "unix:" + used})
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, strings.Repeat("s", maxSocketPath-len(dir))): fmt.Sprintf("%d bytes, and no client can name more than %d", maxSocketPath+1, maxSocketPath),
		deep + "/s":    fmt.Sprintf("directory has %d bytes, at most %d", len(deep), maxSocketPath-len(hiddenSocket)),
		missing + "/s": "cannot make a socket in " + missing + ": no such file or directory",
		file + "/s":    "cannot make a socket in " + file + ": not a directory",
		used:           used + ": address already in use",
	} {
		s, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", path)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "/.r") {
			t.Errorf("%s: %v", path, err)
		}
	}
	longest := filepath.Join(dir, strings.Repeat("s", maxSocketPath-len(dir)-1))
	if got := dial(t, start(t, Config{Addr: "unix:" + longest}).Addr()).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
}

// Of two that start at the same time on a socket that was left behind, the one whose socket is in the place keeps it when the other ends.
func TestCloseLeavesTheSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ours, err := Listen(Config{Addr: "unix:" + path, Backend: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // the other has found a dead one, and put its own in the place only now
		t.Fatal(err)
	}
	other := start(t, Config{Addr: "unix:" + path})
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	if got := dial(t, other.Addr()).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// selfSigned returns the TLS configurations of a server and of its clients.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, client := selfSigned(t)
	server.MinVersion = tls.VersionTLS12
	var log lines
	s := start(t, Config{TLS: server, Logger: log.logger()})
	for range 2 {
		plainText := dial(t, s.Addr())
		plainText.send("ping\r\n")
		plainText.closed()
	}
	_ = dial(t, s.Addr()).conn.Close() // a probe
	for _, other := range []*tls.Config{{ServerName: "127.0.0.1"}, {RootCAs: client.RootCAs, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}} {
		if err := tls.Client(dial(t, s.Addr()).conn, other).Handshake(); err == nil {
			t.Error("there is a handshake")
		}
	}
	eventually(t, "those who did not get in have gone", func() bool { return clientsOf(s) == 0 })
	for what, times := range map[string]int{"level=WARN": 2, "does not speak TLS": 1, "no way to speak TLS": 1} {
		if n := strings.Count(log.text(), what); n != times {
			t.Errorf("%q is logged %d times: %s", what, n, log.text())
		}
	}
	w := dial(t, s.Addr())
	w.conn = tls.Client(w.conn, client)
	w.r.Reset(w.conn)
	if got := w.do("set", "k", "v") + w.do("get", "k"); got != "+OK\r\n$1\r\nv\r\n" {
		t.Error(got)
	}
}

// TestClose ends connections that are idle, in the middle of a command, and waiting for an answer.
func TestClose(t *testing.T) {
	f := newFake()
	asked := make(chan struct{}, 1)
	f.lookup = func(ctx context.Context, _ string) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: f, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	idle, half, waiting := dial(t, s.Addr()), dial(t, s.Addr()), dial(t, s.Addr())
	idle.do("ping")
	half.send("*2\r\n$3\r\nget")
	waiting.send("get k\r\n")
	<-asked
	if err := errors.Join(s.Close(), <-served, s.Close()); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t)
	s, err = Listen(Config{Addr: "127.0.0.1:0", Backend: f})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Serve()); err != nil {
		t.Error("never served:", err)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no backend":       {},
		"unknown mode":     {Backend: newFake(), WhenUnsure: "guess"},
		"negative timeout": {Backend: newFake(), Timeout: -1},
		"negative limit":   {Backend: newFake(), MaxConns: -1},
		"huge value":       {Backend: newFake(), MaxValueBytes: 1 << 30},
		"no such address":  {Backend: newFake(), Addr: "256.0.0.1:1"},
	} {
		if s, err := Listen(cfg); err == nil {
			s.Close()
			t.Error(name, "is accepted")
		}
	}
}
