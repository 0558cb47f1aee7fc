//go:build !linux

package cluster

import "errors"

// network is there on Linux only.
type network struct{}

func (*network) host(int) string                      { return "" }
func (*network) inside(_ int, args []string) []string { return args }
func (*network) cut(int, int) error                   { return CheckNamespaces() }
func (*network) mend(int, int) error                  { return CheckNamespaces() }
func (*network) lose(int, int) error                  { return CheckNamespaces() }
func (*network) find(int, int) error                  { return CheckNamespaces() }
func (*network) close() error                         { return nil }

func newNetwork(int) (*network, error) { return nil, CheckNamespaces() }

// CheckNamespaces tells why no network of namespaces can be made here.
func CheckNamespaces() error {
	return errors.New("cutting the network needs Linux, for network namespaces")
}
