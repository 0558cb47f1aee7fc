package cluster

import "syscall"

// childAttr makes a process that dies with ours, and that does not get the ^C meant for us.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
