// Package keyfile reads and writes the file that holds the keys of a cluster, and takes it from one key to the next. What is in
// it is described at node.ParseKeys. A file with several keys says in a comment how far the rotation is, so that no step can be
// left out; one without the comment, made by hand or by an earlier version, is taken at its word.
package keyfile

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport"
)

const (
	keyBytes   = 32
	maxKeys    = 8
	tokensLine = "tokens "
	// The comment that says what step came last, with the fingerprint of the key that was added, or is used.
	addedLine = "# rotation: added, not yet used: "
	usedLine  = "# rotation: in use: "
)

// Keys are the content of a key file.
type Keys struct {
	Key       []byte
	Secondary [][]byte
	Tokens    []byte // nil: follows from Key
	Added     []byte // that of Secondary which has been added and is not yet used; nil: none is known
	Used      bool   // Key is known to be the one that was added last
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
func Parse(data []byte) (Keys, error) {
	secrets, tokens, err := node.ParseKeys(data)
	if err != nil {
		return Keys{}, err
	}
	k := Keys{Key: secrets.Key, Secondary: secrets.SecondaryKeys, Tokens: tokens}
	if len(k.Secondary) == 0 {
		return k, nil
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if mark, ok := strings.CutPrefix(line, addedLine); ok {
			if i := slices.IndexFunc(k.Secondary, func(key []byte) bool { return transport.Fingerprint(key) == mark }); i >= 0 {
				k.Added, k.Used = k.Secondary[i], false
			}
		} else if mark, ok := strings.CutPrefix(line, usedLine); ok && mark == transport.Fingerprint(k.Key) {
			k.Added, k.Used = nil, true
		}
	}
	return k, nil
}

// Has tells whether a key is one of those that are used or accepted.
func (k Keys) Has(key []byte) bool {
	same := func(other []byte) bool { return subtle.ConstantTimeCompare(key, other) == 1 }
	return same(k.Key) || slices.ContainsFunc(k.Secondary, same)
}

// Format is what Parse reads.
func (k Keys) Format() []byte {
	var b strings.Builder
	switch {
	case k.Added != nil:
		b.WriteString(addedLine + transport.Fingerprint(k.Added) + "\n")
	case k.Used:
		b.WriteString(usedLine + transport.Fingerprint(k.Key) + "\n")
	}
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
	if k.Added != nil {
		return k, fmt.Errorf("the key %s has been added and is not used yet; the next step is --rotate use", transport.Fingerprint(k.Added))
	}
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
	k.Added, k.Used = key, false
	return k, nil
}

// Use makes the key that was added last the one that nodes are known by.
func (k Keys) Use() (Keys, error) {
	last := len(k.Secondary) - 1
	switch {
	case last < 0:
		return k, errors.New("there is only one key; add another first, with --rotate add")
	case k.Used:
		return k, fmt.Errorf("the key %s, which was added last, is in use already; the next step is --rotate drop", transport.Fingerprint(k.Key))
	case k.Added != nil:
		last = slices.IndexFunc(k.Secondary, func(key []byte) bool { return bytes.Equal(key, k.Added) })
	}
	key := k.Secondary[last]
	k.Secondary = append([][]byte{k.Key}, slices.Delete(slices.Clone(k.Secondary), last, last+1)...)
	k.Key, k.Added, k.Used = key, nil, true
	return k, nil
}

// Drop leaves the first key alone.
func (k Keys) Drop() (Keys, error) {
	switch {
	case len(k.Secondary) == 0:
		return k, errors.New("there is only one key")
	case k.Added != nil:
		return k, fmt.Errorf("the key %s has been added and is not used yet, so the old key would stay and this one go; "+
			"the next step is --rotate use, and drop when every node has read that", transport.Fingerprint(k.Added))
	}
	k.Secondary, k.Used = nil, false
	return k, nil
}

// Create writes k to a file that must not be there yet, readable by its owner only. It is there whole or not at all. One that is there
// already is left as it is, which is fs.ErrExist.
func (k Keys) Create(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key") // of mode 0600
	if err != nil {
		return named(err, path)
	}
	_, err = f.Write(k.Format())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path) // unlike Rename, it does not overwrite
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = k.createInPlace(path) // there are file systems without links
		}
	}
	return errors.Join(named(err, path), os.Remove(f.Name()))
}

func (k Keys) createInPlace(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(k.Format())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// named lets an error about a file beside path tell of path.
func named(err error, path string) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return &fs.PathError{Op: pathErr.Op, Path: path, Err: pathErr.Err}
	}
	return err
}

// Replace writes k to a file that is there, at once, with the file's owner, group and permissions; but one that everybody may
// read is its owner's alone from then on.
func (k Keys) Replace(path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if Open(info) {
		mode = 0o600
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key")
	if err != nil {
		return err
	}
	err = keepOwner(f, info)
	if err == nil {
		_, err = f.Write(k.Format())
	}
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
