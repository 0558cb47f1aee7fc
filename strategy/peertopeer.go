package strategy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// Defaults of a PeerToPeer.
const (
	// DefaultKeyPrefix stands before the token in the keys of the cluster; Vendure's manual uses the same.
	DefaultKeyPrefix = "vendure-session-cache:"
	// DefaultReadWait is how long a Get waits for an answer. Vendure gives a cache 50 ms.
	DefaultReadWait = 40 * time.Millisecond
	// DefaultDecodedBytes bounds the memory of decoded sessions.
	DefaultDecodedBytes = 16 << 20

	userTag = "user:"
)

// PeerToPeer keeps sessions in the cluster that its node belongs to; every replica sees the same. When the cluster
// cannot tell just now, a Get is a miss, with a warning in the log.
type PeerToPeer struct {
	back    backend
	cfg     peerConfig
	warner  warner
	decoded *decodedCache
	flights flights
}

type peerConfig struct {
	prefix       string
	readWait     time.Duration
	decodedBytes int64
	unsureError  bool
	log          *slog.Logger
}

// Option changes a PeerToPeer.
type Option func(*peerConfig)

// WithKeyPrefix puts prefix before the token in the keys of the cluster. Default DefaultKeyPrefix.
func WithKeyPrefix(prefix string) Option { return func(c *peerConfig) { c.prefix = prefix } }

// WithReadWait bounds how long Get, and the look-up and the store of Load, wait for the cluster. Default
// DefaultReadWait; not positive: as long as the caller's context and the node allow.
func WithReadWait(d time.Duration) Option { return func(c *peerConfig) { c.readWait = d } }

// WithUnsureError makes Get and Load fail with node.ErrUnsure or node.ErrUnavailable, instead of taking it for a miss,
// when the cluster cannot tell.
func WithUnsureError() Option { return func(c *peerConfig) { c.unsureError = true } }

// WithDecodedBytes bounds the memory of decoded sessions, which comes on top of the node's MaxBytes. Default
// DefaultDecodedBytes; 0 keeps none.
func WithDecodedBytes(n int64) Option { return func(c *peerConfig) { c.decodedBytes = n } }

// WithLogger receives warnings, at most one a second, never with a token. Default: slog.Default(); nil: discarded.
func WithLogger(log *slog.Logger) Option { return func(c *peerConfig) { c.log = log } }

// NewPeerToPeer returns a cache on n, which stays the caller's to close and must not be nil.
func NewPeerToPeer(n *node.Node, opts ...Option) *PeerToPeer {
	return newPeerToPeer(nodeBackend{n}, opts...)
}

func newPeerToPeer(back backend, opts ...Option) *PeerToPeer {
	cfg := peerConfig{prefix: DefaultKeyPrefix, readWait: DefaultReadWait, decodedBytes: DefaultDecodedBytes, log: slog.Default()}
	for _, opt := range opts {
		opt(&cfg)
	}
	return &PeerToPeer{back: back, cfg: cfg, warner: warner{log: cfg.log}, decoded: newDecodedCache(cfg.decodedBytes)}
}

// Set implements SessionCache. Once it has returned nil no replica gets an older session.
func (p *PeerToPeer) Set(ctx context.Context, session CachedSession) error {
	if err := p.set(ctx, session, found{}); err != nil {
		return fmt.Errorf("strategy: set session: %w", err)
	}
	return nil
}

// set stores session, under the ticket of f if it has one.
func (p *PeerToPeer) set(ctx context.Context, session CachedSession, f found) error {
	if err := checkToken(session.Token); err != nil {
		return err
	}
	value, err := encode(session)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	w := write{fill: f.ordered, ticket: f.ticket}
	if !session.Expires.IsZero() {
		if w.ttl = time.Until(session.Expires); w.ttl <= 0 {
			if f.ordered {
				return nil
			}
			return p.back.remove(ctx, p.cfg.prefix+session.Token, false)
		}
	}
	if user := session.userID(); user != "" {
		w.tags = []string{userTag + user}
	}
	return p.back.write(ctx, p.cfg.prefix+session.Token, value, w)
}

// Get implements SessionCache. It answers within the read wait. Its errors are a cancelled ctx and, with
// WithUnsureError, what keeps the cluster from telling.
func (p *PeerToPeer) Get(ctx context.Context, token string) (CachedSession, bool, error) {
	if checkToken(token) != nil {
		return CachedSession{}, false, nil // no session has such a token
	}
	wait, cancel := p.wait(ctx)
	defer cancel()
	e, ok, err := p.back.Lookup(wait, p.cfg.prefix+token)
	if err != nil {
		return CachedSession{}, false, p.readFailed(ctx, err)
	}
	if !ok {
		p.decoded.drop(token)
		return CachedSession{}, false, nil
	}
	session, ok := p.decode(ctx, token, e)
	return session, ok, nil
}

