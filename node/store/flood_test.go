package store

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var floodDeletes = flag.Int("flood.deletes", 1_000_000, "how many random tokens TestFloodOfTombstones deletes; the whole test is 10000000")

// A flood of tombstones of both kinds stays in its own part of the memory, and no live entry has to go for it.
func TestFloodOfTombstones(t *testing.T) {
	const maxBytes, sessions = 64 << 20, 100_000
	s := New(Config{Partitions: 1021, MaxBytes: maxBytes})
	version := uint64(0)
	next := func() uint64 { version++; return version }
	for i := range sessions {
		if _, ok := s.Put(i%1021, &Entry{Key: fmt.Sprint("session:", i), Value: string(make([]byte, 200)), Version: next()}); !ok {
			t.Fatal("a session finds no room")
		}
	}
	began := time.Now()
	for i := range *floodDeletes {
		kind := Tombstone
		if i%2 == 0 {
			kind = Revoked
		}
		e := &Entry{Key: fmt.Sprintf("random:%016x", rand.Uint64()), Version: next(), Kind: kind, Expires: s.now() + int64(time.Hour)}
		if _, ok := s.Put(i%1021, e); !ok {
			t.Fatal("a delete has no effect")
		}
		if i%100_000 == 0 {
			if st := s.Stats(); st.Bytes > maxBytes || st.TombstoneBytes > maxBytes/8 {
				t.Fatalf("%d bytes, %d of tombstones", st.Bytes, st.TombstoneBytes)
			}
		}
	}
	st := s.Stats()
	t.Logf("%d deletes in %v; %d bytes, %d of %d tombstones", *floodDeletes, time.Since(began).Round(time.Millisecond), st.Bytes, st.TombstoneBytes, st.Tombstones)
	if st.Bytes > maxBytes || st.Evictions != 0 || st.Entries != sessions {
		t.Errorf("%+v", st)
	}
	for i := range sessions {
		if s.Get(i%1021, fmt.Sprint("session:", i)) == nil {
			t.Fatalf("session %d is lost", i)
		}
	}
}
