package node

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Who takes over waits for a lease as long as its own. So a node whose leases are longer or shorter is kept out, and told why.
func TestLeasesOfOneLength(t *testing.T) {
	first := start(t, Config{})
	settled(t, first)
	var log logged
	second := start(t, Config{Join: []string{first.Addr()}, Lease: 3 * time.Second, ExpelAfter: 6 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	eventually(t, "the reason", func() bool {
		return strings.Contains(log.String(), "lease 1s") && strings.Contains(log.String(), "lease 3s")
	})
	if second.InSync() || len(first.Members()) != 1 {
		t.Errorf("let in: %v, members %v", second.InSync(), first.Members())
	}
}
