package node

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/huddle-cache/huddle/transport"
)

// tokens hides the keys of entries, which are credentials, from memory and from other nodes, and the values with them, for a
// session names its token. An entry is stored under a keyed hash of its key. Its value is encrypted under a key that follows
// from the secret and the entry's key together: neither a node's memory nor the secret alone opens it.
//
// A nil *tokens hides nothing.
type tokens struct {
	secret []byte
	mark   string
}

const (
	nonceBytes = 12
	tagBytes   = 16
	// sealedBytes is what a sealed value is longer by.
	sealedBytes = nonceBytes + tagBytes
)

var errSealed = errors.New("a value that cannot be opened")

func newTokens(cfg Config) (*tokens, error) {
	if !cfg.HashTokens {
		return nil, nil
	}
	secret := cfg.TokenKey
	if len(secret) == 0 {
		var err error
		if secret, err = transport.TokenKey(cfg.Key); err != nil {
			return nil, err
		}
	}
	return &tokens{secret: append([]byte(nil), secret...), mark: transport.Fingerprint(secret)}, nil
}

// String is what nodes compare, so that two that hash differently do not meet.
func (t *tokens) String() string {
	if t == nil {
		return ""
	}
	return ", tokens hashed with " + t.mark
}

func (t *tokens) mac(purpose byte, key string) []byte {
	h := hmac.New(sha256.New, t.secret)
	_, _ = h.Write([]byte{purpose})
	_, _ = h.Write([]byte(key))
	return h.Sum(nil)
}

// binaryMark begins the stored name of a key that is not UTF-8, or that begins so itself: nodes exchange text.
const binaryMark = "\x00b:"

// key is what an entry is stored under: always UTF-8, and for each key another.
func (t *tokens) key(key string) string {
	switch {
	case t != nil:
		return base64.RawURLEncoding.EncodeToString(t.mac('k', key))
	case utf8.ValidString(key) && !strings.HasPrefix(key, binaryMark):
		return key
	}
	return binaryMark + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// original is the key that is stored under a name, without hashing.
func original(stored string) string {
	if text, ok := strings.CutPrefix(stored, binaryMark); ok {
		if key, err := base64.RawURLEncoding.DecodeString(text); err == nil {
			return string(key)
		}
	}
	return stored
}

func (t *tokens) cipher(key string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(t.mac('v', key))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCM(block)
}

// seal returns what is stored for a value. It always is a copy.
func (t *tokens) seal(key string, value []byte) ([]byte, error) {
	if t == nil {
		return append([]byte(nil), value...), nil
	}
	aead, err := t.cipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, nonceBytes, len(value)+sealedBytes)
	if _, err := rand.Read(out); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return aead.Seal(out, out, value, nil), nil
}

// open returns the value of what is stored.
func (t *tokens) open(key string, sealed []byte) ([]byte, error) {
	if t == nil {
		return sealed, nil
	}
	if len(sealed) < sealedBytes {
		return nil, errSealed
	}
	aead, err := t.cipher(key)
	if err != nil {
		return nil, err
	}
	value, err := aead.Open(nil, sealed[:nonceBytes], sealed[nonceBytes:], nil)
	if err != nil {
		return nil, errSealed
	}
	return value, nil
}
