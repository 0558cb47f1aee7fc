package strategy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// Fake is an in-memory stand-in for a node. Fail, when set, is asked before each operation.
type Fake struct {
	mu      sync.Mutex
	clock   uint64
	entries map[string]*fakeEntry
	revoked map[string]bool
	touched map[string]uint64 // the last write, delete or cut of a key
	cut     uint64            // the last cut of all
	fail    func(op string) error
	calls   map[string]int
}

type fakeEntry struct {
	node.Entry
	ends time.Time
}

// NewFake returns an empty one.
func NewFake() *Fake {
	return &Fake{entries: map[string]*fakeEntry{}, revoked: map[string]bool{}, touched: map[string]uint64{}, calls: map[string]int{}}
}

// FailWith makes operations fail; nil ends it.
func (f *Fake) FailWith(fail func(op string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *Fake) begin(ctx context.Context, op string) (end func(), err error) {
	f.mu.Lock()
	f.calls[op]++
	fail := f.fail
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if fail != nil {
		if err := fail(op); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	f.clock++
	return f.mu.Unlock, nil
}

func (f *Fake) lookup(key string) (node.Entry, bool) {
	e, ok := f.entries[key]
	if !ok || (!e.ends.IsZero() && !time.Now().Before(e.ends)) {
		return node.Entry{}, false
	}
	return e.Entry, true
}

func (f *Fake) Lookup(ctx context.Context, key string) (node.Entry, bool, error) {
	end, err := f.begin(ctx, "lookup")
	if err != nil {
		return node.Entry{}, false, err
	}
	defer end()
	e, ok := f.lookup(key)
	return e, ok, nil
}

func (f *Fake) LookupOrTicket(ctx context.Context, key string) (node.Entry, bool, node.Ticket, error) {
	end, err := f.begin(ctx, "lookup")
	if err != nil {
		return node.Entry{}, false, 0, err
	}
	defer end()
	e, ok := f.lookup(key)
	return e, ok, node.Ticket(f.clock), nil
}

func (f *Fake) write(ctx context.Context, key string, value []byte, w write) error {
	end, err := f.begin(ctx, "write")
	if err != nil {
		return err
	}
	defer end()
	if f.revoked[key] {
		return node.ErrRevoked
	}
	if w.fill && (f.touched[key] > uint64(w.ticket) || f.cut > uint64(w.ticket)) {
		return node.ErrStaleFill
	}
	e := &fakeEntry{Entry: node.Entry{Value: slices.Clone(value), Version: f.clock, TTL: w.ttl, Tags: w.tags}}
	if w.ttl > 0 && !w.noEnd {
		e.ends = time.Now().Add(w.ttl)
	}
	f.entries[key] = e
	f.touched[key] = f.clock
	return nil
}

func (f *Fake) remove(ctx context.Context, key string, revoke bool) error {
	end, err := f.begin(ctx, "remove")
	if err != nil {
		return err
	}
	defer end()
	delete(f.entries, key)
	f.touched[key] = f.clock
	f.revoked[key] = f.revoked[key] || revoke
	return nil
}

func (f *Fake) Clear(ctx context.Context) error {
	end, err := f.begin(ctx, "clear")
	if err != nil {
		return err
	}
	defer end()
	clear(f.entries)
	f.cut = f.clock
	return nil
}

func (f *Fake) InvalidateTags(ctx context.Context, tags ...string) error {
	end, err := f.begin(ctx, "invalidate")
	if err != nil {
		return err
	}
	defer end()
	for key, e := range f.entries {
		if slices.ContainsFunc(e.Tags, func(tag string) bool { return slices.Contains(tags, tag) }) {
			delete(f.entries, key)
		}
	}
	f.cut = f.clock // any fill under way may be of that tag
	return nil
}

// Scan gives out two keys at a time.
func (f *Fake) Scan(ctx context.Context, cursor uint64, _ int) (keys []string, next uint64, err error) {
	end, err := f.begin(ctx, "scan")
	if err != nil {
		return nil, 0, err
	}
	defer end()
	for key := range f.entries {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	keys = keys[min(int(cursor), len(keys)):]
	if len(keys) > 2 {
		return keys[:2], cursor + 2, nil
	}
	return keys, 0, nil
}

// NewPeerToPeerOn, NewSCSStoreOn and NewFiberStorageOn are the constructors on a Fake.
func NewPeerToPeerOn(f *Fake, opts ...Option) *PeerToPeer { return newPeerToPeer(f, opts...) }

func NewSCSStoreOn(f *Fake, opts ...StoreOption) *SCSStore { return newSCSStore(f, opts...) }

func NewFiberStorageOn(f *Fake, opts ...StoreOption) *FiberStorage {
	return newFiberStorage(f, opts...)
}

// Calls counts the operations of a kind.
func (f *Fake) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// Put writes raw bytes, as another program would.
func (f *Fake) Put(key string, value []byte) error {
	return f.write(context.Background(), key, value, write{})
}

// Entry returns the tags and TTL of a key.
func (f *Fake) Entry(key string) (tags []string, ttl time.Duration) {
	e, _, _ := f.Lookup(context.Background(), key)
	return e.Tags, e.TTL
}
