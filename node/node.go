// Package node is the embedded cache node: one per replica of a service.
package node

import (
	"context"
	"time"
)

// Node is one member of a cluster. Its methods are safe for concurrent use.
type Node struct{}

// Entry is what a Lookup finds.
type Entry struct {
	Value   []byte        // not to be modified
	Version uint64        // grows with every write of the key
	TTL     time.Duration // what remains; 0: no end
	Tags    []string
}

// Ticket is handed out by a miss and orders the fill that follows it before every later write, delete or cut of the key.
type Ticket uint64

// SetOption changes a Set.
type SetOption func(*setOptions)
type setOptions struct{}

// WithTTL ends the entry after d. d must be positive.
func WithTTL(d time.Duration) SetOption { return nil }

// WithoutTTL keeps the entry without end, whatever Config.DefaultTTL says.
func WithoutTTL() SetOption { return nil }

// WithKeepTTL keeps the TTL that the present entry has.
func WithKeepTTL() SetOption { return nil }

// WithTags attaches tags, by which InvalidateTags finds the entry.
func WithTags(tags ...string) SetOption { return nil }

// IfAbsent makes the Set fail with ErrCondition when the key is present.
func IfAbsent() SetOption { return nil }

// IfPresent makes the Set fail with ErrCondition when the key is absent.
func IfPresent() SetOption { return nil }

// IfVersion makes the Set fail with ErrCondition unless the present entry has version v.
func IfVersion(v uint64) SetOption { return nil }

// WithTicket makes the Set a fill: it fails with ErrStaleFill when the key was written, deleted or cut after the miss that gave the ticket.
func WithTicket(t Ticket) SetOption { return nil }

// DeleteOption changes a Delete.
type DeleteOption func(*deleteOptions)
type deleteOptions struct{}

// Revoke deletes for good: writes of the key fail with ErrRevoked for Config.Retention.
func Revoke() DeleteOption { return nil }

// DeleteIfVersion makes the Delete fail with ErrCondition unless the present entry has version v.
func DeleteIfVersion(v uint64) DeleteOption { return nil }

// Start starts a node. It returns once the node listens; Ready tells when it is in sync.
func Start(ctx context.Context, cfg Config) (*Node, error) { return nil, ErrUnavailable }

// Get returns the value of key. Absent is (nil, false, nil); not known just now is ErrUnsure.
// The value is shared and must not be modified.
func (n *Node) Get(ctx context.Context, key string) ([]byte, bool, error) { return nil, false, nil }

// Lookup is Get with version, TTL and tags.
func (n *Node) Lookup(ctx context.Context, key string) (Entry, bool, error) {
	return Entry{}, false, nil
}

// LookupOrTicket is Lookup; on a miss it returns the ticket for a fill.
func (n *Node) LookupOrTicket(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	return Entry{}, false, 0, nil
}

// Set writes key. Once it has returned nil no node serves an older value.
func (n *Node) Set(ctx context.Context, key string, value []byte, opts ...SetOption) error {
	return nil
}

// Delete removes key; an absent key is no error.
func (n *Node) Delete(ctx context.Context, key string, opts ...DeleteOption) error { return nil }

// Remove is Delete and tells whether the key was present.
func (n *Node) Remove(ctx context.Context, key string, opts ...DeleteOption) (bool, error) {
	return false, nil
}

// Touch gives key a new TTL (0: no end) and tells whether it was present.
func (n *Node) Touch(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return false, nil
}

// Clear removes every entry of the cluster.
func (n *Node) Clear(ctx context.Context) error { return nil }

// InvalidateTags removes every entry that has one of the tags.
func (n *Node) InvalidateTags(ctx context.Context, tags ...string) error { return nil }

// Scan enumerates the keys of the cluster, partition by partition. Start with cursor 0; a next of 0 ends the scan.
// A key present throughout the scan is returned at least once. At least count keys are returned if there are so many.
func (n *Node) Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error) {
	return nil, 0, nil
}

// Len counts the entries of the cluster.
func (n *Node) Len(ctx context.Context) (int, error) { return 0, nil }

