package strategy

import (
	"container/heap"
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// InMemoryConfig bounds an InMemory. The zero value works.
type InMemoryConfig struct {
	// MaxSessions bounds the number of sessions. Default 100,000.
	MaxSessions int
	// MaxBytes bounds the estimated memory of the sessions. Default 256 MiB.
	MaxBytes int64
	// Retention is how long a deleted token stays dead. Default 1 h.
	Retention time.Duration
	// MaxRevoked bounds the number of dead tokens remembered, at 200 bytes and the token each; over it the oldest are
	// forgotten before their time. Default 100,000.
	MaxRevoked int
}

// maxTokenBytes is the longest token that is kept; with a prefix it is within the bound of a node's key.
const maxTokenBytes = 512

// InMemory keeps sessions in this process; the least recently used make room when a bound is reached. It is the default
// for a single instance. It has no goroutines and needs no closing. What has ended is freed by the next call of any
// method, for whatever token.
type InMemory struct {
	cfg     InMemoryConfig
	flights flights

	mu      sync.Mutex
	entries map[string]*memoryEntry
	recent  *list.List // of *memoryEntry, most recently used first
	ends    endHeap
	byUser  map[string]map[string]*memoryEntry
	bytes   int64
	revoked map[string]*list.Element
	dead    *list.List         // of deadToken, oldest first
	filling map[string]*flight // loads under way, by token
}

type memoryEntry struct {
	session CachedSession
	size    int64
	recent  *list.Element
	heapPos int // -1: no end
}

type deadToken struct {
	token string
	until time.Time
}

// NewInMemory returns an empty cache.
func NewInMemory(cfg InMemoryConfig) *InMemory {
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = 100_000
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 256 << 20
	}
	if cfg.Retention <= 0 {
		cfg.Retention = time.Hour
	}
	if cfg.MaxRevoked <= 0 {
		cfg.MaxRevoked = 100_000
	}
	m := &InMemory{cfg: cfg, revoked: make(map[string]*list.Element), dead: list.New(), filling: make(map[string]*flight)}
	m.reset()
	return m
}

func (m *InMemory) reset() {
	m.entries = make(map[string]*memoryEntry)
	m.byUser = make(map[string]map[string]*memoryEntry)
	m.recent = list.New()
	m.ends = nil
	m.bytes = 0
}

// Set implements SessionCache. A session over MaxBytes fails with ErrTooLarge, and an older one is removed.
func (m *InMemory) Set(ctx context.Context, session CachedSession) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkToken(session.Token); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(time.Now())
	if _, dead := m.revoked[session.Token]; dead {
		return fmt.Errorf("strategy: set session: %w", ErrRevoked)
	}
	m.voidFill(session.Token)
	return m.put(session)
}

// put stores session in place of an older one.
func (m *InMemory) put(session CachedSession) error {
	m.drop(session.Token)
	if session.ended(time.Now()) {
		return nil
	}
	size := session.memorySize()
	if size > m.cfg.MaxBytes {
		return fmt.Errorf("strategy: set session: %w", ErrTooLarge)
	}
	e := &memoryEntry{session: session.Clone(), size: size, heapPos: -1}
	e.recent = m.recent.PushFront(e)
	m.entries[session.Token] = e
	m.bytes += size
	if !session.Expires.IsZero() {
		heap.Push(&m.ends, e)
	}
	if user := session.userID(); user != "" {
		if m.byUser[user] == nil {
			m.byUser[user] = make(map[string]*memoryEntry)
		}
		m.byUser[user][session.Token] = e
	}
	for len(m.entries) > m.cfg.MaxSessions || m.bytes > m.cfg.MaxBytes {
		m.drop(m.recent.Back().Value.(*memoryEntry).session.Token)
	}
	return nil
}

