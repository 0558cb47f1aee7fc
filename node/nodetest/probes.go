package nodetest

import (
	"bytes"
	"context"
	"runtime"
	"time"
)

// probesEnd bounds the wait for probes: longer than one takes with the profile "local", however unwell the node.
const probesEnd = 2 * time.Second

// waitForProbes waits until memberlist's probes have ended. It does not end those under way when it is shut down: they run
// into their timeouts by themselves, and a test that looks for goroutines left behind would find them. Clusters of other
// tests that run at the same time have probes too; then this waits for its whole time.
func waitForProbes() {
	ctx, cancel := context.WithTimeout(context.Background(), probesEnd)
	defer cancel()
	until(ctx, func() bool { return !bytes.Contains(stacks(), []byte("memberlist.(*Memberlist).probeNode")) })
}

// stacks returns the stacks of all goroutines.
func stacks() []byte {
	for size := 1 << 18; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= 1<<26 {
			return buf[:n]
		}
	}
}
