//go:build !linux

package transport

import "syscall"

func controlSocket(_, _ string, _ syscall.RawConn) error { return nil }