// Get implements SessionCache. Its only error is that of ctx.
func (m *InMemory) Get(ctx context.Context, token string) (CachedSession, bool, error) {
	if err := ctx.Err(); err != nil {
		return CachedSession{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(time.Now())
	e, ok := m.entries[token]
	if !ok {
		return CachedSession{}, false, nil
	}
	m.recent.MoveToFront(e.recent)
	return e.session.Clone(), true, nil
}

// Delete implements SessionCache. It does not fail.
func (m *InMemory) Delete(_ context.Context, token string) error {
	if checkToken(token) != nil {
		return nil // no session has such a token
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.sweep(now)
	m.voidFill(token)
	m.drop(token)
	if old, ok := m.revoked[token]; ok {
		m.dead.Remove(old)
	}
	m.revoked[token] = m.dead.PushBack(deadToken{token: token, until: now.Add(m.cfg.Retention)})
	if m.dead.Len() > m.cfg.MaxRevoked {
		m.forgetOldest()
	}
	return nil
}

// Clear implements SessionCache. It does not fail. Deleted tokens stay dead.
func (m *InMemory) Clear(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.voidFills()
	m.reset()
	return nil
}

// RevokeUser removes every session of the user whose ID has the given text. Their tokens may be set again.
func (m *InMemory) RevokeUser(_ context.Context, userID string) error {
	if userID == "" {
		return fmt.Errorf("strategy: revoke user: %w", ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.voidFills() // whose sessions they load is not known yet
	for token := range m.byUser[userID] {
		m.drop(token)
	}
	return nil
}

// Load is Get, and on a miss stores what load returns, unless the session was set, deleted or cleared while load ran.
// Of several callers with one token, one at a time runs load. It fails with ErrRevoked when the token was deleted
// recently. Errors of load are returned as they are.
func (m *InMemory) Load(ctx context.Context, token string, load func(context.Context) (CachedSession, error)) (CachedSession, error) {
	if err := checkToken(token); err != nil {
		return CachedSession{}, err
	}
	return m.flights.load(ctx, (*memoryLoader)(m), token, load)
}

// Len returns the number of sessions kept.
func (m *InMemory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(time.Now())
	return len(m.entries)
}

// Bytes returns the estimated memory of the sessions kept.
func (m *InMemory) Bytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(time.Now())
	return m.bytes
}

func (m *InMemory) drop(token string) {
	e, ok := m.entries[token]
	if !ok {
		return
	}
	delete(m.entries, token)
	m.recent.Remove(e.recent)
	m.bytes -= e.size
	if e.heapPos >= 0 {
		heap.Remove(&m.ends, e.heapPos)
	}
	if user := e.session.userID(); user != "" {
		delete(m.byUser[user], token)
		if len(m.byUser[user]) == 0 {
			delete(m.byUser, user)
		}
	}
}

// sweep frees what has ended.
func (m *InMemory) sweep(now time.Time) {
	for len(m.ends) > 0 && m.ends[0].session.ended(now) {
		m.drop(m.ends[0].session.Token)
	}
	for front := m.dead.Front(); front != nil && !now.Before(front.Value.(deadToken).until); front = m.dead.Front() {
		m.forgetOldest()
	}
}

func (m *InMemory) forgetOldest() {
	front := m.dead.Front()
	delete(m.revoked, front.Value.(deadToken).token)
	m.dead.Remove(front)
}

// voidFill keeps the load of token that is under way from being stored.
func (m *InMemory) voidFill(token string) {
	if fl, ok := m.filling[token]; ok {
		fl.stale = true
	}
}

// voidFills does so for all.
func (m *InMemory) voidFills() {
	for _, fl := range m.filling {
		fl.stale = true
	}
}

// endHeap orders entries by their end.
type endHeap []*memoryEntry

func (h endHeap) Len() int           { return len(h) }
func (h endHeap) Less(i, j int) bool { return h[i].session.Expires.Before(h[j].session.Expires) }
func (h endHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapPos, h[j].heapPos = i, j
}

// Push is for package heap.
func (h *endHeap) Push(x any) {
	e := x.(*memoryEntry)
	e.heapPos = len(*h)
	*h = append(*h, e)
}

// Pop is for package heap.
func (h *endHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.heapPos = -1
	return e
}
