package strategy

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/node"
)

// TestBoundsAreThoseOfTheHeap fills what is bounded by bytes, with what weighs the least for what it takes, and looks at the heap.
func TestBoundsAreThoseOfTheHeap(t *testing.T) {
	const bound = 4 << 20
	small := func(i int) CachedSession {
		return CachedSession{Token: fmt.Sprintf("%08d", i), User: &CachedSessionUser{ID: StringID(fmt.Sprint(i))}}
	}
	decoded := func(n int, session func(i int) CachedSession) func() any {
		return func() any {
			p := newPeerToPeer(nil, WithDecodedBound(1<<20, bound))
			for i := range n {
				s := session(i)
				raw, err := s.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.decode(s.Token, node.Entry{Value: bytes.Clone(raw), Memo: new(node.Memo)}); err != nil {
					t.Fatal(err)
				}
			}
			return p
		}
	}
	for name, fill := range map[string]func() any{
		"InMemory, each session another user's": func() any {
			c := NewInMemory(InMemoryConfig{MaxBytes: bound})
			for i := range 20_000 {
				if err := c.Set(t.Context(), small(i)); err != nil {
					t.Fatal(err)
				}
			}
			return c
		},
		"dead tokens": func() any {
			d := newDeadTokens(bound)
			for i := range 60_000 {
				d.add(fmt.Sprintf("%08d", i), time.Now())
			}
			return &d
		},
		"tokens seen": func() any {
			r := newRecent(1<<20, bound)
			for i := range 60_000 {
				r.note(fmt.Sprintf("%08d", i))
			}
			return r
		},
		"decoded": decoded(40_000, small),
		"decoded, with permissions": decoded(40_000, func(i int) CachedSession {
			s := small(i)
			s.User.ChannelPermissions = []ChannelPermissions{{ID: IntID(1), Permissions: []string{"Authenticated", "ReadCatalog"}}}
			return s
		}),
		"decoded, with an escape": decoded(10_000, func(i int) CachedSession {
			s := small(i)
			s.User.Identifier = "a&b"
			s.User.ChannelPermissions = []ChannelPermissions{{ID: IntID(1), Token: "channel", Code: "__default_channel__"}}
			for j := range 12 {
				p := &s.User.ChannelPermissions[0].Permissions
				*p = append(*p, fmt.Sprint("UpdateSomething", j))
			}
			return s
		}),
	} {
		t.Run(name, func(t *testing.T) {
			before := heapInUse()
			kept := fill()
			took := heapInUse() - before
			if p, ok := kept.(*PeerToPeer); ok {
				p.decoded.forgetAll() // now, and not while the next one looks at the heap
			}
			runtime.KeepAlive(kept)
			if took > bound+bound/8 {
				t.Errorf("%.2f MiB, want %d at most", float64(took)/(1<<20), bound>>20)
			}
			if took < bound/2 {
				t.Errorf("%.2f MiB: the bound was not reached", float64(took)/(1<<20))
			}
		})
	}
}

func heapInUse() int64 {
	// What hangs on a cache that is gone is given up by a clean-up, which runs beside the collector.
	last, done := new([64]byte), make(chan struct{})
	runtime.AddCleanup(last, func(done chan struct{}) { close(done) }, done)
	for cleaned := false; !cleaned; {
		runtime.GC()
		select {
		case <-done:
			cleaned = true
		default:
			runtime.Gosched()
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
