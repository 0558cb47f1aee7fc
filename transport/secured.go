package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"time"
)

// secured is a connection after its handshake.
type secured struct {
	*tls.Conn
	usage x509.ExtKeyUsage // of the other side's certificate
	since time.Time        // when it was verified
	set   *securedSet
}

// Close ends the connection.
func (s *secured) Close() error {
	if s.set != nil {
		s.set.remove(s)
	}
	return s.Conn.Close()
}

// securedSet knows the connections that stand, so that those whose key is given up can be ended.
type securedSet struct {
	mu    sync.Mutex
	conns map[*secured]struct{}
}

func (x *securedSet) add(s *secured) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s.set = x
	x.conns[s] = struct{}{}
}

func (x *securedSet) remove(s *secured) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.conns, s)
}

func (x *securedSet) list() []*secured {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*secured, 0, len(x.conns))
	for s := range x.conns {
		out = append(out, s)
	}
	return out
}

// keep notes a connection, and is false if the secrets have changed since its handshake so that it must not stand.
func (t *Transport) keep(s *secured) bool {
	t.secured.add(s)
	if t.creds.trust.Load().verify(s.ConnectionState().PeerCertificates, s.usage, s.since) != nil {
		_ = s.Close()
		return false
	}
	return true
}

// Rekey makes later connections go by other secrets, and ends those that would not be accepted under them. The certificates are
// judged as of the time when the connection was made. Whether there are secrets at all cannot change while a node runs.
func (t *Transport) Rekey(secrets Secrets) error {
	if err := secrets.Validate(); err != nil {
		return err
	}
	if secrets.Secured() != (t.creds != nil) {
		return errSecured
	}
	if t.creds == nil {
		return nil
	}
	if err := t.creds.use(secrets); err != nil {
		return err
	}
	now := t.creds.trust.Load()
	for _, s := range t.secured.list() {
		if err := now.verify(s.ConnectionState().PeerCertificates, s.usage, s.since); err != nil {
			t.log.Info("ended a connection whose key is not accepted any more", "remote", s.RemoteAddr().String())
			_ = s.Conn.NetConn().Close() // at once: a farewell could block
			_ = s.Close()
		}
	}
	return nil
}

var _ net.Conn = (*secured)(nil)
