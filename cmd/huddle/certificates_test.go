package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// newCertificates makes an authority and a certificate of it that lasts so long, and writes both and the certificate's key.
func newCertificates(t *testing.T, dir string, life time.Duration) (cert, key, authority string) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = private
		}
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(life)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, private
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root := &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := sign(root, root, nil)
	leafDER, leafKey := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "node"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, root, rootKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("cert.pem", "CERTIFICATE", leafDER), write("key.pem", "PRIVATE KEY", keyDER), write("ca.pem", "CERTIFICATE", rootDER)
}

// Own certificates secure a cluster, and its Redis port; new ones are taken up while it runs; one that has expired is refused.
func TestOwnCertificates(t *testing.T) {
	dir, renewed, expired := t.TempDir(), t.TempDir(), t.TempDir()
	cert, key, authority := newCertificates(t, dir, time.Hour)
	c, at := startWith(t, cluster.Options{Args: []string{"--tls-cert", cert, "--tls-key", key, "--tls-ca", authority}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	x := startTraffic(t, at, 4)
	x.more(500)

	// Both authorities are accepted, then the new certificate is used, then the old authority is given up.
	cert2, key2, authority2 := newCertificates(t, renewed, time.Hour)
	read := func(path string) []byte {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	change := func(nth int, files map[string][]byte) {
		t.Helper()
		for path, data := range files {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range c.Nodes() {
			eventually(t, "the files are read again", func() bool {
				return strings.Count(n.Log(), "secrets have been read again and are in use") >= nth
			})
		}
		x.more(500)
	}
	oldCA, newCA := read(authority), read(authority2)
	change(1, map[string][]byte{authority: append(append([]byte(nil), oldCA...), newCA...)})
	change(2, map[string][]byte{key: read(key2), cert: read(cert2)})
	change(3, map[string][]byte{authority: newCA})

	// A node with a certificate of another authority is refused.
	ecert, ekey, eauthority := newCertificates(t, expired, time.Second)
	if err := os.WriteFile(eauthority, newCA, 0o600); err != nil {
		t.Fatal(err)
	}
	stranger, err := cluster.Start(cluster.Options{Nodes: 1, Args: []string{
		"--join", c.Nodes()[0].Listen, "--tls-cert", ecert, "--tls-key", ekey, "--tls-ca", eauthority,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	eventually(t, "a refusal", func() bool { return strings.Contains(c.Nodes()[0].Log(), "refused a connection") })
	x.more(500)
	t.Logf("%d requests, none has failed", x.stop())
	if n := strings.Count(c.Nodes()[0].Log(), "refused a connection"); n > 2 {
		t.Errorf("%d refusals are logged", n)
	}
	if stranger.Nodes()[0].Client().Ready(ctx) {
		t.Error("the stranger is ready")
	}
}

func TestRedisPortWithTLS(t *testing.T) {
	cert, key, authority := newCertificates(t, t.TempDir(), time.Hour)
	c, err := cluster.Start(cluster.Options{Nodes: 1, Args: []string{"--resp-tls-cert", cert, "--resp-tls-key", key}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	data, err := os.ReadFile(authority)
	if err != nil || !pool.AppendCertsFromPEM(data) {
		t.Fatal(err)
	}
	cl := redis.NewClient(&redis.Options{Addr: c.Nodes()[0].RESP, TLSConfig: &tls.Config{RootCAs: pool}, MaxRetries: -1})
	defer cl.Close()
	if err := errors.Join(cl.Set(ctx, "k", "v", 0).Err(), cl.Get(ctx, "k").Err()); err != nil {
		t.Error(err)
	}
	plain := c.Nodes()[0].Redis(2 * time.Second)
	defer plain.Close()
	if err := plain.Get(ctx, "k").Err(); err == nil {
		t.Error("the port answers in clear")
	}
}
