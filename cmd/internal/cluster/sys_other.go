//go:build !unix

package cluster

import (
	"errors"
	"os"
	"syscall"
)

func childAttr() *syscall.SysProcAttr { return nil }

func stopProcess(*os.Process) error { return errors.New("processes cannot be paused on this system") }

func continueProcess(*os.Process) error { return nil }
