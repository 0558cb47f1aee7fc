package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

const (
	benchEntries = 1 << 20
	benchParts   = 1021
	benchValue   = 512
)

func benchKey(i int) string { return fmt.Sprintf("%032x", uint64(i)*0x9e3779b97f4a7c15) }

type benchStore struct {
	s    *Store
	keys []string
}

var filled = sync.OnceValue(func() benchStore {
	b := benchStore{s: New(Config{Partitions: benchParts, MaxBytes: 2 << 30, Now: func() int64 { return 1 }}), keys: make([]string, benchEntries)}
	for i := range b.keys {
		b.keys[i] = benchKey(i)
		b.s.Put(i%benchParts, &Entry{Key: b.keys[i], Version: 1, Value: string(make([]byte, benchValue)), Expires: 1 << 60})
	}
	return b
})

// order gives indexes of keys to read, in uniform or Zipf order.
func order(zipf bool) []uint32 {
	r := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(r, 1.01, 1, benchEntries-1)
	out := make([]uint32, 1<<20)
	for i := range out {
		if zipf {
			out[i] = uint32(z.Uint64()*7919) % benchEntries
		} else {
			out[i] = r.Uint32N(benchEntries)
		}
	}
	return out
}

func BenchmarkGet(b *testing.B) {
	f := filled()
	for _, load := range []string{"uniform", "zipf", "one"} {
		o := order(load == "zipf")
		if load == "one" {
			clear(o)
		}
		read := func(i int) {
			k := int(o[i&(len(o)-1)])
			if f.s.Get(k%benchParts, f.keys[k]) == nil {
				b.Error("missed")
			}
		}
		b.Run(load, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				read(i)
			}
		})
		b.Run(load+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(len(o)); pb.Next(); i++ {
					read(i)
				}
			})
		})
	}
}

func BenchmarkPut(b *testing.B) {
	f := filled()
	o := order(false)
	value := string(make([]byte, benchValue))
	version := uint64(1)
	b.Run("overwrite", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			version++
			k := int(o[i&(len(o)-1)])
			f.s.Put(k%benchParts, &Entry{Key: f.keys[k], Version: version, Value: value, Expires: 1 << 60})
		}
	})
	b.Run("evicting", func(b *testing.B) {
		s := New(Config{Partitions: benchParts, MaxBytes: 64 << 20})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			k := i & (benchEntries - 1)
			s.Put(k%benchParts, &Entry{Key: f.keys[k], Version: uint64(i + 1), Value: value, Expires: 1 << 60})
		}
	})
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(Config{Partitions: benchParts})
	}
}

// measure returns the heap that n entries take beside their keys and values, per entry.
func measure(n, value int) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := New(Config{Partitions: benchParts, MaxBytes: 4 << 30})
	for i := range n {
		s.Put(i%benchParts, &Entry{Key: benchKey(i), Version: 1, Value: string(make([]byte, value)), Expires: 1 << 60})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return float64(after.HeapAlloc-before.HeapAlloc)/float64(n) - float64(32+value)
}

// BenchmarkMemory reports the overhead over key and value at a million entries.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(measure(1_000_000, benchValue), "overhead-B/entry")
	}
}

// TestOverhead holds the fixed overhead that is accounted for against the heap, at fillings of the tables good and bad.
func TestOverhead(t *testing.T) {
	total := 0.0
	fillings := []int{60_000, 75_000, 90_000, 105_000}
	for _, n := range fillings {
		got := measure(n, 64)
		t.Logf("%d entries: %.1f bytes each", n, got)
		total += got
	}
	if mean := total / float64(len(fillings)); mean > entryOverhead*1.05 || mean < entryOverhead*0.8 {
		t.Errorf("%.1f bytes an entry are accounted for as %d", mean, entryOverhead)
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	s := New(Config{})
	s.Put(0, &Entry{Key: "k", Version: 2, Expires: 1 << 60, Tags: []string{"a", "b"}})
	s.Cut("a", false, 1)
	s.Cut("c", false, 9)
	if n := testing.AllocsPerRun(100, func() {
		if s.Get(0, "k") == nil {
			t.Error("missed")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
