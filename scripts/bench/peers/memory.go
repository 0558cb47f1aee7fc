package main

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/huddle-cache/huddle/scripts/bench/load"
)

// What a process has that keeps its sessions for itself: nobody else sees a write, and no delete reaches another. It tells how long memory takes on
// this machine, just now.

// mapPeer is maps of Go with locks, by parts of the keys, without a bound.
type mapPeer struct {
	seed  maphash.Seed
	began time.Time
	parts [256]struct {
		mu   sync.Mutex
		kept map[string]kept
		_    [48]byte // no two locks in one cache line
	}
}

type kept struct {
	value   []byte
	expires time.Duration // since the beginning
}

func openMap(_ context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
	p := &mapPeer{seed: maphash.MakeSeed(), began: time.Now()}
	for i := range p.parts {
		p.parts[i].kept = make(map[string]kept)
	}
	return p, s.keys, nil, nil
}

func (p *mapPeer) Get(_ context.Context, key string) (bool, error) {
	pt := &p.parts[maphash.String(p.seed, key)%uint64(len(p.parts))]
	pt.mu.Lock()
	k, ok := pt.kept[key]
	pt.mu.Unlock()
	return ok && len(k.value) > 0 && time.Since(p.began) < k.expires, nil
}

// Set keeps a key of its own: that of the caller is in the processor's cache whenever it is asked for.
func (p *mapPeer) Set(_ context.Context, key string, value []byte) error {
	pt := &p.parts[maphash.String(p.seed, key)%uint64(len(p.parts))]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	pt.kept[strings.Clone(key)] = kept{slices.Clone(value), time.Since(p.began) + keyLife}
	return nil
}

func (p *mapPeer) Delete(_ context.Context, key string) error {
	pt := &p.parts[maphash.String(p.seed, key)%uint64(len(p.parts))]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	delete(pt.kept, key)
	return nil
}

// otterPeer is a local cache that evicts.
type otterPeer struct{ *otter.Cache[string, []byte] }

func openOtter(_ context.Context, s *settings) (load.Target, *load.Keys, func(), error) {
	c, err := otter.New(&otter.Options[string, []byte]{
		MaximumSize:      2 * len(s.keys.Names()),
		ExpiryCalculator: otter.ExpiryWriting[string, []byte](keyLife),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return otterPeer{c}, s.keys, func() { c.StopAllGoroutines() }, nil
}

func (p otterPeer) Get(_ context.Context, key string) (bool, error) {
	value, ok := p.GetIfPresent(key)
	return ok && len(value) > 0, nil
}

func (p otterPeer) Set(_ context.Context, key string, value []byte) error {
	p.Cache.Set(strings.Clone(key), slices.Clone(value))
	return nil
}

func (p otterPeer) Delete(_ context.Context, key string) error {
	p.Invalidate(key)
	return nil
}
