package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// SIEVE should not do worse than LRU on skewed reads.
func TestHitRate(t *testing.T) {
	const keys, room, reads = 20_000, 2000, 200_000
	s := New(Config{Partitions: 101, MaxBytes: room * (entryOverhead + 10) * 8 / 7})
	lru := newLRU(room)
	z := rand.NewZipf(rand.New(rand.NewPCG(7, 8)), 1.01, 1, keys-1)
	sieve, least := 0, 0
	for range reads {
		k := z.Uint64()
		key := fmt.Sprintf("%010d", k)
		if s.Get(int(k%101), key) != nil {
			sieve++
		} else {
			s.Put(int(k%101), &Entry{Key: key, Version: 1})
		}
		if lru.use(key) {
			least++
		}
	}
	t.Logf("hit rate: SIEVE %.3f, LRU %.3f, with room for %d of %d keys", float64(sieve)/reads, float64(least)/reads, room, keys)
	if sieve < least {
		t.Fatalf("SIEVE %d hits, LRU %d", sieve, least)
	}
}

type lru struct {
	room int
	at   map[string]*Entry
	l    list
}

func newLRU(room int) *lru { return &lru{room: room, at: map[string]*Entry{}} }

func (l *lru) use(key string) bool {
	e := l.at[key]
	if e != nil {
		l.l.remove(e)
		l.l.push(e)
		return true
	}
	e = &Entry{Key: key}
	l.at[key] = e
	l.l.push(e)
	if l.l.n > l.room {
		delete(l.at, l.l.oldest.Key)
		l.l.remove(l.l.oldest)
	}
	return false
}
