package resp

import (
	"context"
	"errors"
	"time"
)

// Entry is what a key holds.
type Entry struct {
	Value   []byte        // never modified by this package
	Version uint64        // not 0; differs after every write of the key
	TTL     time.Duration // what remains; 0: no end
	Tags    []string      // by which the backend ends entries together; not to be modified
	Age     uint64        // of the value, for SetArgs.Age; 0: the backend has none
}

// Ticket is what a FillBackend makes of it.
type Ticket [2]uint64

// SetArgs says how a key is written. At most one of IfAbsent, IfPresent and IfVersion is given; Ticket only to a FillBackend.
type SetArgs struct {
	TTL       time.Duration // 0 and not NoTTL or KeepTTL: the backend's default
	NoTTL     bool          // no end at all
	KeepTTL   bool          // keep the TTL of the present entry; if there is none, the backend's default
	IfAbsent  bool          // only if the key is absent
	IfPresent bool          // only if the key is present
	IfVersion uint64        // not 0: only if the present entry has this version
	Ticket    Ticket        // not zero: only if the key has not been written, removed or cleared since LookupOrTicket gave it
	Tags      []string      // those of the entry that the value comes from
	Age       uint64        // of a value that comes from the entry of another key: that entry's Age. A cut that ends that entry ends this one too
}

// InfoSection is one section of the answer to INFO.
type InfoSection struct {
	Name   string // such as "Cluster"
	Fields [][2]string
}

// Backend is the cache that is served. Its methods are called concurrently. They observe ctx, and return the errors of this
// package (or others that wrap them) where these fit. A key passed may be kept; a value passed is the client's own bytes, which
// change as soon as the call has returned: what is kept of it has to be copied.
type Backend interface {
	// Lookup returns what key holds. Absent is (Entry{}, false, nil); not known just now is ErrUnsure, which Lookup may return
	// at once or after waiting for certainty within ctx.
	Lookup(ctx context.Context, key string) (Entry, bool, error)
	// Set writes key. A condition of a that does not hold is ErrCondition.
	Set(ctx context.Context, key string, value []byte, a SetArgs) error
	// Remove deletes key and tells whether it was there. With ifVersion not 0 it is ErrCondition unless the present entry has that version.
	Remove(ctx context.Context, key string, ifVersion uint64) (existed bool, err error)
	// Touch gives key a new TTL (0: no end) and tells whether it was there. With ifVersion not 0 it is ErrCondition unless the present entry
	// has that version.
	Touch(ctx context.Context, key string, ttl time.Duration, ifVersion uint64) (existed bool, err error)
	// Clear removes all keys.
	Clear(ctx context.Context) error
	// Scan lists keys. It starts with cursor 0, and a next of 0 ends it. A key that is there throughout is returned at least once.
	// count is a hint.
	Scan(ctx context.Context, cursor uint64, count int) (keys []string, next uint64, err error)
	// Len counts the keys.
	Len(ctx context.Context) (int, error)
	// Info returns sections for INFO. It does not block.
	Info() []InfoSection
}

// FastBackend is a Backend that can tell at once what lies in local memory.
type FastBackend interface {
	Backend
	// LookupNow is Lookup without any waiting. ok is false when the answer is not known here and now; found is then meaningless.
	// key is valid during the call only: it must not be kept.
	LookupNow(key string) (e Entry, found, ok bool)
}

// PrefetchBackend is a FastBackend that takes a hint.
type PrefetchBackend interface {
	FastBackend
	// Prefetch is told the keys that LookupNow is about to be asked for. It need look at the first PrefetchMost only, and must not keep them.
	Prefetch(keys []string)
}

// PrefetchMost is how many keys a PrefetchBackend is told at a time.
const PrefetchMost = 32

// FillBackend is a Backend that can tell whether anything has happened to a key between a look at it, when it was absent, and a write. The conditions
// of writes are judged by the owner of the key, which may have evicted an entry that Lookup still finds elsewhere for a while.
type FillBackend interface {
	Backend
	// LookupOrTicket is Lookup that asks the owner. With an absent key it returns a ticket, which is not zero, for SetArgs.Ticket: the Set is
	// ErrCondition if anything has happened to the key since, or if that cannot be told any more. With a key that is there the ticket may be zero.
	LookupOrTicket(ctx context.Context, key string) (e Entry, found bool, ticket Ticket, err error)
	// RemoveAbsent makes sure that no Lookup finds a key any more that LookupOrTicket called absent. It is ErrCondition where a Set with that
	// ticket would be.
	RemoveAbsent(ctx context.Context, key string, ticket Ticket) error
}

