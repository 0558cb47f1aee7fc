package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/cmd/internal/client"
	"github.com/huddle-cache/huddle/node"
)

// fakeNode keeps entries in a map. err, if set, is what every operation on entries returns.
type fakeNode struct {
	mu      sync.Mutex
	entries map[string]node.Entry
	err     error
	unsure  int // that many lookups are unsure
	inSync  bool
	waiting string // why it is in no cluster
	heldBy  string // the address of who has this node's name
	leaving bool
	other   string // the state of n2; empty: "member"
	revoked []string
	users   []string
	forgot  []string
	last    SetArgs
	events  chan node.Event
}

func newFakeNode() *fakeNode {
	return &fakeNode{entries: map[string]node.Entry{}, inSync: true, events: make(chan node.Event, 10)}
}

func (f *fakeNode) Name() string { return "n1" }

func (f *fakeNode) Addr() string { return "127.0.0.1:7400" }

func (f *fakeNode) InSync() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inSync
}

func (f *fakeNode) Stats() node.Stats {
	return node.Stats{View: 4, Members: 2, InSync: true, Partitions: 1021, NameHeldBy: f.heldBy, Waiting: f.waiting, Leaving: f.leaving}
}

func (f *fakeNode) Members() []node.Member {
	return []node.Member{{Name: "n1", Self: true, State: "member", Share: 0.5}, {Name: "n2", State: cmp.Or(f.other, "member"), Share: 0.5}}
}

func (f *fakeNode) Locate(string) node.Placement {
	return node.Placement{Partition: 17, Owner: "n2", Copies: []string{"n1"}}
}

func (f *fakeNode) Subscribe(int) (<-chan node.Event, func()) {
	return f.events, func() { close(f.events) }
}

func (f *fakeNode) Lookup(_ context.Context, key string) (node.Entry, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unsure > 0 {
		f.unsure--
		return node.Entry{}, false, node.ErrUnsure
	}
	e, ok := f.entries[key]
	return e, ok, f.err
}

func (f *fakeNode) Set(_ context.Context, key string, value []byte, a SetArgs) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if e, ok := f.entries[key]; ok && a.If.Absent || !ok && a.If.Present || a.If.Version != 0 && e.Version != a.If.Version {
		return node.ErrCondition
	}
	f.last = a
	f.entries[key] = node.Entry{Value: value, Version: max(f.entries[key].Version+1, 9), TTL: a.TTL, Tags: a.Tags}
	return nil
}

func (f *fakeNode) Remove(_ context.Context, key string, revoke bool, ifVersion uint64) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.entries[key]
	if ifVersion != 0 && e.Version != ifVersion {
		return false, node.ErrCondition
	}
	delete(f.entries, key)
	if revoke {
		f.revoked = append(f.revoked, key)
	}
	return ok, f.err
}

func (f *fakeNode) Touch(_ context.Context, key string, ttl time.Duration) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.entries[key]
	if ok {
		e.TTL = ttl
		f.entries[key] = e
	}
	return ok, f.err
}

func (f *fakeNode) Clear(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.entries)
	return f.err
}

func (f *fakeNode) Scan(_ context.Context, _ uint64, _ int) ([]string, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for k := range f.entries {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys, 1<<63 + 1, f.err
}

func (f *fakeNode) Len(context.Context) (int, error) { return len(f.entries), f.err }

func (f *fakeNode) RevokeUser(_ context.Context, user string) error {
	f.users = append(f.users, user)
	return f.err
}

func (f *fakeNode) InvalidateTags(_ context.Context, tags ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, e := range f.entries {
		if slices.ContainsFunc(e.Tags, func(t string) bool { return slices.Contains(tags, t) }) {
			delete(f.entries, key)
		}
	}
	return f.err
}

func (f *fakeNode) Forget(_ context.Context, name string) error {
	f.forgot = append(f.forgot, name)
	return f.err
}

// serve runs a server over f; open says that it counts as reached from this machine only.
func serve(t *testing.T, f *fakeNode, cfg Config, open bool) (*Server, *httptest.Server) {
	t.Helper()
	cfg.Backend = f
	s := newServer(cfg, open)
	ts := httptest.NewServer(s.http.Handler)
	t.Cleanup(func() {
		s.once.Do(func() { close(s.closing) })
		ts.Close()
		s.events.close()
	})
	return s, ts
}

// only accepts one token; empty: none is asked.
func only(token string) func([]byte) bool {
	if token == "" {
		return nil
	}
	return func(given []byte) bool { return string(given) == token }
}

func dial(ts *httptest.Server, token string) *client.Client {
	return client.New(ts.Listener.Addr().String(), token)
}

func codeOf(err error) string {
	var refused *api.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
