//go:build !linux

package transport

import "net"

func newDirect(conn *net.TCPConn) net.Conn { return conn }
