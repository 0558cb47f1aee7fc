package gossip

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/peerpb"
)

// TestMain looks for goroutines left over. A probe of memberlist's that is under way at Close ends at its own deadline, and
// cannot be joined; goleak alone gives up sooner.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		var err error
		for began := time.Now(); time.Since(began) < patience; {
			if err = goleak.Find(); err == nil {
				break
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const patience = 30 * time.Second // how long a test waits for what must happen

// silent is a transport's handler that has nothing to do.
type silent struct{}

func (silent) Up(*peerpb.Member, uint64)                 {}
func (silent) Receive(uint64, uint64, []*peerpb.Message) {}
func (silent) Down(uint64, uint64, error)                {}
func (silent) Unreachable(uint64, error)                 {}
func (silent) Refused(uint64, string, string)            {}

// watch notes what gossip reports.
type watch struct {
	t *testing.T

	mu      sync.Mutex
	changed chan struct{}
	peers   map[uint64]Peer
	events  []string
	closed  bool
}

func (w *watch) note(event string, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.t.Error("reported after Close: " + event)
	}
	f()
	w.events = append(w.events, event)
	close(w.changed)
	w.changed = make(chan struct{})
}

// wait blocks until ok, which is asked under the lock, holds.
func (w *watch) wait(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		holds, changed := ok(), w.changed
		w.mu.Unlock()
		if holds {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("%s: has not happened within %v; reported so far: %v", what, patience, w.events)
		}
	}
}

// sees waits until exactly these ids are reported as present.
func (w *watch) sees(ids ...uint64) {
	w.t.Helper()
	w.wait(fmt.Sprintf("to see %v", ids), func() bool {
		for _, id := range ids {
			if _, ok := w.peers[id]; !ok {
				return false
			}
		}
		return len(w.peers) == len(ids)
	})
}

func discard() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// process is one that gossips.
type process struct {
	*Gossip
	*watch
	tr   *transport.Transport
	self Peer
}

// port binds an address for a process, without gossip yet.
func port(t *testing.T, id uint64, listen string) *transport.Transport {
	t.Helper()
	return bind(t, id, transport.Config{Listen: listen})
}

// securePort is port with a key, which may be nil, and a label.
func securePort(t *testing.T, id uint64, key []byte, cluster string) *transport.Transport {
	t.Helper()
	return bind(t, id, transport.Config{Cluster: cluster, Secrets: transport.Secrets{Key: key}})
}

func bind(t *testing.T, id uint64, cfg transport.Config) *transport.Transport {
	t.Helper()
	cfg.Self, cfg.Handler, cfg.Logger = &peerpb.Member{Name: "node", Id: id}, silent{}, discard()
	tr, err := transport.Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	tr.Start()
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

// begin starts gossip on a port; change, if not nil, may alter the config first.
func begin(t *testing.T, tr *transport.Transport, change func(*Config)) *process {
	t.Helper()
	p := &process{
		watch: &watch{t: t, changed: make(chan struct{}), peers: map[uint64]Peer{}}, tr: tr, self: Peer{Member: tr.Self()},
	}
	cfg := Config{
		Transport: tr.Gossip(), Cluster: "test", Self: p.self, Profile: "local", Recheck: 300 * time.Millisecond, Logger: discard(),
		Found: func(f Peer) {
			p.note(fmt.Sprintf("found %x view %d", f.Member.GetId(), f.View), func() { p.peers[f.Member.GetId()] = f })
		},
		Gone: func(id uint64) { p.note(fmt.Sprintf("gone %x", id), func() { delete(p.peers, id) }) },
	}
	if change != nil {
		change(&cfg)
	}
	g, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Gossip = g
	t.Cleanup(p.end)
	return p
}

// end closes the process without a word.
func (p *process) end() {
	if err := p.Close(); err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	p.watch.closed = true
	p.mu.Unlock()
	_ = p.tr.Close()
}

// spawn starts a process that joins the others.
func spawn(t *testing.T, id uint64, join ...string) *process {
	t.Helper()
	return begin(t, port(t, id, ""), func(cfg *Config) { cfg.Join = join })
}

// names is a Resolver with names of its own.
type names struct {
	mu    sync.Mutex
	hosts map[string][]string
	srv   map[string][]*net.SRV
}

func (n *names) set(host string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host] = addrs
}

func (n *names) LookupHost(_ context.Context, host string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addrs, ok := n.hosts[host]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (n *names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if records, ok := n.srv[name]; ok && service == "" && proto == "" {
		return name, records, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
