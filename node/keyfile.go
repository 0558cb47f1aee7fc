package node

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	keyBytes     = 32
	maxKeys      = 8
	maxKeyFile   = 16 << 10
	tokenKeyLine = "tokens "
)

// ParseKeys reads the content of a key file as "huddle keygen" writes it, before, in and after a rotation: for a Config, and,
// when the file has changed, for Rekey. The keys are Secrets.Key and Secrets.SecondaryKeys; tokenKey is for Config.TokenKey,
// and nil, which is the default there, while it follows from the key.
//
// Each line holds a key of 32 bytes, in base64 or as 64 hex digits. The first is the key by which the node is known; those that
// follow, at most 7, are accepted from other nodes too. A line "tokens KEY" is what tokens are hashed with. Empty lines, and
// lines that begin with #, are left out. A file of 32 bytes that are no such lines is one key as it is, but not if it is text
// or one byte again and again. At most 16 KiB are taken.
//
// The error says what is wrong by the number of the line, and repeats nothing of it. ParseKeys may be called concurrently.
func ParseKeys(data []byte) (s Secrets, tokenKey []byte, err error) {
	if len(data) > maxKeyFile {
		return Secrets{}, nil, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	if rawKey(data) {
		return Secrets{Key: bytes.Clone(data)}, nil, nil
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		text, ofTokens := strings.CutPrefix(line, tokenKeyLine)
		key := decodeKey(strings.TrimSpace(text))
		switch {
		case key == nil:
			return Secrets{}, nil, fmt.Errorf("line %d holds no key of %d bytes", i+1, keyBytes)
		case ofTokens && tokenKey != nil:
			return Secrets{}, nil, fmt.Errorf("line %d is a second one of what tokens are hashed with", i+1)
		case ofTokens:
			tokenKey = key
		case s.holds(key):
			return Secrets{}, nil, fmt.Errorf("line %d holds a key for the second time", i+1)
		case s.Key == nil:
			s.Key = key
		case len(s.SecondaryKeys) == maxKeys-1:
			return Secrets{}, nil, fmt.Errorf("there are more than %d keys", maxKeys)
		default:
			s.SecondaryKeys = append(s.SecondaryKeys, key)
		}
	}
	if s.Key == nil {
		return Secrets{}, nil, errors.New("it holds no key")
	}
	return s, tokenKey, nil
}

// rawKey tells whether a file is a key as it is. Text, zeros and the like are a file that was made by mistake, and everybody
// could guess them. Of random bytes fewer than one key in 10^9 looks like text.
func rawKey(data []byte) bool {
	if len(data) != keyBytes || bytes.Count(data, data[:1]) == keyBytes {
		return false
	}
	return !utf8.Valid(data) || bytes.ContainsFunc(data, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) })
}

func (s Secrets) holds(key []byte) bool {
	same := func(other []byte) bool { return subtle.ConstantTimeCompare(key, other) == 1 }
	return same(s.Key) || slices.ContainsFunc(s.SecondaryKeys, same)
}

func decodeKey(text string) []byte {
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == keyBytes {
		return key
	}
	if key, err := hex.DecodeString(text); err == nil && len(key) == keyBytes {
		return key
	}
	return nil
}
