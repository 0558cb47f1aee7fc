package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
	"github.com/huddle-cache/huddle/node"
)

// selfSigned is a certificate that is its own authority.
func selfSigned(t *testing.T, life time.Duration, usages ...x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), ExtKeyUsage: usages,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// A node whose certificate the others will not accept says so at once: else all that it says is that it is in sync, alone.
func TestACertificateThatTheOthersWillNotAccept(t *testing.T) {
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	own, other := selfSigned(t, time.Hour, both...), selfSigned(t, time.Hour, both...)
	servers, expired := selfSigned(t, time.Hour, x509.ExtKeyUsageServerAuth), selfSigned(t, -time.Minute, both...)
	for about, c := range map[string]struct {
		cert, authority *tls.Certificate
		warned          bool
	}{
		"none":             {nil, nil, false},
		"of the authority": {own, own, false},
		"of another":       {own, other, true},
		"for servers only": {servers, servers, true},
		"expired":          {expired, expired, true},
	} {
		var log bytes.Buffer
		w := &watcher{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
		if c.cert != nil {
			w.now.secrets = node.Secrets{Certificate: c.cert, Authorities: x509.NewCertPool()}
			w.now.secrets.Authorities.AddCert(c.authority.Leaf)
		}
		w.begin()
		if strings.Contains(log.String(), "do not accept the --tls-cert of this one") != c.warned {
			t.Errorf("%s: %q", about, log.String())
		}
	}
}

// All that is in the key file reaches the node: the key, those that are accepted beside it, and what tokens are hashed with.
func TestAllOfTheKeyFileIsRead(t *testing.T) {
	k, err := keyfile.New()
	if err != nil {
		t.Fatal(err)
	}
	first := k.Key
	if k, err = k.Add(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := k.Create(path); err != nil {
		t.Fatal(err)
	}
	c, err := Files{Key: path}.load()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.secrets.Key, first) || len(c.secrets.SecondaryKeys) != 1 || !bytes.Equal(c.secrets.SecondaryKeys[0], k.Added) || !bytes.Equal(c.tokens, k.Tokens) {
		t.Errorf("%v became %v, %v", k, c.secrets, c.tokens)
	}
}

// A file of authorities without any is a mistake, and so are two of three files.
func TestFilesThatAreOfNoUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(path, []byte("nothing in PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	var usage *UsageError
	if _, err := (Files{CA: path}).load(); !errors.As(err, &usage) {
		t.Errorf("no authority: %v", err)
	}
	for _, f := range []Files{{Cert: "a", CertKey: "b"}, {CertKey: "b", CA: "c"}, {Cert: "a"}} {
		if err := f.check(); !errors.As(err, &usage) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// A certificate and a key that do not go together are named, before anything begins with them.
func TestACertificateOfAnotherKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(path, []byte("nothing in PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, f := range map[string]Files{"--tls-cert": {Cert: path, CertKey: path}, "--resp-tls-cert": {RESPCert: path, RESPKey: path}} {
		var usage *UsageError
		if _, err := f.load(); !errors.As(err, &usage) || !strings.Contains(usage.Text, flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// A node whose key cannot be read does not start: it would be open to everybody.
func TestANodeWithoutItsKeyDoesNotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") // so that one that starts all the same ends as well
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := Config{
		Node:  node.Config{Listen: taken.Addr().String(), Replicas: 1},
		Files: Files{Key: filepath.Join(t.TempDir(), "missing")}, LeaveTimeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	}
	if err := Serve(cfg, nil); err == nil || !strings.Contains(err.Error(), "--key-file") {
		t.Errorf("Serve = %v", err)
	}
}

// Who has connected stays connected when a certificate ends, so nothing but the log tells of it before the next cut.
func TestTheEndOfACertificateIsLogged(t *testing.T) {
	var log bytes.Buffer
	w := newWatcher(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, contents{})
	begun := time.Now()
	said := func(after time.Duration, want ...string) {
		t.Helper()
		log.Reset()
		w.remind(begun.Add(after))
		if got := strings.Count(log.String(), "msg="); got != len(want) {
			t.Errorf("after %v: %d lines, want %d: %s", after, got, len(want), &log)
		}
		for _, text := range want {
			if !strings.Contains(log.String(), text) {
				t.Errorf("after %v: %q is not in %s", after, text, &log)
			}
		}
	}
	said(0)
	day := 24 * time.Hour
	c := contents{resp: selfSigned(t, 100*day)}
	c.secrets.Certificate = selfSigned(t, 10*day)
	w.use(c)
	said(8 * day)
	soon, ended := "level=WARN msg=\"the certificate of --tls-cert ends soon", "level=ERROR msg=\"the certificate of --tls-cert has ended"
	said(9*day+time.Hour, soon)
	said(9*day + 2*time.Hour)
	said(10*day+time.Hour, ended)
	said(11 * day)
	said(11*day+2*time.Hour, ended)
	said(101*day, ended, "level=ERROR msg=\"the certificate of --resp-tls-cert has ended")
	c.secrets.Certificate = selfSigned(t, 1000*day)
	w.use(c)
	said(91*day, "level=WARN msg=\"the certificate of --resp-tls-cert ends soon")
	said(969*day, "level=ERROR msg=\"the certificate of --resp-tls-cert has ended")
	said(971*day, "--tls-cert ends soon", "--resp-tls-cert has ended") // a month before, however long it has been good
}
