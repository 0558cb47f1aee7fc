package gossip

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// profile returns memberlist's settings. A silent process is suspected after a probe interval or two, and given up after
// SuspicionMult * max(1, log10(N)) * ProbeInterval more, up to SuspicionMaxTimeoutMult times that when few agree: on a
// LAN of up to ten processes 2 to 4 s. The sessions between nodes notice before.
func profile(name string) (*memberlist.Config, error) {
	var mc *memberlist.Config
	switch name {
	case "local":
		mc = memberlist.DefaultLocalConfig()
		mc.ProbeInterval, mc.ProbeTimeout = 200*time.Millisecond, 100*time.Millisecond
		mc.GossipInterval = 50 * time.Millisecond
		mc.SuspicionMaxTimeoutMult = 2
		mc.AwarenessMaxMultiplier = 3
		mc.TCPTimeout = time.Second
	case "", "lan":
		mc = memberlist.DefaultLANConfig()
		// Each interval is a time that a process at rest is woken for. Every third coincides with a probe, at memberlist's own pace, 1 s.
		mc.GossipInterval = time.Second / 3
		mc.SuspicionMult, mc.SuspicionMaxTimeoutMult = 2, 2
		mc.AwarenessMaxMultiplier = 4
		mc.TCPTimeout = 2 * time.Second
	case "wan":
		mc = memberlist.DefaultWANConfig()
		mc.TCPTimeout = 5 * time.Second
	default:
		return nil, fmt.Errorf(`gossip: profile %q; it is "local", "lan" or "wan"`, name)
	}
	mc.EnableCompression = false // a few hundred bytes a process are not worth the work
	return mc, nil
}