// UnsetBackend is a Backend whose Remove may be final: the key then cannot be set again for a while.
type UnsetBackend interface {
	Backend
	// Unset is Remove that is never final.
	Unset(ctx context.Context, key string, ifVersion uint64) (existed bool, err error)
}

// SetItem is one key of SetMany.
type SetItem struct {
	Key   string
	Value []byte
	Args  SetArgs
}

// ManyBackend is a Backend that writes several keys for less than one after the other.
type ManyBackend interface {
	Backend
	// SetMany is Set for each of the items, whose keys differ, at the same time. The errors are in the order of the items.
	SetMany(ctx context.Context, items []SetItem) []error
}

// OpKind says what an Op does.
type OpKind uint8

const (
	OpLookup OpKind = iota // as Backend.Lookup
	OpSet                  // as Backend.Set
	OpRemove               // as Backend.Remove, of a key that does not hold a set
)

// Op is one operation of Begin. It ends within Timeout.
type Op struct {
	Kind    OpKind
	Key     string
	Value   []byte  // of OpSet
	Args    SetArgs // of OpSet
	Timeout time.Duration
}

// Outcome is the end of an Op.
type Outcome struct {
	Entry Entry // of OpLookup
	Found bool  // OpLookup: the key is there; OpRemove: it was
	Err   error
}

// LaterBackend is a FastBackend that does not need a goroutine for each operation that has to be waited for.
type LaterBackend interface {
	FastBackend
	// Begin begins operations and does not wait for them. When one has ended, ended is called with its index: once for each, in any
	// order, by any goroutine, perhaps before Begin returns. It neither blocks nor calls the backend. Begin does not keep ops.
	Begin(ops []Op, ended func(i int, o Outcome))
}

// DetailError is an ErrTooLarge or an ErrInvalid of which the client is told the text: what is over which limit, or what is wrong. The
// text must hold neither a key nor a value.
type DetailError struct {
	Err  error
	Text string
}

// Error makes DetailError an error.
func (e *DetailError) Error() string { return e.Err.Error() + ": " + e.Text }

// Unwrap returns the error that says what sort it is.
func (e *DetailError) Unwrap() error { return e.Err }

// Errors a Backend returns. Each has a reply of its own.
var (
	// ErrCondition: a condition of the write does not hold. Nothing was written.
	ErrCondition = errors.New("resp: condition not met")
	// ErrUnsure: the answer to a read is not known just now. Reply: TRYAGAIN, or absent with WhenUnsure "miss".
	ErrUnsure = errors.New("resp: not sure just now")
	// ErrUnavailable: the cluster is out of reach, and writes are refused. Reply: CLUSTERDOWN.
	ErrUnavailable = errors.New("resp: cluster unavailable")
	// ErrUnconfirmed: a write was not confirmed in time; it may still take effect. Reply: UNCONFIRMED.
	ErrUnconfirmed = errors.New("resp: write not confirmed")
	// ErrTooLarge: a key or value is over its limit; see DetailError. Reply: ERR.
	ErrTooLarge = errors.New("resp: over the size limit")
	// ErrInvalid: a key is not usable, such as the empty one; see DetailError. Reply: ERR.
	ErrInvalid = errors.New("resp: invalid argument")
	// ErrHashed: keys cannot be listed, for nobody knows them. Reply: ERR.
	ErrHashed = errors.New("resp: keys are hashed")
	// ErrRevoked: the key was deleted for good a while ago. Reply: REVOKED.
	ErrRevoked = errors.New("resp: key is revoked")
	// ErrOverload: too many operations are under way. Reply: BUSY.
	ErrOverload = errors.New("resp: too many operations under way")
	// ErrClosed: the backend is closed. Reply: ERR.
	ErrClosed = errors.New("resp: closed")
)
