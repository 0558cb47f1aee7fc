package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/huddle-cache/huddle/cmd/internal/keyfile"
	"github.com/huddle-cache/huddle/transport"
)

type keygenCmd struct {
	File   string `arg:"" optional:"" help:"File to write, readable by its owner only. It must not be there yet, but with --rotate. Default: standard output."`
	Rotate string `placeholder:"STEP" help:"Take the key file one step towards another key: add, use or drop. Default: none, a new file."`
}

// Help is the long form of the help.
func (keygenCmd) Help() string {
	return "A cluster gets another key without a stop in three steps: add a new key, which all accept from then on; use it; drop the old " +
		"one. Each is made once, and the file copied to every node before the next: made on each node, add gives each a key of its own. Nodes read " +
		"their key file again when it changes, or at SIGHUP, and log the fingerprints of its keys, which each step prints. The file keeps its owner " +
		"and group; one that everybody may read becomes its owner's alone."
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
	err = keys.Create(c.File)
	switch {
	case errors.Is(err, fs.ErrExist):
		return usage("%s is there already and is left as it is; a new key would shut out nodes that have the old one. "+
			"To change the key of a running cluster see \"huddle keygen --help\", --rotate", c.File)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return usage("%v", err)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(io.out, "Wrote %s, with the key %s. Give it to every node of the cluster: --key-file %s\n",
		c.File, transport.Fingerprint(keys.Key), c.File)
	return err
}

func (c *keygenCmd) rotate(io *streams) error {
	next := "Give this file to every node. When each has logged these keys: huddle keygen --rotate %s " + c.File
	var step func(keyfile.Keys) (keyfile.Keys, error)
	switch c.Rotate {
	case "add":
		step, next = keyfile.Keys.Add, fmt.Sprintf(next, "use")
	case "use":
		step, next = keyfile.Keys.Use, fmt.Sprintf(next, "drop")
	case "drop":
		step, next = keyfile.Keys.Drop, "Give this file to every node: from then on what is dropped is refused."
	default:
		return usage("--rotate must be one of \"add\", \"use\", \"drop\" but got %q", c.Rotate)
	}
	if c.File == "" || c.File == "-" {
		return usage("--rotate %s needs the key file: huddle keygen --rotate %s FILE", c.Rotate, c.Rotate)
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return usage("%v; make a new file with \"huddle keygen FILE\"", err)
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	before, err := keyfile.Parse(data)
	if err != nil {
		return usage("%s is no key file: %v", c.File, err)
	}
	after, err := step(before)
	if err != nil {
		return fmt.Errorf("%s is left as it was: %w", c.File, err)
	}
	if err := after.Replace(c.File); err != nil {
		return err
	}
	if keyfile.Open(info) {
		fmt.Fprintf(io.err, "huddle: everybody on this machine could read or write %s. It is its owner's alone now; a node that runs as another user "+
			"needs it to be given to that user.\n", c.File)
	}
	_, err = fmt.Fprintf(io.out, "Changed %s.\n%s%s\n", c.File, compare(before, after), next)
	return err
}

// compare lists the keys of a file by their fingerprints, and those that are not in it any more.
func compare(before, after keyfile.Keys) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  used      %s\n", transport.Fingerprint(after.Key))
	for _, key := range after.Secondary {
		added := ""
		if bytes.Equal(key, after.Added) {
			added = "  added now"
		}
		fmt.Fprintf(&b, "  accepted  %s%s\n", transport.Fingerprint(key), added)
	}
	for _, key := range before.Secondary {
		if !after.Has(key) {
			fmt.Fprintf(&b, "  dropped   %s\n", transport.Fingerprint(key))
		}
	}
	return b.String()
}
