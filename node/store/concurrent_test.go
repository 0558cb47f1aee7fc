package store

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestConcurrent(t *testing.T) {
	var c clock
	s := New(Config{Partitions: 5, MaxBytes: 100_000, Now: c.now, MaxCuts: 8})
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 6000 {
				p, key := r.IntN(5), fmt.Sprint(r.IntN(200))
				v := uint64(i + 1)
				switch n := r.IntN(100); {
				case n < 50:
					if e := s.Get(p, key); e != nil && (e.Key != key || e.Kind == Live && len(e.Value) != 100) {
						t.Error("Get returned something else")
					}
				case n < 85:
					e := &Entry{Key: key, Version: v, Value: string(make([]byte, 100)), Near: n < 60, Provisional: n > 80, Tags: []string{fmt.Sprint(r.IntN(20))}}
					if n%2 == 0 {
						e.Expires = c.now() + r.Int64N(1e9) + 1
					}
					s.Put(p, e)
				case n < 92:
					s.Put(p, &Entry{Key: key, Version: v, Kind: Kind(1 + n%2), Expires: c.now() + 1e9})
				case n < 94:
					s.Remove(p, key, v)
					s.RemoveNear(p, key, v)
				case n < 95:
					s.Wipe(p)
					s.WipeNear(p)
				case n < 97:
					s.List(p, key, true, 1000)
					s.Count(p)
					s.Stats()
				case n < 98:
					s.Confirm(p)
				case n < 99:
					tag := fmt.Sprint(r.IntN(20))
					s.Cut(tag, false, v/2)
					s.CutSince([]string{tag}, v)
				default:
					c.ns.Add(20e6)
					s.Sweep(100)
				}
			}
		})
	}
	wg.Wait()
	checkAccount(t, s)
}

// Who reads while others write finds an entry that is there throughout, and never one that has been cut.
func TestReadersMissNothing(t *testing.T) {
	s := New(Config{Partitions: 1, MaxBytes: 64 << 20})
	stay := func(i int) string { return fmt.Sprint("stay", i) }
	for i := range 100 {
		s.Put(0, &Entry{Key: stay(i), Version: 1})
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := g; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if s.Get(0, stay(i%100)) == nil {
					t.Error("missed an entry that is there")
					return
				}
			}
		})
	}
	for round := range uint64(30) {
		for i := range 500 { // the table grows and shrinks
			s.Put(0, &Entry{Key: fmt.Sprint("go", i), Version: 2 + round})
		}
		for i := range 500 {
			s.Remove(0, fmt.Sprint("go", i), 2+round)
		}
		for i := range 100 {
			s.Put(0, &Entry{Key: stay(i), Version: 2 + round})
		}
	}
	close(stop)
	wg.Wait()
}

func TestLookLeavesTheClockToTheCaller(t *testing.T) {
	now := int64(100)
	s := New(Config{Now: func() int64 { return now }})
	s.Put(0, &Entry{Key: "k", Version: 1, Expires: 200})
	now = 200
	if s.Get(0, "k") != nil {
		t.Error("Get returns what has expired")
	}
	if e := s.Look(0, "k"); e == nil || !e.Expired(now) || e.Expired(199) {
		t.Errorf("Look returns %+v", e)
	}
	if s.Look(0, "other") != nil || s.Look(1, "k") != nil {
		t.Error("Look finds what is not there")
	}
}
