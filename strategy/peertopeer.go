package strategy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/huddle-cache/huddle/node"
)

// DefaultKeyPrefix stands before the tokens in the keys of a PeerToPeer, unless WithKeyPrefix sets another.
const DefaultKeyPrefix = "vendure-session-cache:"

// PeerToPeer is the SessionCache that the replicas of a service share, through a node in each. It has no goroutine of its
// own and nothing to close; the node belongs to the caller. Its methods are safe for concurrent use.
type PeerToPeer struct {
	core
	local   *node.Node // the backend, where it is a node
	decoded *decoded
}

// NewPeerToPeer returns the session cache of a running node. The node must not be nil.
func NewPeerToPeer(n *node.Node, opts ...Option) *PeerToPeer {
	return newPeerToPeer(onNode{n}, opts...)
}

func newPeerToPeer(on backend, opts ...Option) *PeerToPeer {
	p := &PeerToPeer{core: core{options: newOptions(DefaultKeyPrefix, opts), on: on}}
	if n, ok := on.(onNode); ok {
		p.local = n.Node
	}
	p.decoded = &decoded{maxCount: p.decodedCount, maxBytes: p.decodedBytes, shared: p.sharedUsers}
	runtime.AddCleanup(p, (*decoded).forgetAll, p.decoded) // the node's entries would keep it in memory
	return p
}

// Set stores the session on its owner and all copies, and returns when no replica serves an older one any more. It is kept
// until session.Expires, or as WithDefaultTTL says if that is not known, and no longer than WithMaxTTL. CacheExpiry does
// not end it.
//
// Errors: ErrRevoked for a token that was deleted within the node's Retention, by the late Set of a request that began before
// the log-out: the caller must treat the session as ended. Else ErrInvalid, ErrTooLarge, ErrUnavailable, ErrUnconfirmed,
// node.ErrOverload and node.ErrClosed.
func (p *PeerToPeer) Set(ctx context.Context, session CachedSession) error {
	l, err := p.encode(session)
	var key string
	if err == nil {
		key, err = keyOf(p.prefix, session.Token)
	}
	if err == nil {
		err = p.put(ctx, key, l)
	}
	return wrap("session cache: set", err)
}

// Get returns the session of a token, unless it has ended (Expires); it is the caller's own, unless WithSharedUsers says
// otherwise. Where the answer cannot be had within the wait for reads (WithReadWait), or the stored value is no session, it logs
// an error and returns a miss; with WithUnsureError it returns ErrUnsure instead.
func (p *PeerToPeer) Get(ctx context.Context, token string) (session CachedSession, found bool, err error) {
	if found, known := p.peek(token, &session); known {
		return session, found, nil
	}
	key, err := keyOf(p.prefix, token)
	if err != nil {
		return CachedSession{}, false, nil
	}
	e, found, err := p.lookup(ctx, key)
	if err != nil {
		return CachedSession{}, false, p.missed(ctx, err)
	}
	if !found {
		return CachedSession{}, false, nil
	}
	switch session, err = p.decode(token, e); {
	case errors.Is(err, errEnded):
		return CachedSession{}, false, nil
	case err != nil:
		p.failed(ctx, "session cache: stored value is no session, taken as a miss", err)
		return CachedSession{}, false, nil
	}
	return session, true, nil
}

// peekKey is how long a key may be for peek to build it without an allocation.
const peekKey = 128

// peek is Get of what is in the node's memory, or is certainly absent; known tells whether it is one of the two.
func (p *PeerToPeer) peek(token string, session *CachedSession) (found, known bool) {
	if len(p.prefix)+len(token) > peekKey || token == "" {
		return false, false
	}
	var buf [peekKey]byte
	copy(buf[copy(buf[:], p.prefix):], token)
	key := unsafe.String(&buf[0], len(p.prefix)+len(token))
	var e node.Entry
	if p.local != nil {
		e, found, known = p.local.Peek(key) // the compiler sees that a node does not keep it
	} else {
		e, found, known = p.on.Peek(strings.Clone(key))
	}
	if !found {
		return false, known
	}
	it := decodedIn(e.Memo, len(p.prefix))
	if it == nil {
		got, err := p.decode(token, e)
		if err != nil {
			return false, false // Get finds that out again, and says so
		}
		*session = got
		return true, true
	}
	it.visit()
	if copyOf(it, text(e.Value), session, p.sharedUsers); it.value.ends && session.ended(time.Now()) {
		*session = CachedSession{}
		return false, true
	}
	return true, true
}

// Delete removes the session everywhere, and for good: for the node's Retention a Set of the token fails with ErrRevoked.
// When ctx ends first it returns ErrUnconfirmed, and the deletion goes on by itself until it is done, for that long
// at most (see node.ErrUnconfirmed). An absent token is no error.
func (p *PeerToPeer) Delete(ctx context.Context, token string) error {
	key, err := keyOf(p.prefix, token)
	if err != nil {
		return nil // no such token can be stored
	}
	if e, found, _ := p.on.Peek(key); found {
		p.decoded.forget(e.Memo, len(p.prefix))
	}
	return p.remove(ctx, key)
}

