package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/huddle-cache/huddle/cmd/internal/app"
	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
)

type keygenCmd struct {
	File   string `arg:"" optional:"" help:"File to write, readable by its owner only. It must not be there yet, but with --rotate. Default: standard output."`
	Rotate string `enum:",add,use,drop" default:"" placeholder:"STEP" help:"Take the key file one step towards another key: add, use or drop. Default: none, a new file."`
}

// Help is the long form of the help.
func (keygenCmd) Help() string {
	return "A cluster gets another key without a stop in three steps, each of which reaches every node before the next: add a new " +
		"key, which all accept from then on; use it; drop the old one. Nodes read their key file again when it changes, or at SIGHUP."
}

// Run makes a key, or changes a file of keys.
func (c *keygenCmd) Run(io *streams) error {
	if c.Rotate != "" {
		return c.rotate(io)
	}
	keys, err := keyfile.New()
	if err != nil {
		return err
	}
	if c.File == "" || c.File == "-" {
		_, err := io.out.Write(keys.Format())
		return err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is left as it is; a new key would shut out nodes that have the old one. "+
			"To change the key of a running cluster see \"huddle keygen --help\", --rotate", c.File)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(keys.Format())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "Wrote %s. Give it to every node of the cluster: --key-file %s\n", c.File, c.File)
	return err
}

func (c *keygenCmd) rotate(io *streams) error {
	if c.File == "" || c.File == "-" {
		return usage("--rotate %s needs the key file: huddle keygen --rotate %s FILE", c.Rotate, c.Rotate)
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return usage("%v; make a new file with \"huddle keygen FILE\"", err)
	}
	keys, err := keyfile.Parse(data)
	if err != nil {
		return usage("%s is no key file: %v", c.File, err)
	}
	step, next := keyfile.Keys.Add, "When every node has read it, and logged so: huddle keygen --rotate use"
	switch c.Rotate {
	case "use":
		step, next = keyfile.Keys.Use, "When every node has read it, and logged so: huddle keygen --rotate drop"
	case "drop":
		step, next = keyfile.Keys.Drop, "Give it to every node: from then on the old key is refused."
	}
	if keys, err = step(keys); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := keys.Replace(c.File); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "Changed %s: %d key(s). %s\n", c.File, 1+len(keys.Secondary), next)
	return err
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
