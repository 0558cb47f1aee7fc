package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/huddle-cache/huddle/ring"
	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/gossip"
)

// Config describes a node. The zero Config works: a cluster of one on loopback. Start never changes the caller's.
type Config struct {
	// Name identifies the node in its cluster and places it on the ring. Default: the host name and the port.
	// A restarted node keeps its name; two live nodes must not share one. At most 200 bytes of UTF-8 without control characters.
	Name string
	// Listen is the one address ("host:port") for gossip and RPC: TCP, and UDP too without Key and Certificate. Default "127.0.0.1:0".
	Listen string
	// Advertise is the address peers reach this node at. Default: the address listened on.
	Advertise string
	// Join lists where the cluster may be found: "host:port", "dns:NAME:PORT", "srv:NAME". Empty: found a cluster of one. If there is
	// another address than the node's own, it founds none until one of the others has been reached, however long that takes.
	Join []string
	// Expect, with Join: on a cold start wait for this many nodes before a cluster is founded. Default 0: a short settle time.
	Expect int
	// Key (32 bytes) secures gossip and RPC. Default none: only for loopback, unless Insecure or with a Certificate.
	Key []byte
	// SecondaryKeys are accepted from other nodes beside Key, while the cluster goes from one key to the next; see Rekey.
	SecondaryKeys [][]byte
	// Certificate (with its private key) and Authorities (those whose certificates are accepted) secure gossip and RPC
	// instead of Key. The certificate must be for clients and servers; whoever has one of the Authorities, of whatever
	// name, is let in, so they should issue certificates to nodes of the cluster only.
	Certificate *tls.Certificate
	Authorities *x509.CertPool
	// HashTokens: peers and memory see a keyed hash in place of each key, and values that only who has the key of the
	// entry can read. Scan then fails with ErrHashed. Equal on all nodes; it needs Key or TokenKey. Tags stay as they are.
	HashTokens bool
	// TokenKey (32 bytes) is what tokens are hashed with, and must stay the same, on all nodes, for as long as their entries
	// are wanted. Default: derived from Key.
	TokenKey []byte
	// Insecure allows an address outside loopback without a Key or Certificate.
	Insecure bool
	// Cluster labels the cluster; nodes with another label are refused. Default "huddle". At most 255 bytes of UTF-8.
	Cluster string

	// Replicas is the number of copies of an entry in all, owner included: 1 to 16, and equal on all nodes. Default 2.
	Replicas int
	// Partitions, VirtualNodes and Load are the ring's parameters and must be equal on all nodes. Default: ring.DefaultParams.
	Partitions   int
	VirtualNodes int
	Load         float64

	// MaxBytes bounds the memory of the entries on this node, and is at least 1 MiB. Default 256 MiB.
	MaxBytes int64
	// NoNearCopies: keep no copies of what was read from other nodes beyond the Replicas. Each Get of an entry that is held
	// elsewhere then asks its owner. Default: they are kept, within MaxBytes.
	NoNearCopies bool
	// MaxValueBytes bounds one value, and is at most 16 MiB and a quarter of MaxBytes. Default: 1 MiB, or that quarter if it is less.
	// Keys are bounded by 1 KiB.
	MaxValueBytes int
	// DefaultTTL is given to entries set without one, at most 100 years. Default 0: no end.
	DefaultTTL time.Duration
	// Retention is how long a revoked key stays dead, at most 100 years, and how long a deletion that was not confirmed goes on. Default 1 h.
	Retention time.Duration

	// Lease is the length of the leases reads are served under; it must be equal on all nodes, for each outwaits those of others; 100 ms
	// to 1 min. Default 1 s.
	Lease time.Duration
	// ExpelAfter: a member silent for so long is expelled from the view. It is no shorter than Lease. Default: two leases, and at
	// least 2 s.
	ExpelAfter time.Duration
	// ForgetAfter: a node without a majority for so long starts over, empty but for its revocations. One that was expelled, and meets nobody of
	// that cluster for so long, may found one of its own. 0 means the default, 10 min; negative means never.
	ForgetAfter time.Duration
	// Settle: on a cold start with Join, a node founds the cluster once it has met no new node for this long. Default 1 s.
	Settle time.Duration
	// Profile is how patient gossip is: "local", "lan" (default) or "wan".
	Profile string
	// RepairRate bounds what this node pulls from others in a hand-over, in bytes a second, so that reads and writes keep
	// their latency meanwhile; what is pulled because somebody asks for it comes on top. Default 64 MiB, at least 64 KiB.
	RepairRate int64
	// ReadTimeout and WriteTimeout bound an operation whose context has no deadline. Default 5 s each.
	ReadTimeout, WriteTimeout time.Duration

	// Logger receives what happens. Default: discarded. Never a token or a value. Its handler has a goroutine of its own: it may take its time, for lines
	// that it does not take are left out in the end, and it may ask the node, but not close it: Close waits until it has what was written before.
	Logger *slog.Logger
}

