package transport

import (
	"net"
	"net/netip"
	"strings"
)

// Loopback tells whether addr ("host:port", or empty for none) is reached from this machine only. It looks no name up: one other than
// localhost is taken to be reached from outside.
func Loopback(addr string) bool {
	if addr == "" {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
