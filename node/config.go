package node

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"
)

// Config describes a node. The zero Config works: a cluster of one on loopback. Start never changes the caller's.
type Config struct {
	// Name identifies the node in its cluster and places it on the ring. Default: the host name and the port.
	// A restarted node keeps its name; two live nodes must not share one.
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
	// Cluster labels the cluster; nodes with another label are refused. Default "huddle".
	Cluster string

	// Replicas is the number of copies of an entry in all, owner included. Default 2.
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
	// ForgetAfter: a node without a majority for so long starts over, empty but for its revocations. 0 means the default, 10 min;
	// negative means never.
	ForgetAfter time.Duration
	// Settle: on a cold start with Join, a node founds the cluster once it has met no new node for this long. Default 1 s.
	Settle time.Duration
	// Profile is how patient gossip is: "local", "lan" (default) or "wan".
	Profile string
	// RepairRate bounds what this node pulls from others in a hand-over, in bytes a second, so that reads and writes keep
	// their latency meanwhile; what is pulled because somebody asks for it comes on top. Default 64 MiB.
	RepairRate int64
	// ReadTimeout and WriteTimeout bound an operation whose context has no deadline. Default 5 s each.
	ReadTimeout, WriteTimeout time.Duration

	// Logger receives what happens. Default: discarded. Never a token or a value. Its handler has a goroutine of its own: it may take its time, for lines
	// that it does not take are left out in the end, and it may ask the node, but not close it: Close waits until it has what was written before.
	Logger *slog.Logger
}
