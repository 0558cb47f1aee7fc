package transport

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // how long a test waits for what must happen

// standing is a session that is up.
type standing struct {
	number uint64
	peer   *peerpb.Member
}

// recorder is a Handler that notes everything, and complains about calls that break the contract.
type recorder struct {
	t *testing.T

	mu          sync.Mutex
	changed     chan struct{} // closed at each change
	up          map[uint64]standing
	ended       map[uint64]error // by session number
	received    map[uint64][]uint64
	unreachable []error
	refused     []string
	closed      bool

	refusedPeers []uint64 // as refused

	onReceive func(peer, session uint64, m *peerpb.Message) // instead of noting it
	onUp      func(peer *peerpb.Member, session uint64)     // after it is noted, without the lock
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{
		t: t, changed: make(chan struct{}), up: map[uint64]standing{}, ended: map[uint64]error{}, received: map[uint64][]uint64{},
	}
}

// note runs f under the lock and wakes those who wait.
func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.t.Error("the handler is called after Close")
	}
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Up(peer *peerpb.Member, session uint64) {
	r.note(func() {
		if old, ok := r.up[peer.GetId()]; ok {
			r.t.Errorf("session %d is up while session %d with the same peer is", session, old.number)
		}
		r.up[peer.GetId()] = standing{session, peer}
	})
	if r.onUp != nil {
		r.onUp(peer, session)
	}
}

func (r *recorder) Receive(peer, session uint64, ms []*peerpb.Message) {
	for _, m := range ms {
		r.receive(peer, session, m)
	}
}

func (r *recorder) receive(peer, session uint64, m *peerpb.Message) {
	if r.onReceive != nil {
		r.onReceive(peer, session, m)
		return
	}
	r.note(func() {
		if r.up[peer].number != session {
			r.t.Errorf("a message of session %d while session %d is up", session, r.up[peer].number)
		}
		r.received[session] = append(r.received[session], m.GetId())
	})
}

func (r *recorder) Down(peer, session uint64, err error) {
	r.note(func() {
		if r.up[peer].number != session {
			r.t.Errorf("session %d is down while session %d is up", session, r.up[peer].number)
		}
		if err == nil {
			r.t.Error("a session is down without a reason")
		}
		delete(r.up, peer)
		r.ended[session] = err
	})
}

func (r *recorder) Unreachable(_ uint64, err error) {
	r.note(func() { r.unreachable = append(r.unreachable, err) })
}

func (r *recorder) Refused(peer uint64, remote, reason string) {
	r.note(func() {
		r.refused = append(r.refused, remote+": "+reason)
		r.refusedPeers = append(r.refusedPeers, peer)
	})
}

// wait blocks until ok, which is asked under the lock, holds.
func (r *recorder) wait(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		holds, changed := ok(), r.changed
		r.mu.Unlock()
		if holds {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			r.t.Fatalf("%s: has not happened within %v", what, patience)
		}
	}
}

// session waits until one with the peer is up, and returns its number.
func (r *recorder) session(peer uint64) (number uint64) {
	r.t.Helper()
	r.wait(fmt.Sprintf("a session with %d", peer), func() bool {
		s, ok := r.up[peer]
		number = s.number
		return ok
	})
	return number
}

// end waits until the session is down, and returns why.
func (r *recorder) end(session uint64) (err error) {
	r.t.Helper()
	r.wait(fmt.Sprintf("the end of session %d", session), func() bool {
		e, ok := r.ended[session]
		err = e
		return ok
	})
	return err
}

// ids waits until n messages of the session have come, and returns their ids.
func (r *recorder) ids(session uint64, n int) (ids []uint64) {
	r.t.Helper()
	r.wait(fmt.Sprintf("%d messages", n), func() bool {
		ids = slices.Clone(r.received[session])
		return len(ids) >= n
	})
	return ids
}

// anError waits for an Unreachable, and returns the last.
func (r *recorder) anError() (err error) {
	r.t.Helper()
	r.wait("a failed dial", func() bool {
		if len(r.unreachable) > 0 {
			err = r.unreachable[len(r.unreachable)-1]
		}
		return err != nil
	})
	return err
}

// aRefusal waits for a Refused, and returns the first.
func (r *recorder) aRefusal() (text string) {
	r.t.Helper()
	r.wait("a refusal", func() bool {
		if len(r.refused) > 0 {
			text = r.refused[0]
		}
		return text != ""
	})
	return text
}

func testConfig(id uint64, h Handler) Config {
	return Config{
		Self:    &peerpb.Member{Name: fmt.Sprintf("node-%d", id), Id: id},
		Cluster: "test", Ring: "partitions 1021", Replicas: 2,
		Handler: h,
		Logger:  slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start runs a transport until the end of the test.
func start(t *testing.T, cfg Config) *Transport {
	t.Helper()
	tr, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if r, ok := cfg.Handler.(*recorder); ok {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.closed = true
			if len(r.up) > 0 {
				t.Errorf("%d sessions are up after Close", len(r.up))
			}
		}
	})
	tr.Start()
	return tr
}

// node starts a transport with a recorder; change, if not nil, may alter the config first.
func node(t *testing.T, id uint64, change func(*Config)) (*Transport, *recorder) {
	t.Helper()
	r := newRecorder(t)
	cfg := testConfig(id, r)
	if change != nil {
		change(&cfg)
	}
	return start(t, cfg), r
}

// pair starts two connected nodes, 1 and 2.
func pair(t *testing.T, change func(*Config)) (a, b *Transport, ra, rb *recorder) {
	t.Helper()
	a, ra = node(t, 1, change)
	b, rb = node(t, 2, change)
	a.Connect(b.Self())
	b.Connect(a.Self())
	return a, b, ra, rb
}

func testKey(b byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = b
	}
	return key
}

func message(id uint64, size int) *peerpb.Message {
	return &peerpb.Message{
		Chain: 1, View: 1, Id: id, Clock: id,
		Body: &peerpb.Message_Copy{Copy: &peerpb.Copy{Entry: &peerpb.Entry{Key: "k", Value: make([]byte, size)}}},
	}
}