func (cfg Config) withDefaults() (Config, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Cluster == "" {
		cfg.Cluster = "huddle"
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 2
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 256 << 20
	}
	if cfg.MaxValueBytes == 0 {
		cfg.MaxValueBytes = int(min(1<<20, cfg.MaxBytes/4))
	}
	if cfg.RepairRate == 0 {
		cfg.RepairRate = 64 << 20
	}
	def(&cfg.Retention, time.Hour)
	def(&cfg.Lease, time.Second)
	def(&cfg.ExpelAfter, max(2*time.Second, 2*cfg.Lease))
	def(&cfg.ForgetAfter, 10*time.Minute)
	def(&cfg.Settle, time.Second)
	def(&cfg.ReadTimeout, 5*time.Second)
	def(&cfg.WriteTimeout, 5*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []*time.Duration{&cfg.Retention, &cfg.DefaultTTL, &cfg.ExpelAfter, &cfg.ForgetAfter, &cfg.Settle} {
		*d = min(*d, maxTTL) // a time without end is not one before now
	}
	p := ring.Params{Partitions: cfg.Partitions, VirtualNodes: cfg.VirtualNodes, Load: cfg.Load}.WithDefaults()
	cfg.Partitions, cfg.VirtualNodes, cfg.Load = p.Partitions, p.VirtualNodes, p.Load
	bad := func(format string, args ...any) (Config, error) {
		return cfg, fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
	if err := p.Validate(); err != nil {
		return bad("%v", err)
	}
	if cfg.Advertise != "" {
		if _, _, err := transport.SplitAdvertise(cfg.Advertise); err != nil {
			return bad("%v", err)
		}
	}
	_, _, err := net.SplitHostPort(cfg.Listen)
	switch {
	case err != nil:
		return bad("Listen %q: want host:port", cfg.Listen)
	case cfg.secrets().Validate() != nil:
		return bad("%v", cfg.secrets().Validate())
	case !cfg.secrets().Secured() && !cfg.Insecure && !transport.Loopback(cfg.Listen):
		return bad("Listen %q is reachable from outside this machine and there is no Key; set one, or Insecure", cfg.Listen)
	case cfg.HashTokens && len(cfg.TokenKey) == 0 && len(cfg.Key) == 0:
		return bad("HashTokens needs a Key, or a TokenKey")
	case len(cfg.TokenKey) != 0 && len(cfg.TokenKey) != 32:
		return bad("TokenKey has %d bytes, it must have 32", len(cfg.TokenKey))
	case cfg.Replicas < 1 || cfg.Replicas > 16:
		return bad("Replicas is %d, it must be 1 to 16", cfg.Replicas)
	case cfg.MaxBytes < 1<<20:
		return bad("MaxBytes is %d, it must be at least 1 MiB", cfg.MaxBytes)
	case int64(cfg.MaxValueBytes) > cfg.MaxBytes/4 || cfg.MaxValueBytes < 1 || cfg.MaxValueBytes > 16<<20:
		return bad("MaxValueBytes is %d, it must be 1 to 16 MiB and at most a quarter of MaxBytes", cfg.MaxValueBytes)
	case cfg.Lease < 100*time.Millisecond || cfg.Lease > time.Minute:
		return bad("Lease is %v, it must be 100ms to 1m", cfg.Lease)
	case cfg.ExpelAfter < cfg.Lease:
		return bad("ExpelAfter %v is shorter than Lease %v", cfg.ExpelAfter, cfg.Lease)
	case cfg.Retention < 0 || cfg.DefaultTTL < 0 || cfg.Settle < 0 || cfg.ReadTimeout < 0 || cfg.WriteTimeout < 0:
		return bad("Retention, DefaultTTL, Settle, ReadTimeout and WriteTimeout must not be negative")
	case !slices.Contains([]string{"", "local", "lan", "wan"}, cfg.Profile):
		return bad("Profile is %q, it must be local, lan or wan", cfg.Profile)
	case cfg.Expect < 0:
		return bad("Expect is %d, it must not be negative", cfg.Expect)
	case cfg.Expect > 1 && len(cfg.Join) == 0:
		return bad("Expect is %d, and without Join no other node can be waited for", cfg.Expect)
	case cfg.RepairRate < 1<<16:
		return bad("RepairRate is %d bytes a second, it must be at least 64 KiB", cfg.RepairRate)
	case len(cfg.Name) > 200 || !utf8.ValidString(cfg.Name) || strings.ContainsFunc(cfg.Name, unicode.IsControl):
		return bad("Name is longer than 200 bytes, not UTF-8, or has a control character")
	case len(cfg.Cluster) > 255 || !utf8.ValidString(cfg.Cluster):
		return bad("Cluster is longer than 255 bytes, or not UTF-8")
	}
	for _, j := range cfg.Join {
		if _, err := gossip.ParseJoin(j); err != nil {
			return bad("%v", err)
		}
	}
	return cfg, nil
}
