package strategy

import (
	"log/slog"
	"time"
)

// Option changes a PeerToPeer or a Typed.
type Option func(*options)

type options struct {
	prefix       string
	defaultTTL   time.Duration
	maxTTL       time.Duration
	readWait     time.Duration
	fillWait     time.Duration
	loadLock     time.Duration
	unsureError  bool
	logger       *slog.Logger
	decodedCount int
	decodedBytes int64
	sharedUsers  bool
	cacheExpiry  bool
}

func newOptions(prefix string, opts []Option) options {
	o := options{
		prefix:       prefix,
		readWait:     40 * time.Millisecond,
		fillWait:     time.Second,
		loadLock:     2 * time.Second,
		logger:       slog.Default(),
		decodedCount: 1 << 18,
		decodedBytes: -1,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	switch {
	case o.decodedBytes >= 0:
	case o.sharedUsers:
		o.decodedBytes = 192 << 20
	default:
		o.decodedBytes = 64 << 20
	}
	return o
}

// WithKeyPrefix sets what stands before the token in the cluster's keys. Default "vendure-session-cache:", as the plugin
// in Vendure's manual has it, for PeerToPeer, and "typed:" for Typed. Whatever shares a cluster must differ in it, and none
// may begin with another's, unless it shares the sessions too. A key is 1 KiB at most, prefix included: so much is left for a token.
func WithKeyPrefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// WithDefaultTTL ends entries whose end is not known after d. Default 0: the node's own DefaultTTL.
func WithDefaultTTL(d time.Duration) Option { return func(o *options) { o.defaultTTL = max(d, 0) } }

// WithMaxTTL ends every entry after d at the latest. Default 0: no such bound.
func WithMaxTTL(d time.Duration) Option { return func(o *options) { o.maxTTL = max(d, 0) } }

// WithReadWait bounds how long Get waits for another node before it calls the answer a miss. Default 40 ms, because
// Vendure gives a call to its cache 50 ms and then goes on without. 0 leaves it to the caller's context.
func WithReadWait(d time.Duration) Option { return func(o *options) { o.readWait = max(d, 0) } }

// WithFillWait bounds how long Load waits until what it loaded is stored. Default 1 s. When it is over, Load returns the
// loaded value all the same. 0 leaves it to the node's WriteTimeout.
func WithFillWait(d time.Duration) Option { return func(o *options) { o.fillWait = max(d, 0) } }

// WithLoadLock bounds how long a Load waits for the same load on another replica. Default 2 s. With 0 each replica loads
// for itself, which saves two writes on each miss: right where a query is cheaper than they are.
func WithLoadLock(d time.Duration) Option { return func(o *options) { o.loadLock = max(d, 0) } }

// WithCacheExpiry makes PeerToPeer.Load judge CacheExpiry: a session for which that has passed is removed and loaded afresh, as if it were absent. One without
// a CacheExpiry is fresh until it ends. By default, and in Get always, the caller judges it. It is the clock of this machine that counts.
func WithCacheExpiry() Option { return func(o *options) { o.cacheExpiry = true } }

// WithUnsureError makes Get fail with ErrUnsure where it would take an answer that could not be had as a miss.
func WithUnsureError() Option { return func(o *options) { o.unsureError = true } }

// WithLogger sets where failed reads and fills are logged, at most one a second. Default: slog.Default() as it is when the cache is made. It gets no token and
// no value.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) {
		if l != nil {
			o.logger = l
		}
	}
}

// WithDecodedBound bounds the sessions that PeerToPeer keeps decoded, so that a hit needs no parsing: by number, and by bytes. Default 262,144
// and 64 MiB (192 MiB with WithSharedUsers), beside the node's MaxBytes. A session whose user has permissions in one channel takes 192 bytes at most
// if they are up to 5, 224 up to 13, 320 up to 37, 512 up to 85 and 1,016 up to 211; one with more, with more than 64 KiB, or with a text that its JSON
// writes with escapes, as much as its JSON and its structs.
// 0 keeps none. Where tokens are hashed (node.Config.HashTokens) none is kept either, for it would lie in memory in clear.
func WithDecodedBound(count int, bytes int64) Option {
	return func(o *options) { o.decodedCount, o.decodedBytes = max(count, 0), max(bytes, 0) }
}

// WithSharedUsers makes the sessions that Get and Load return share their User with whoever else gets the same session: it must not be changed,
// nor anything in it, and CachedSession.Clone makes a session of one's own. The other fields are the caller's own in any case. A hit allocates
// nothing then, where by default it copies the user with all permissions, for a caller that changes them must not change what others may do.
// A decoded session takes 336 bytes then, its user 112, each channel 96, each permission 16, and its JSON counts too, which the node has in any case: with eight
// in one channel and 500 bytes of JSON some 1,170 together, so that the default of WithDecodedBound is room for 170,000 of them.
func WithSharedUsers() Option { return func(o *options) { o.sharedUsers = true } }
