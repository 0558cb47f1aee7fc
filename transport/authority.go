package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// A certificate is good for certLife and is replaced after half of it. It is dated back by as much as it has left when it
// is replaced, so that clocks may differ by that.
const (
	certLife = 24 * time.Hour
	certName = "peer.huddle"
)

// authority issues certificates to this process by a key that all who know the cluster's key derive alike.
type authority struct {
	cert   *x509.Certificate
	signer ed25519.PrivateKey
	now    func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	issued  time.Time // of current; wall time, as that in the certificate is
}

func newAuthority(key []byte, cluster string, now func() time.Time) (*authority, error) {
	signer, err := signerOf(key, cluster)
	if err != nil {
		return nil, err
	}
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
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("transport: make the authority: %w", err)
	}
	return &authority{cert: cert, signer: signer, now: now}, nil
}

// certificate returns this process's certificate, a new one when half the life of the last is over, or when the clock has been
// put back to before it was issued.
func (a *authority) certificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now().Round(0) // the monotonic reading stands still while the machine sleeps, and peers do not go by it
	if a.current != nil && !now.Before(a.issued) && now.Before(a.issued.Add(certLife/2)) {
		return a.current, nil
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
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.signer)
	if err != nil {
		return nil, fmt.Errorf("transport: make a certificate: %w", err)
	}
	a.current = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	a.issued = now
	return a.current, nil
}
