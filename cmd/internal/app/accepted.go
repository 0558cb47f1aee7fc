package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// Bounds of a file of passwords or tokens. The first two are those of a key file, the last is that of the Redis protocol front.
const (
	maxSecretFile  = 16 << 10
	maxSecrets     = 8
	maxSecretBytes = 4 << 10
)

// parseSecrets reads the content of a file of passwords or tokens, which is like a key file: one a line, the first is used by commands, all are
// accepted by a node. Empty lines, lines that begin with #, and spaces around a line are left out. The error repeats nothing of it.
func parseSecrets(data []byte) (list []string, err error) {
	if len(data) > maxSecretFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxSecretFile)
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case len(line) > maxSecretBytes:
			return nil, fmt.Errorf("line %d is longer than %d bytes", i+1, maxSecretBytes)
		case slices.Contains(list, line):
			return nil, fmt.Errorf("line %d is there for the second time", i+1)
		case len(list) == maxSecrets:
			return nil, fmt.Errorf("there are more than %d lines", maxSecrets)
		default:
			list = append(list, line)
		}
	}
	if list == nil {
		return nil, errors.New("it is empty: write one to a line, which must not begin with #")
	}
	return list, nil
}

// Secret is the password or token that a command takes from the file that flag names; empty if there is no path. Its errors are *UsageError.
func Secret(flag, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", usagef("%s: %v", flag, err)
	}
	list, err := parseSecrets(data)
	if err != nil {
		return "", usagef("%s %s is not usable: %v", flag, path, err)
	}
	return list[0], nil
}

// accepted are the passwords or tokens that are accepted just now, by their hashes. It is safe for concurrent use.
type accepted struct {
	sums atomic.Pointer[[][sha256.Size]byte]
}

func (a *accepted) use(list []string) {
	sums := make([][sha256.Size]byte, 0, len(list))
	for _, secret := range list {
		sums = append(sums, sha256.Sum256([]byte(secret)))
	}
	a.sums.Store(&sums)
}

// has compares in a time that tells nothing about them but their number.
func (a *accepted) has(given []byte) bool {
	sum, same := sha256.Sum256(given), 0
	for _, want := range *a.sums.Load() {
		same |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return same == 1
}
