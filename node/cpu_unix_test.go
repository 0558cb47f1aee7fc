//go:build unix

package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has used of the cores so far: unlike elapsed time it does not grow with what else runs.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
