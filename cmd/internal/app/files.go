package app

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
	"github.com/huddle-cache/huddle/node"
)

// Files are where the secrets of a node are. An empty path stands for none.
type Files struct {
	Key               string // of the cluster; see package keyfile
	Cert, CertKey, CA string // own certificates between nodes, PEM
	RESPCert, RESPKey string // certificate of the Redis protocol front, PEM
	Passwords         string // asked of clients of the Redis protocol front; see parseSecrets
	Tokens            string // asked of changes over the admin interface
}

// contents are what the files hold.
type contents struct {
	secrets  node.Secrets
	tokens   []byte           // nil: follows from the key
	resp     *tls.Certificate // nil: none
	identity string           // differs when a file does

	passwords, admin []string // nil: none are asked

	pipes map[string][]byte // what has come out of those that are pipes, by their paths
}

// load reads all files. Its errors are *UsageError, and hold nothing of what is in them.
func (f Files) load() (contents, error) { return f.reload(contents{}) }

// reload reads all files again but the pipes, such as those of <(command) in a shell: they give what they have once, and who opens one may wait
// for ever.
func (f Files) reload(before contents) (c contents, err error) {
	c.pipes = map[string][]byte{}
	maps.Copy(c.pipes, before.pipes)
	once := func(path string) ([]byte, error) {
		if data, ok := c.pipes[path]; ok {
			return data, nil
		}
		info, err := os.Stat(path)
		isPipe := err == nil && info.Mode()&fs.ModeNamedPipe != 0
		if isPipe && before.identity != "" {
			return nil, fmt.Errorf("%s is a pipe now; one is read at the start only", path)
		}
		data, err := os.ReadFile(path)
		if isPipe && err == nil {
			c.pipes[path] = data
		}
		return data, err
	}
	sum := sha256.New()
	read := func(flag, path, advice string) (data []byte) {
		if path == "" || err != nil {
			return nil
		}
		if data, err = once(path); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				advice = "" // there is one, which another would not replace
			}
			err = usagef("%s: %v%s", flag, err, advice)
		}
		fmt.Fprintf(sum, "%d:", len(data))
		_, _ = sum.Write(data)
		return data
	}
	pair := func(flag string, certPEM, keyPEM []byte) *tls.Certificate {
		if certPEM == nil || err != nil {
			return nil
		}
		cert, pairErr := tls.X509KeyPair(certPEM, keyPEM)
		if pairErr != nil {
			err = usagef("%s-cert and %s-key are no certificate with its private key in PEM: %v", flag, flag, pairErr)
		}
		return &cert
	}
	lines := func(flag, path string) []string {
		data := read(flag, path, "")
		if data == nil || err != nil {
			return nil
		}
		list, parseErr := parseSecrets(data)
		if parseErr != nil {
			err = usagef("%s %s is not usable: %v", flag, path, parseErr)
		}
		return list
	}
	const advice = `; make one with "huddle keygen FILE"`
	key := read("--key-file", f.Key, advice)
	cert, certKey, authorities := read("--tls-cert", f.Cert, ""), read("--tls-key", f.CertKey, ""), read("--tls-ca", f.CA, "")
	respCert, respKey := read("--resp-tls-cert", f.RESPCert, ""), read("--resp-tls-key", f.RESPKey, "")
	if key != nil && err == nil {
		keys, parseErr := keyfile.Parse(key)
		if parseErr != nil {
			return c, usagef("--key-file %s is no key file: %v%s", f.Key, parseErr, advice)
		}
		c.secrets.Key, c.secrets.SecondaryKeys, c.tokens = keys.Key, keys.Secondary, keys.Tokens
	}
	c.passwords, c.admin = lines("--resp-password-file", f.Passwords), lines("--admin-token-file", f.Tokens)
	c.secrets.Certificate = pair("--tls", cert, certKey)
	c.resp = pair("--resp-tls", respCert, respKey)
	if authorities != nil && err == nil {
		c.secrets.Authorities = x509.NewCertPool()
		if !c.secrets.Authorities.AppendCertsFromPEM(authorities) {
			return c, usagef("--tls-ca %s holds no certificate in PEM", f.CA)
		}
	}
	c.identity = hex.EncodeToString(sum.Sum(nil))
	return c, err
}

// stranger tells why a node with the same authorities would not accept this one's certificate; nil: it would, or there is none. Authorities that know each
// other's nodes and not their own are of use as well, so it is no mistake by itself.
func (c contents) stranger() error {
	if c.secrets.Certificate == nil {
		return nil
	}
	between := x509.NewCertPool()
	for _, der := range c.secrets.Certificate.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := c.secrets.Certificate.Leaf.Verify(x509.VerifyOptions{
			Roots: c.secrets.Authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
		}); err != nil {
			return err
		}
	}
	return nil
}

// check tells which flags go together.
func (f Files) check() error {
	set := func(paths ...string) (n int) {
		for _, p := range paths {
			if p != "" {
				n++
			}
		}
		return n
	}
	if n := set(f.Cert, f.CertKey, f.CA); n != 0 && n != 3 {
		return usagef("--tls-cert, --tls-key and --tls-ca go together: a certificate, its private key, and the authority of the other nodes' certificates")
	}
	if n := set(f.RESPCert, f.RESPKey); n != 0 && n != 2 {
		return usagef("--resp-tls-cert and --resp-tls-key go together: a certificate and its private key")
	}
	return nil
}
