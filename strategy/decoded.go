package strategy

import (
	"bytes"
	"container/list"
	"sync"

	"github.com/huddle-cache/huddle/node"
)

// decodedCache remembers decoded sessions, so that a hit need not decode again. It decides nothing: an entry is used
// only for the very bytes that the node has just answered with. Least recently used entries go first.
type decodedCache struct {
	maxBytes int64

	mu      sync.Mutex
	bytes   int64
	entries map[string]*list.Element
	recent  *list.List // of *decodedEntry, most recently used first
}

type decodedEntry struct {
	token   string
	version uint64
	value   []byte
	session CachedSession
	size    int64
}

func newDecodedCache(maxBytes int64) *decodedCache {
	return &decodedCache{maxBytes: maxBytes, entries: make(map[string]*list.Element), recent: list.New()}
}

// get returns the decoded form of e.
func (c *decodedCache) get(token string, e node.Entry) (CachedSession, bool) {
	c.mu.Lock()
	at, ok := c.entries[token]
	if !ok {
		c.mu.Unlock()
		return CachedSession{}, false
	}
	d := at.Value.(*decodedEntry)
	c.recent.MoveToFront(at)
	c.mu.Unlock()
	// Entries are never changed once they are in, so the rest needs no lock. The bytes are compared too because a
	// cluster that has started over may give a version a second time.
	if d.version != e.Version || !bytes.Equal(d.value, e.Value) {
		return CachedSession{}, false
	}
	return d.session.Clone(), true
}

// put remembers session, which must not be modified any more, as the decoded form of e.
func (c *decodedCache) put(token string, e node.Entry, session CachedSession) {
	d := &decodedEntry{token: token, version: e.Version, value: e.Value, session: session}
	d.size = session.memorySize() + int64(len(e.Value))
	if d.size > c.maxBytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(token)
	c.entries[token] = c.recent.PushFront(d)
	c.bytes += d.size
	for c.bytes > c.maxBytes {
		c.remove(c.recent.Back().Value.(*decodedEntry).token)
	}
}

// drop forgets token.
func (c *decodedCache) drop(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(token)
}

// clear forgets everything.
func (c *decodedCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.recent.Init()
	c.bytes = 0
}

func (c *decodedCache) remove(token string) {
	if at, ok := c.entries[token]; ok {
		c.bytes -= at.Value.(*decodedEntry).size
		c.recent.Remove(at)
		delete(c.entries, token)
	}
}
