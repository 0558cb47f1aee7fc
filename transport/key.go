package transport

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const (
	keyBytes = 32
	certLife = 24 * time.Hour
	hostName = "huddle-peer"
)

// derive makes a secret for one purpose from the cluster's key (HKDF, RFC 5869).
func derive(key []byte, cluster, purpose string) ([]byte, error) {
	if len(key) != keyBytes {
		return nil, fmt.Errorf("the key must have %d bytes, it has %d", keyBytes, len(key))
	}
	return hkdf.Key(sha256.New, key, []byte(cluster), "huddle "+purpose, keyBytes)
}

// GossipKey is the key that gossip is encrypted with; nil without a key.
func GossipKey(key []byte, cluster string) ([]byte, error) {
	if len(key) == 0 {
		return nil, nil
	}
	return derive(key, cluster, "gossip")
}

// keyTLS makes mutual TLS 1.3 out of the key: whoever has it derives the same certificate authority and mints itself a
// certificate for a day, anew at half its life; whoever has not can neither show nor accept one.
func keyTLS(key []byte, cluster string) (*tls.Config, error) {
	seed, err := derive(key, cluster, "authority")
	if err != nil {
		return nil, err
	}
	caKey := ed25519.NewKeyFromSeed(seed)
	caTemplate := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "huddle cluster"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	m := &minter{ca: ca, key: caKey}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, RootCAs: pool,
		ServerName: hostName, SessionTicketsDisabled: true, NextProtos: []string{"h2"},
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return m.get() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.get() },
	}, nil
}

// minter keeps this process's certificate.
type minter struct {
	ca  *x509.Certificate
	key ed25519.PrivateKey

	mu   sync.Mutex
	cert *tls.Certificate
	made time.Time
}

func (m *minter) get() (*tls.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.cert != nil && now.Sub(m.made).Abs() < certLife/2 {
		return m.cert, nil
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hostName}, DNSNames: []string{hostName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, m.ca, pub, m.key)
	if err != nil {
		return nil, errors.Join(errors.New("minting a certificate"), err)
	}
	m.cert, m.made = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: priv}, now
	return m.cert, nil
}