// Clear removes every entry of the cluster, also those of others who share it: sessions that a Redis client wrote carry
// no mark to tell them by, and one left behind would be a stale hit. Deleted tokens stay dead.
func (p *PeerToPeer) Clear(ctx context.Context) error {
	p.decoded.forgetAll()
	return wrap("session cache: clear", p.on.Clear(ctx))
}

// Load returns the cached session of a token, or calls load and stores what it returns.
//
// One load per token runs at a time in a process, and, as far as WithLoadLock lets it wait, in the cluster. What was
// read before a Set, Delete, Clear or RevokeUser that has been acknowledged since is never stored: Load looks and loads
// again, up to three times, and then returns what it loaded last without storing it. Nobody gets an answer that was read
// before his own call began: who finds a load of the token under way waits for it and then looks for himself. When the cluster cannot
// be asked, Load loads and stores nothing. A session whose CacheExpiry has passed is returned as it is, for the caller judges that, unless
// WithCacheExpiry says otherwise.
//
// Errors: those of load and of ctx; ErrRevoked, and no session, for a token that was deleted within the retention, though load may
// still find it (a log-out that has not been committed yet); ErrInvalid for an empty token, and for a session that cannot be stored or has
// another token, and for a call from within load; ErrTooLarge, without a load, for a token over the limit. A session over the limit is returned, and not stored.
func (p *PeerToPeer) Load(ctx context.Context, token string, load LoadFunc) (CachedSession, error) {
	var session CachedSession
	if found, _ := p.peek(token, &session); found && !p.stale(&session) {
		return session, nil
	}
	key, err := keyOf(p.prefix, token)
	if err != nil {
		return CachedSession{}, fmt.Errorf("session cache: load: %w", err)
	}
	token = key[len(p.prefix):] // a load may outlive the call, and the caller may reuse the token's memory then
	usable := func(e node.Entry) bool {
		session, err := p.decode(token, e)
		return err == nil && !p.stale(&session)
	}
	value, err := p.load(ctx, key, usable, func(ctx context.Context) (loaded, error) {
		session, err := load(ctx)
		if err != nil {
			return loaded{}, err
		}
		if session.Token != token {
			return loaded{}, fmt.Errorf("session cache: load: %w: another token than asked for", ErrInvalid)
		}
		return p.encode(session)
	})
	if err != nil {
		return CachedSession{}, err
	}
	session, _, err = p.parse(token, value)
	return session, err
}

// stale tells whether Load takes the session for absent, because its CacheExpiry has passed.
func (p *PeerToPeer) stale(session *CachedSession) bool {
	return p.cacheExpiry && session.stale(time.Now())
}

func (p *PeerToPeer) encode(session CachedSession) (loaded, error) {
	if err := session.Validate(); err != nil {
		return loaded{}, err
	}
	value, err := session.MarshalJSON()
	if err != nil {
		return loaded{}, err
	}
	l := loaded{value: value, ttl: p.lifetime(session.Expires)}
	if id := session.UserID(); id != "" {
		l.tags = []string{UserTag(id)}
	}
	return l, nil
}

// text is raw, which must not change any more.
func text(raw []byte) string { return unsafe.String(unsafe.SliceData(raw), len(raw)) }

// parse returns the session that raw, which must not change any more, holds, and whether it takes no memory for texts beside it.
func (p *PeerToPeer) parse(token string, raw []byte) (session CachedSession, within bool, err error) {
	session, within, err = decodeSession(text(raw))
	if err == nil && session.Token != token {
		return CachedSession{}, false, fmt.Errorf("%w: another token than the key's", ErrInvalid)
	}
	return session, within, err
}

// errEnded: the session of an entry has ended.
var errEnded = errors.New("session has ended")

// decode returns the session of an entry, as the caller's own, and keeps it decoded.
func (p *PeerToPeer) decode(token string, e node.Entry) (CachedSession, error) {
	session, within, err := p.parse(token, e.Value)
	if err != nil {
		return CachedSession{}, err
	}
	now := time.Now()
	if session.ended(now) { // its entry may go on: another has written that without an end, or touched it
		return CachedSession{}, errEnded
	}
	ends := !session.Expires.IsZero() && (e.TTL == 0 || now.Add(e.TTL).After(session.Expires.Add(time.Millisecond)))
	p.decoded.keep(e.Memo, len(p.prefix), &session, text(e.Value), within, ends)
	return session, nil
}

var (
	_ SessionCache = (*PeerToPeer)(nil)
	_ UserRevoker  = (*PeerToPeer)(nil)
	_ Loader       = (*PeerToPeer)(nil)
)
