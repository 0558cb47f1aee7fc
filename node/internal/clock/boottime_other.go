//go:build !linux

package clock

import "time"

var processStart = time.Now()

// boottime has no portable source: where the monotonic clock stops during a suspension, the wall clock's step counts.
func boottime() int64 { return time.Now().Round(0).Sub(processStart.Round(0)).Nanoseconds() }