// wait bounds a read.
func (p *PeerToPeer) wait(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.cfg.readWait <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, p.cfg.readWait)
}

// readFailed makes what a failed read is to the caller: nil for a miss.
func (p *PeerToPeer) readFailed(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	p.warner.warn(ctx, "session cache could not tell; taken for a miss", err)
	if !p.cfg.unsureError {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, node.ErrUnsure) {
		err = fmt.Errorf("%w: %w", node.ErrUnsure, err)
	}
	return fmt.Errorf("strategy: get session: %w", err)
}

// decode returns the session in e, which is the caller's.
func (p *PeerToPeer) decode(ctx context.Context, token string, e node.Entry) (CachedSession, bool) {
	session, ok := p.decoded.get(token, e)
	if !ok {
		var err error
		if session, err = ParseSession(e.Value); err == nil && session.Token != token {
			err = errOtherToken
		}
		if err != nil {
			p.warner.warn(ctx, "cached session is not usable; taken for a miss", err)
			return CachedSession{}, false
		}
		p.decoded.put(token, e, session.Clone())
	}
	if session.ended(time.Now()) {
		return CachedSession{}, false
	}
	return session, true
}

// Delete implements SessionCache. Once it has returned nil the session is dead on every replica. When ctx ends before
// that it fails with node.ErrUnconfirmed, and the deletion goes on by itself.
func (p *PeerToPeer) Delete(ctx context.Context, token string) error {
	if checkToken(token) != nil {
		return nil // no session has such a token
	}
	p.decoded.drop(token)
	if err := p.back.remove(ctx, p.cfg.prefix+token, true); err != nil {
		return fmt.Errorf("strategy: delete session: %w", err)
	}
	return nil
}

// Clear implements SessionCache. It clears the whole cluster, whatever else is kept in it.
func (p *PeerToPeer) Clear(ctx context.Context) error {
	p.decoded.clear()
	if err := p.back.Clear(ctx); err != nil {
		return fmt.Errorf("strategy: clear sessions: %w", err)
	}
	return nil
}

// RevokeUser removes, on every replica, every session whose user has an ID with the given text. Their tokens may be set
// again. It finds the sessions that were stored with their user's tag, as Set does.
func (p *PeerToPeer) RevokeUser(ctx context.Context, userID string) error {
	if userID == "" {
		return fmt.Errorf("strategy: revoke user: %w", ErrInvalid)
	}
	if err := p.back.InvalidateTags(ctx, userTag+userID); err != nil {
		return fmt.Errorf("strategy: revoke user: %w", err)
	}
	return nil
}

// Load is Get, and on a miss stores what load returns, unless the session was set, deleted or cleared anywhere in the
// cluster since the miss. Of several callers in this process with one token, one at a time runs load. What was loaded
// is returned also when it could not be stored, except that a token deleted recently fails with ErrRevoked. Errors of
// load are returned as they are.
func (p *PeerToPeer) Load(ctx context.Context, token string, load func(context.Context) (CachedSession, error)) (CachedSession, error) {
	if err := checkToken(token); err != nil {
		return CachedSession{}, err
	}
	return p.flights.load(ctx, peerLoader{p}, token, load)
}

// peerLoader is the loader that a PeerToPeer is.
type peerLoader struct{ *PeerToPeer }

func (p peerLoader) find(ctx context.Context, token string) (found, error) {
	wait, cancel := p.wait(ctx)
	defer cancel()
	e, ok, ticket, err := p.back.LookupOrTicket(wait, p.cfg.prefix+token)
	if err != nil {
		return found{}, p.readFailed(ctx, err)
	}
	if !ok {
		return found{ordered: true, ticket: ticket}, nil
	}
	// A hit that is not usable gives no ticket: what is loaded instead is not stored.
	session, hit := p.decode(ctx, token, e)
	return found{hit: hit, session: session}, nil
}

func (p peerLoader) begin(*flight, string) func() { return func() {} }

func (p peerLoader) fill(ctx context.Context, _ *flight, _ string, f found, session CachedSession) error {
	if !f.ordered {
		return nil
	}
	wait, cancel := p.wait(ctx)
	defer cancel()
	switch err := p.set(wait, session, f); {
	case errors.Is(err, ErrRevoked):
		return fmt.Errorf("strategy: load session: %w", err)
	case err != nil && !errors.Is(err, node.ErrStaleFill):
		p.warner.warn(ctx, "loaded session was not stored", err)
	}
	return nil
}
