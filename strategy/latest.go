package strategy

import (
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"strings"
	"sync"
)

// latest is a map whose entries stand in the order in which they were last put. It is not safe for concurrent use.
type latest[V any] struct {
	order list.List // of *latestEntry[V], the oldest in front
	at    map[string]*list.Element
	bytes int64 // that it takes, estimated
}

type latestEntry[V any] struct {
	key   string
	value V
}

// latestOverhead is what an entry takes beside the text of its key: itself, its place in the order and the one in the map.
const latestOverhead = 184

func newLatest[V any]() latest[V] { return latest[V]{at: map[string]*list.Element{}} }

func (l *latest[V]) has(key string) bool { return l.at[key] != nil }

func (l *latest[V]) count() int { return len(l.at) }

// put makes the entry the newest. It keeps no memory of the caller's key.
func (l *latest[V]) put(key string, value V) {
	if e := l.at[key]; e != nil {
		e.Value.(*latestEntry[V]).value = value
		l.order.MoveToBack(e)
		return
	}
	key = strings.Clone(key)
	l.at[key] = l.order.PushBack(&latestEntry[V]{key, value})
	l.bytes += int64(len(key)) + latestOverhead
}

// oldest returns the entry that was put the longest ago, nil if there is none.
func (l *latest[V]) oldest() *latestEntry[V] {
	if e := l.order.Front(); e != nil {
		return e.Value.(*latestEntry[V])
	}
	return nil
}

// pop takes the oldest entry out. There must be one.
func (l *latest[V]) pop() {
	key := l.order.Remove(l.order.Front()).(*latestEntry[V]).key
	delete(l.at, key)
	l.bytes -= int64(len(key)) + latestOverhead
}

// recent is a bounded set of the tokens that were noted last. Its methods are safe for concurrent use.
//
// It forgets the token that has not been noted for the longest time, and never one that was noted just now. A cache that spares
// what is used often, as sieve does, would forget the newest first, which are those whose requests are under way.
//
// It keeps a mark of each token and not the token, which is to be nowhere in memory when its request has ended: see node.Config.HashTokens.
type recent struct {
	maxCount int
	maxBytes int64
	seed     maphash.Seed

	mu    sync.Mutex
	marks latest[struct{}]
}

func newRecent(maxCount int, maxBytes int64) *recent {
	return &recent{maxCount: maxCount, maxBytes: maxBytes, seed: maphash.MakeSeed(), marks: newLatest[struct{}]()}
}

// markBytes is the length of a mark. Who chooses tokens does not know the seed, and so makes no two with the same one.
const markBytes = 8

func (r *recent) mark(token string) string {
	return string(binary.NativeEndian.AppendUint64(make([]byte, 0, markBytes), maphash.String(r.seed, token)))
}

func (r *recent) has(token string) bool {
	mark := r.mark(token)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.marks.has(mark)
}

func (r *recent) note(token string) {
	mark := r.mark(token)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks.put(mark, struct{}{})
	for r.marks.count() > r.maxCount || r.marks.bytes > r.maxBytes {
		r.marks.pop()
	}
}
