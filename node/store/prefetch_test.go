package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkLooks reads sixteen keys in a row of 100,000, all of which lie in memory and few in the processor's cache.
func BenchmarkLooks(b *testing.B) {
	const n, parts = 100_000, 4096
	s := New(Config{Partitions: parts, MaxBytes: 1 << 30})
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key:%012d", i)
		s.Put(i%parts, &Entry{Key: string([]byte(keys[i])), Version: 1, Value: string(make([]byte, 512))})
	}
	for _, prefetch := range []bool{false, true} {
		b.Run(fmt.Sprint("prefetch=", prefetch), func(b *testing.B) {
			order := rand.Perm(n)
			var ps [16]int
			var ks [16]string
			sum := byte(0)
			at := 0
			for b.Loop() {
				for i := range ks {
					k := order[at]
					at = (at + 1) % n
					ps[i], ks[i] = k%parts, keys[k]
				}
				if prefetch {
					sum += s.Prefetch(ps[:], ks[:])
				}
				for i, k := range ks {
					e := s.Look(ps[i], k)
					if e == nil {
						b.Fatal(k)
					}
					sum += e.Value[0]
				}
			}
			_ = sum
		})
	}
}

// Prefetch may be asked for anything, and changes nothing.
func TestPrefetch(t *testing.T) {
	const parts = 4
	s := New(Config{Partitions: parts})
	s.Prefetch(nil, nil)
	s.Prefetch([]int{-1, parts, 1}, []string{"a", "b", "c"})
	var ps []int
	var keys []string
	for i := range 3 * PrefetchMost {
		key := fmt.Sprint("k", i)
		ps, keys = append(ps, i%parts), append(keys, key)
		if i%2 == 0 {
			s.Put(i%parts, &Entry{Key: key, Version: uint64(i + 1), Value: string(make([]byte, i%3))})
		}
	}
	before := s.Stats()
	s.Prefetch(ps, keys)
	if after := s.Stats(); after != before {
		t.Errorf("%+v, before %+v", after, before)
	}
	for i, key := range keys {
		if e := s.Look(ps[i], key); (e != nil) != (i%2 == 0) {
			t.Errorf("%s: %v", key, e)
		}
	}
}
