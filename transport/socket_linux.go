package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// controlSocket makes the kernel give up a connection whose bytes are not acknowledged for three seconds.
func controlSocket(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 3000)
	})
}
