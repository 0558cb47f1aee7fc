//go:build !linux

package transport

import (
	"net"
	"time"
)

// setUserTimeout does nothing here: keepalive probes, and the system's own limit on retransmission, have to do.
func setUserTimeout(*net.TCPConn, time.Duration) {}
