//go:build unix && !linux

package cluster

import "syscall"

// childAttr makes a process that does not get the ^C meant for us.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
