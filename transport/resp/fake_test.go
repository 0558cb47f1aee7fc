package resp

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fake is a Backend in memory: one map with versions and TTLs.
type fake struct {
	mu         sync.Mutex
	entries    map[string]fakeEntry
	clock      uint64
	last       map[string]uint64 // when a key was last written or removed, also while it was absent
	cleared    uint64
	defaultTTL time.Duration

	// lookup, if set, is called first by Lookup; an error is what it returns.
	lookup func(ctx context.Context, key string) error
	// write, if set, is called first by Set, Remove, Touch and Clear.
	write func(ctx context.Context, key string) error
}

type fakeEntry struct {
	value   []byte
	version uint64
	ends    time.Time // zero: never
}

func newFake() *fake {
	return &fake{entries: make(map[string]fakeEntry), last: make(map[string]uint64), clock: 1}
}

// together returns what returns nil when n have called it, and the error of their contexts where so many do not come.
func together(n int64) func(context.Context) error {
	var come atomic.Int64
	all := make(chan struct{})
	return func(ctx context.Context) error {
		if come.Add(1) == n {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// live returns the entry of key. mu is held.
func (f *fake) live(key string) (fakeEntry, bool) {
	e, ok := f.entries[key]
	if ok && !e.ends.IsZero() && !time.Now().Before(e.ends) {
		delete(f.entries, key)
		return fakeEntry{}, false
	}
	return e, ok
}

func (f *fake) get(key string) (Entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.live(key)
	if !ok {
		return Entry{}, false
	}
	entry := Entry{Value: e.value, Version: e.version}
	if !e.ends.IsZero() {
		entry.TTL = time.Until(e.ends)
	}
	return entry, true
}

func (f *fake) Lookup(ctx context.Context, key string) (Entry, bool, error) {
	if f.lookup != nil {
		if err := f.lookup(ctx, key); err != nil {
			return Entry{}, false, err
		}
	}
	e, ok := f.get(key)
	return e, ok, ctx.Err()
}

func (f *fake) Set(ctx context.Context, key string, value []byte, a SetArgs) error {
	if f.write != nil {
		if err := f.write(ctx, key); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old, ok := f.live(key)
	if a.IfAbsent && ok || a.IfPresent && !ok || a.IfVersion != 0 && (!ok || old.version != a.IfVersion) {
		return ErrCondition
	}
	if a.Ticket != (Ticket{}) && max(f.last[key], f.cleared) > a.Ticket[0] {
		return ErrCondition
	}
	f.clock++
	f.last[key] = f.clock
	e := fakeEntry{value: bytes.Clone(value), version: f.clock}
	switch {
	case a.NoTTL:
	case a.KeepTTL && ok:
		e.ends = old.ends
	case a.TTL > 0:
		e.ends = time.Now().Add(a.TTL)
	case f.defaultTTL > 0:
		e.ends = time.Now().Add(f.defaultTTL)
	}
	f.entries[key] = e
	return nil
}

func (f *fake) Remove(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	if f.write != nil {
		if err := f.write(ctx, key); err != nil {
			return false, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.live(key)
	if ifVersion != 0 && e.version != ifVersion {
		return false, ErrCondition
	}
	delete(f.entries, key)
	f.clock++
	f.last[key] = f.clock
	return ok, nil
}

func (f *fake) Touch(ctx context.Context, key string, ttl time.Duration, ifVersion uint64) (bool, error) {
	if f.write != nil {
		if err := f.write(ctx, key); err != nil {
			return false, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.live(key)
	if ifVersion != 0 && e.version != ifVersion {
		return false, ErrCondition
	}
	if !ok {
		return false, nil
	}
	f.clock++
	e.version, e.ends = f.clock, time.Time{}
	if ttl > 0 {
		e.ends = time.Now().Add(ttl)
	}
	f.entries[key] = e
	return true, nil
}

func (f *fake) Clear(ctx context.Context) error {
	if f.write != nil {
		if err := f.write(ctx, ""); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.entries)
	f.clock++
	f.cleared = f.clock
	return nil
}

// Scan pages through the keys in order. The cursor is a position, which is enough for a map that does not change meanwhile.
func (f *fake) Scan(_ context.Context, cursor uint64, count int) ([]string, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for key := range f.entries {
		if _, ok := f.live(key); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	from := int(min(cursor, uint64(len(keys))))
	to := min(from+count, len(keys))
	if to == len(keys) {
		return keys[from:], 0, nil
	}
	return keys[from:to], uint64(to), nil
}

func (f *fake) Len(context.Context) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for key := range f.entries {
		if _, ok := f.live(key); ok {
			n++
		}
	}
	return n, nil
}

func (f *fake) Info() []InfoSection {
	return []InfoSection{{"Huddle", [][2]string{{"members", "1"}}}}
}

// fastFake is a fake with a fast path.
type fastFake struct{ *fake }

func (f fastFake) LookupNow(key string) (Entry, bool, bool) {
	e, found := f.get(key)
	return e, found, true
}

// laterFake is a fake that ends operations from another goroutine, in any order.
type laterFake struct {
	FastBackend
	// held, if not nil, keeps what is begun from its end until it is closed.
	held chan struct{}
	// begun, if not nil, counts what is begun.
	begun *atomic.Int64
}

func (f laterFake) Begin(ops []Op, ended func(i int, o Outcome)) {
	ops = slices.Clone(ops)
	for i := range ops {
		ops[i].Value = bytes.Clone(ops[i].Value) // it is the client's
	}
	if f.begun != nil {
		f.begun.Add(int64(len(ops)))
	}
	end := func(i int) {
		var o Outcome
		ctx, cancel := context.WithTimeout(context.Background(), ops[i].Timeout)
		defer cancel()
		switch op := ops[i]; op.Kind {
		case OpLookup:
			o.Entry, o.Found, o.Err = f.Lookup(ctx, op.Key)
		case OpSet:
			o.Err = f.Set(ctx, op.Key, op.Value, op.Args)
		case OpRemove:
			o.Found, o.Err = f.Remove(ctx, op.Key, 0)
		}
		ended(i, o)
	}
	rest := rand.Perm(len(ops))
	if f.held == nil && rand.IntN(2) == 0 {
		end(rest[0]) // at once
		rest = rest[1:]
	}
	go func() {
		if f.held != nil {
			<-f.held
		}
		for _, i := range rest {
			end(i)
		}
	}()
}

// fillFake is a fake that gives tickets.
type fillFake struct{ fastFake }

func (f fillFake) LookupOrTicket(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	e, found, err := f.Lookup(ctx, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	return e, found, Ticket{f.clock}, err
}

func (f fillFake) RemoveAbsent(_ context.Context, key string, t Ticket) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.live(key); ok || max(f.last[key], f.cleared) > t[0] {
		return ErrCondition
	}
	f.clock++
	f.last[key] = f.clock
	return nil
}

// start serves cfg on a free port until the test ends.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Backend == nil {
		cfg.Backend = laterFake{FastBackend: fastFake{newFake()}}
	}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// manyFake is a fake that writes several keys at a time; calls counts how often.
type manyFake struct {
	fastFake
	calls *atomic.Int64
}

func (f manyFake) SetMany(ctx context.Context, items []SetItem) []error {
	f.calls.Add(1)
	out := make([]error, len(items))
	for _, i := range rand.Perm(len(items)) { // in any order
		out[i] = f.Set(ctx, items[i].Key, items[i].Value, items[i].Args)
	}
	return out
}
