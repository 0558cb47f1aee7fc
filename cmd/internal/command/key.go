package command

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/huddle-cache/huddle/cmd/internal/app"
)

// keyBytes is the length of a key.
const keyBytes = 32

type keygenCmd struct {
	File string `arg:"" optional:"" help:"File to write, readable by its owner only. It must not be there yet. Default: standard output."`
}

// Run makes a key.
func (c *keygenCmd) Run(io *streams) error {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("no random numbers to be had: %w", err)
	}
	line := base64.StdEncoding.EncodeToString(key) + "\n"
	if c.File == "" || c.File == "-" {
		_, err := fmt.Fprint(io.out, line)
		return err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is left as it is; a new key would shut out nodes that have the old one", c.File)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "Wrote %s. Give it to every node of the cluster: --key-file %s\n", c.File, c.File)
	return err
}

// readKey reads a key file: base64 as keygen writes it, 64 hex digits, or 32 bytes as they are.
func readKey(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &app.UsageError{Text: fmt.Sprintf("--key-file: %v; make one with \"huddle keygen FILE\"", err)}
	}
	if len(data) == keyBytes {
		return data, nil
	}
	text := string(bytes.TrimSpace(data))
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == keyBytes {
		return key, nil
	}
	if key, err := hex.DecodeString(text); err == nil && len(key) == keyBytes {
		return key, nil
	}
	return nil, &app.UsageError{Text: fmt.Sprintf("--key-file %s holds no key of %d bytes; make one with \"huddle keygen FILE\"", path, keyBytes)}
}

// readSecret reads a password or token: the first line of a file.
func readSecret(flag, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", &app.UsageError{Text: fmt.Sprintf("%s: %v", flag, err)}
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	secret := string(bytes.TrimRight(line, "\r"))
	if secret == "" {
		return "", &app.UsageError{Text: fmt.Sprintf("%s %s is empty: its first line is taken", flag, path)}
	}
	return secret, nil
}
