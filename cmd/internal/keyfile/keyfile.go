// Package keyfile reads and writes the file that holds the keys of a cluster.
//
// Each line holds a key of 32 bytes, in base64 or as 64 hex digits. The first is the key, by which a node is known; those that
// follow are accepted from other nodes too. A line "tokens KEY" is what tokens are hashed with, once it no longer follows from the
// key. Empty lines, and lines that begin with #, are left out. A file of 32 bytes that are no such line is one key as it is.
package keyfile

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/transport"
)

const (
	keyBytes   = 32
	maxKeys    = 8
	maxFile    = 16 << 10
	tokensLine = "tokens "
)

// Keys are the content of a key file.
type Keys struct {
	Key       []byte
	Secondary [][]byte
	Tokens    []byte // nil: follows from Key
}

// New makes a random key.
func New() (Keys, error) {
	key, err := random()
	return Keys{Key: key}, err
}

func random() ([]byte, error) {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("no random numbers to be had: %w", err)
	}
	return key, nil
}

// Parse reads the content of a file. The error says what is wrong by the number of the line, and repeats nothing of it.
func Parse(data []byte) (k Keys, err error) {
	if len(data) > maxFile {
		return Keys{}, errors.New("it is too large")
	}
	raw := len(data) == keyBytes
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		text, tokens := strings.CutPrefix(line, tokensLine)
		key := decode(strings.TrimSpace(text))
		switch {
		case key == nil && raw:
			return Keys{Key: bytes.Clone(data)}, nil
		case key == nil:
			return Keys{}, fmt.Errorf("line %d holds no key of %d bytes", i+1, keyBytes)
		case tokens && k.Tokens != nil:
			return Keys{}, fmt.Errorf("line %d is a second one of what tokens are hashed with", i+1)
		case tokens:
			k.Tokens = key
		case k.has(key):
			return Keys{}, fmt.Errorf("line %d holds a key for the second time", i+1)
		case k.Key == nil:
			k.Key = key
		case len(k.Secondary) == maxKeys-1:
			return Keys{}, fmt.Errorf("there are more than %d keys", maxKeys)
		default:
			k.Secondary = append(k.Secondary, key)
		}
	}
	switch {
	case k.Key == nil && raw:
		return Keys{Key: bytes.Clone(data)}, nil
	case k.Key == nil:
		return Keys{}, errors.New("it holds no key")
	}
	return k, nil
}

func (k Keys) has(key []byte) bool {
	same := func(other []byte) bool { return subtle.ConstantTimeCompare(key, other) == 1 }
	return k.Key != nil && same(k.Key) || slices.ContainsFunc(k.Secondary, same)
}

func decode(text string) []byte {
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == keyBytes {
		return key
	}
	if key, err := hex.DecodeString(text); err == nil && len(key) == keyBytes {
		return key
	}
	return nil
}

// Format is what Parse reads.
func (k Keys) Format() []byte {
	var b strings.Builder
	for _, key := range append([][]byte{k.Key}, k.Secondary...) {
		b.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	}
	if k.Tokens != nil {
		b.WriteString(tokensLine + base64.StdEncoding.EncodeToString(k.Tokens) + "\n")
	}
	return []byte(b.String())
}

// Add makes a new key that is accepted beside the others. From now on what tokens are hashed with has its own line, so that
// their entries are found under later keys too.
func (k Keys) Add() (Keys, error) {
	if len(k.Secondary) == maxKeys-1 {
		return k, fmt.Errorf("there are %d keys already; drop the old ones first", maxKeys)
	}
	key, err := random()
	if err != nil {
		return k, err
	}
	if k.Tokens == nil {
		if k.Tokens, err = transport.TokenKey(k.Key); err != nil {
			return k, err
		}
	}
	k.Secondary = append(slices.Clone(k.Secondary), key)
	return k, nil
}

// Use makes the key that was added last the one that nodes are known by.
func (k Keys) Use() (Keys, error) {
	last := len(k.Secondary) - 1
	if last < 0 {
		return k, errors.New("there is only one key; add another first")
	}
	k.Key, k.Secondary = k.Secondary[last], append([][]byte{k.Key}, k.Secondary[:last]...)
	return k, nil
}

// Drop leaves the first key alone.
func (k Keys) Drop() (Keys, error) {
	if len(k.Secondary) == 0 {
		return k, errors.New("there is only one key")
	}
	k.Secondary = nil
	return k, nil
}

// Replace writes k to a file that is there, at once and with the file's permissions.
func (k Keys) Replace(path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key")
	if err != nil {
		return err
	}
	_, err = f.Write(k.Format())
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
