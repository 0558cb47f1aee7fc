package transport

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
)

// Secrets are what a node proves with that it belongs to its cluster, and what it asks the others to prove. There are three
// kinds: none (the zero Secrets), a key, or certificates of one's own. With certificates the keys secure nothing here.
type Secrets struct {
	// Key, of 32 bytes, is the key of the cluster. The node certifies itself with it.
	Key []byte
	// SecondaryKeys are accepted from others beside Key, while a cluster goes from one key to the next. At most 7.
	SecondaryKeys [][]byte
	// Certificate, with its private key, identifies this node when it dials and when it is dialled.
	Certificate *tls.Certificate
	// Authorities are those whose certificates are accepted. Whoever has one, of whatever name, is let in.
	Authorities *x509.CertPool
}

const maxSecondaryKeys = 7

// Validate says what is wrong with the secrets. The error holds nothing of them.
func (s Secrets) Validate() error {
	switch {
	case len(s.Key) != 0 && len(s.Key) != keyBytes:
		return fmt.Errorf("the key has %d bytes, it must have %d", len(s.Key), keyBytes)
	case len(s.SecondaryKeys) > maxSecondaryKeys:
		return fmt.Errorf("there are %d secondary keys, at most %d are allowed", len(s.SecondaryKeys), maxSecondaryKeys)
	case len(s.SecondaryKeys) > 0 && len(s.Key) == 0:
		return errors.New("there are secondary keys, but no key")
	case (s.Certificate == nil) != (s.Authorities == nil):
		return errors.New("a certificate and the authorities of the others' certificates go together")
	case s.Certificate != nil && (len(s.Certificate.Certificate) == 0 || s.Certificate.PrivateKey == nil):
		return errors.New("the certificate is empty, or its private key is missing")
	}
	for _, key := range s.SecondaryKeys {
		switch {
		case len(key) != keyBytes:
			return fmt.Errorf("a secondary key has %d bytes, it must have %d", len(key), keyBytes)
		case subtle.ConstantTimeCompare(key, s.Key) == 1:
			return errors.New("a secondary key is the key itself")
		}
	}
	return nil
}

// Secured tells whether there are any.
func (s Secrets) Secured() bool { return len(s.Key) != 0 || s.Certificate != nil }

// Fingerprint names a key in logs: eight hex digits from which nothing of it can be learnt.
func Fingerprint(key []byte) string {
	sum, err := derive(key, "", "huddle fingerprint v1")
	if err != nil {
		return ""
	}
	return hex.EncodeToString(sum[:4])
}

// TokenKey derives, from the key of a cluster, the one that its tokens are hashed with (32 bytes).
func TokenKey(key []byte) ([]byte, error) {
	secret, err := derive(key, "", "huddle tokens v1")
	if err != nil {
		return nil, fmt.Errorf("transport: derive the key of the tokens: %w", err)
	}
	return secret, nil
}

func derive(key []byte, cluster, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, []byte(cluster), purpose, keyBytes)
}

// signerOf derives the private key of the authority that all who know a key share.
func signerOf(key []byte, cluster string) (ed25519.PrivateKey, error) {
	seed, err := derive(key, cluster, "huddle authority v1")
	if err != nil {
		return nil, fmt.Errorf("transport: derive the authority: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
