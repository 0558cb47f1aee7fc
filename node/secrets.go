package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/huddle-cache/huddle/transport"
)

// Secrets are what Rekey changes. The fields are those of Config.
type Secrets struct {
	Key           []byte
	SecondaryKeys [][]byte
	Certificate   *tls.Certificate
	Authorities   *x509.CertPool
}

func (s Secrets) transport() transport.Secrets {
	return transport.Secrets{Key: s.Key, SecondaryKeys: s.SecondaryKeys, Certificate: s.Certificate, Authorities: s.Authorities}
}

func (cfg Config) secrets() transport.Secrets {
	return Secrets{Key: cfg.Key, SecondaryKeys: cfg.SecondaryKeys, Certificate: cfg.Certificate, Authorities: cfg.Authorities}.transport()
}

// Rekey changes the secrets of a running node. Connections with nodes that are not accepted under the new ones end at once;
// all others go on. To give a cluster another key without a stop, go round all nodes three times: add the new key to
// SecondaryKeys; make it Key, with the old one in SecondaryKeys; take the old one out.
//
// Whether there are secrets at all cannot change, nor does the key that tokens are hashed with: with Config.HashTokens give
// Config.TokenKey from the first rotation on. The error is ErrInvalid, and then nothing has changed.
func (n *Node) Rekey(s Secrets) error {
	if err := n.transport.Rekey(s.transport()); err != nil {
		return fmt.Errorf("rekey: %w: %w", ErrInvalid, err)
	}
	return nil
}
