package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// What is spoken on a secured connection, as TLS negotiates it.
const (
	speaksRPC    = "h2"
	speaksGossip = "huddle-gossip"
)

// credentials certify this process to others, and verify them, by the secrets of now.
type credentials struct {
	cluster string
	now     func() time.Time
	trust   atomic.Pointer[trust]
}

// trust is what follows from one set of secrets.
type trust struct {
	pool        *x509.CertPool
	certificate func() (*tls.Certificate, error)
	name        string // that certificates must be for; empty: any
}

func newCredentials(s Secrets, cluster string) (*credentials, error) {
	c := &credentials{cluster: cluster, now: time.Now}
	return c, c.use(s)
}

// use makes later handshakes go by s.
func (c *credentials) use(s Secrets) error {
	if s.Certificate != nil {
		cert := *s.Certificate
		c.trust.Store(&trust{pool: s.Authorities, certificate: func() (*tls.Certificate, error) { return &cert, nil }})
		return nil
	}
	now := func() time.Time { return c.now() }
	own, err := newAuthority(s.Key, c.cluster, now)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(own.cert)
	for _, key := range s.SecondaryKeys {
		other, err := newAuthority(key, c.cluster, now)
		if err != nil {
			return err
		}
		pool.AddCert(other.cert)
	}
	if _, err := own.certificate(); err != nil {
		return err
	}
	c.trust.Store(&trust{pool: pool, certificate: own.certificate, name: certName})
	return nil
}

// verify tells whether whoever showed these certificates at that time would be let in now.
func (t *trust) verify(certs []*x509.Certificate, usage x509.ExtKeyUsage, at time.Time) error {
	if len(certs) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range certs[1:] {
		between.AddCert(cert)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		DNSName: t.name, Roots: t.pool, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

// config is for one handshake. The certificates are verified by trust instead of by crypto/tls, because those of one's own
// carry names of which a peer's address says nothing.
func (c *credentials) config(usage x509.ExtKeyUsage, speaks ...string) *tls.Config {
	t := c.trust.Load()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             speaks,
		InsecureSkipVerify:     true, //nolint:gosec // VerifyConnection does it
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		Time:                   c.now,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return t.certificate() },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			return t.verify(state.PeerCertificates, usage, c.now())
		},
	}
}

// client secures a connection that this side has dialled. It closes the connection if that fails.
func (c *credentials) client(ctx context.Context, conn net.Conn, speaks string) (*secured, error) {
	s := &secured{Conn: tls.Client(conn, c.config(x509.ExtKeyUsageServerAuth, speaks)), usage: x509.ExtKeyUsageServerAuth, since: c.now()}
	if err := s.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, c.explain(err)
	}
	return s, nil
}

// server secures a connection that this side has accepted, within the deadline of the connection.
func (c *credentials) server(conn net.Conn) (*secured, error) {
	b := &bounded{Conn: conn, left: maxUnproved}
	s := &secured{
		Conn:  tls.Server(b, c.config(x509.ExtKeyUsageClientAuth, speaksRPC, speaksGossip)),
		usage: x509.ExtKeyUsageClientAuth, since: c.now(),
	}
	if err := s.Handshake(); err != nil {
		return nil, c.explain(err)
	}
	b.left = unbounded
	return s, nil
}

const unbounded = -1

var errUnproved = errors.New("too many bytes before the end of the handshake")

// bounded is a connection of which only so many bytes are read. crypto/tls keeps what it has of a message until the message is
// whole, and takes messages of several times maxUnproved from anybody. The one that reads changes left.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == unbounded {
		return b.Conn.Read(p)
	}
	if b.left == 0 {
		return 0, errUnproved
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// handshakeError is why a connection could not be secured. Its text is the same for all strangers of a kind.
type handshakeError struct {
	text  string
	cause error
}

func (e *handshakeError) Error() string { return e.text + " (" + e.cause.Error() + ")" }
func (e *handshakeError) Unwrap() error { return e.cause }

// explain says what is likely wrong in words of the configuration: that of certificates knows no key, and no cluster label. c is nil where
// nothing is secured.
func (c *credentials) explain(err error) error {
	certificates := c != nil && c.trust.Load().name == ""
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var remote *net.OpError // what a TLS alert of the other side is wrapped in
	text := "the TLS handshake failed"
	switch {
	case errors.Is(err, errUnproved):
		text = "it sends more than a handshake takes"
	case errors.As(err, &name):
		text = "the other side has a certificate of its own, and this side a key"
	case errors.As(err, &unknown) && certificates:
		text = "the certificate of the other side is of no authority that is accepted here (Authorities, --tls-ca)"
	case errors.As(err, &unknown):
		text = "the other side has another key, or another cluster label"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		text = "the certificate of the other side has expired, or the clocks differ"
	case errors.As(err, &invalid):
		text = "the certificate of the other side is not for this"
	case errors.As(err, &remote) && remote.Op == "remote error", errors.As(err, &alert):
		text = "the other side does not accept the key, or the cluster label"
		if certificates {
			text = "the other side does not accept the certificate of this side: is its authority one of those there (Authorities, --tls-ca)?"
		}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = "the other side hung up during the handshake: has it no key?"
	}
	return &handshakeError{text: text, cause: err}
}
