package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"syscall"
	"time"
)

// A certificate is good for certLife and is replaced after half of it. It is dated back by as much as it has left when it
// is replaced, so that clocks may differ by that.
const (
	certLife = 24 * time.Hour
	certName = "peer.huddle"
)

// GossipKey derives memberlist's key (32 bytes) from the cluster's key and label. It is nil for an empty key.
func GossipKey(key []byte, cluster string) ([]byte, error) {
	if len(key) == 0 {
		return nil, nil
	}
	secret, err := derive(key, cluster, "huddle gossip v1")
	if err != nil {
		return nil, fmt.Errorf("transport: derive the key of gossip: %w", err)
	}
	return secret, nil
}

func derive(key []byte, cluster, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, []byte(cluster), purpose, keyBytes)
}

// credentials certifies this process, and verifies others, by an authority that all who know the key derive alike.
type credentials struct {
	authority *x509.Certificate
	signer    ed25519.PrivateKey
	pool      *x509.CertPool
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	renewAt time.Time
}

func newCredentials(key []byte, cluster string) (*credentials, error) {
	seed, err := derive(key, cluster, "huddle authority v1")
	if err != nil {
		return nil, fmt.Errorf("transport: derive the authority: %w", err)
	}
	signer := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "huddle"},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("transport: make the authority: %w", err)
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("transport: make the authority: %w", err)
	}
	c := &credentials{authority: authority, signer: signer, pool: x509.NewCertPool(), now: time.Now}
	c.pool.AddCert(authority)
	if _, err := c.certificate(); err != nil {
		return nil, err
	}
	return c, nil
}

// certificate returns this process's certificate, a new one when half the life of the last is over.
func (c *credentials) certificate() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.current != nil && now.Before(c.renewAt) {
		return c.current, nil
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("transport: make a certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("transport: make a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: certName},
		DNSNames:     []string{certName},
		NotBefore:    now.Add(-certLife / 2),
		NotAfter:     now.Add(certLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority, public, c.signer)
	if err != nil {
		return nil, fmt.Errorf("transport: make a certificate: %w", err)
	}
	c.current = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	c.renewAt = now.Add(certLife / 2)
	return c.current, nil
}

func (c *credentials) config() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2"},
		ServerName:             certName,
		RootCAs:                c.pool,
		ClientCAs:              c.pool,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true,
		Time:                   c.now,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.certificate() },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.certificate() },
	}
}

// client secures a connection that this side has dialled. It closes the connection if that fails.
func (c *credentials) client(ctx context.Context, conn net.Conn) (net.Conn, error) {
	secured := tls.Client(conn, c.config())
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, explainTLS(err)
	}
	return secured, nil
}

// server secures a connection that this side has accepted, within the deadline of the connection.
func (c *credentials) server(conn net.Conn) (net.Conn, error) {
	secured := tls.Server(conn, c.config())
	if err := secured.Handshake(); err != nil {
		return nil, explainTLS(err)
	}
	return secured, nil
}

// explainTLS says what is likely wrong in words of the configuration.
func explainTLS(err error) error {
	var unknown x509.UnknownAuthorityError
	var alert tls.AlertError
	var remote *net.OpError // what a TLS alert of the other side is wrapped in
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the other side has another key, or another cluster label: %w", err)
	case errors.As(err, &remote) && remote.Op == "remote error", errors.As(err, &alert):
		return fmt.Errorf("the other side does not accept the key, or the cluster label: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the other side hung up during the handshake: has it no key? (%w)", err)
	}
	return fmt.Errorf("the TLS handshake failed: %w", err)
}