// Ready is closed once the node is in sync with its cluster for the first time.
func (n *Node) Ready() <-chan struct{} { return nil }

// InSync tells whether the node is a member of a view with a majority and holds all it should hold.
func (n *Node) InSync() bool { return false }

// Addr is the address the node listens on.
func (n *Node) Addr() string { return "" }

// Name is the node's name.
func (n *Node) Name() string { return "" }

// Leave hands everything over, then leaves the cluster and closes the node. It is bounded by ctx.
func (n *Node) Leave(ctx context.Context) error { return nil }

// Close stops the node at once, without hand-over. Its goroutines have ended when it returns.
func (n *Node) Close() error { return nil }

// Member is one node of the view.
type Member struct {
	Name  string `json:"name"`
	ID    string `json:"id"` // random incarnation, hex: a restart has another
	Addr  string `json:"addr"`
	Self  bool   `json:"self"`
	State string `json:"state"` // "member", "silent", "joining", "leaving"
	// Share is the fraction of the partitions that the member owns, 0 to 1.
	Share float64 `json:"share"`
}

// Members lists the members of the node's present view, sorted by name.
func (n *Node) Members() []Member { return nil }

// Placement says where a key lives.
type Placement struct {
	Partition int      `json:"partition"`
	Owner     string   `json:"owner"`
	Copies    []string `json:"copies"` // the further copies, next owner first
}

// Locate says where key lives in the present view.
func (n *Node) Locate(key string) Placement { return Placement{} }

// Stats are counters since the start and gauges of now.
type Stats struct {
	// View
	Chain      string `json:"chain"` // hex
	View       uint64 `json:"view"`
	Members    int    `json:"members"`
	Acting     bool   `json:"acting"` // has its view lease
	InSync     bool   `json:"in_sync"`
	Settled    bool   `json:"settled"` // no hand-off is under way in the cluster
	Partitions int    `json:"partitions"`
	Owned      int    `json:"owned"`   // partitions owned
	Pending    int    `json:"pending"` // partitions still to be pulled
	// Entries
	Entries    int   `json:"entries"` // live entries owned or copied here
	Near       int   `json:"near"`    // near copies kept here
	Tombstones int   `json:"tombstones"`
	Bytes      int64 `json:"bytes"`
	MaxBytes   int64 `json:"max_bytes"`
	// Counters
	Hits         uint64 `json:"hits"`      // answered from this node's memory
	NearHits     uint64 `json:"near_hits"` // of these, from near copies
	Remote       uint64 `json:"remote"`    // reads that asked another node
	Misses       uint64 `json:"misses"`
	Unsure       uint64 `json:"unsure"`
	Sets         uint64 `json:"sets"`
	Deletes      uint64 `json:"deletes"`
	Cuts         uint64 `json:"cuts"`
	Evictions    uint64 `json:"evictions"`
	Expirations  uint64 `json:"expirations"`
	Unconfirmed  uint64 `json:"unconfirmed"`
	ViewChanges  uint64 `json:"view_changes"`
	PulledBytes  uint64 `json:"pulled_bytes"`
	SentMessages uint64 `json:"sent_messages"`
	SentBytes    uint64 `json:"sent_bytes"`
}

// Stats returns the node's counters and gauges.
func (n *Node) Stats() Stats { return Stats{} }

// Event is something that happened to the node's view of the cluster.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"` // "view", "joined", "left", "silent", "ready", "lost-majority", "regained", "started-over"
	Member string    `json:"member,omitempty"`
	View   uint64    `json:"view"`
	Text   string    `json:"text"`
}

// Subscribe returns a channel of events, which is closed by cancel or when the node closes. A slow reader loses the oldest.
func (n *Node) Subscribe(buffer int) (events <-chan Event, cancel func()) { return nil, func() {} }

// Forget takes the named lost member out of the count of the majority: if what remains within reach is a majority
// without it, these nodes start over as a new, empty cluster.
func (n *Node) Forget(ctx context.Context, name string) error { return nil }
