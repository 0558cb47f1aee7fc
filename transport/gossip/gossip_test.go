package gossip

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/peerpb"
)

func TestProcessesFindEachOther(t *testing.T) {
	a := spawn(t, 1)
	b := spawn(t, 2, a.tr.Addr())
	c := spawn(t, 3, b.tr.Addr())
	a.sees(2, 3)
	b.sees(1, 3)
	c.sees(1, 2)
	for _, p := range []*process{a, b, c} {
		if !p.Reached() {
			t.Error("others are seen, but not reached")
		}
		if n := len(p.Peers()); n != 2 {
			t.Errorf("%d peers", n)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.peers[2].Member; m.GetName() != "node" || m.GetAddr() != b.tr.Addr() {
		t.Errorf("the member is %v", m)
	}
}

// Whoever has not the key, or another label, neither learns of others nor is learnt of.
func TestKeyAndLabelKeepStrangersOut(t *testing.T) {
	key, other := slices.Repeat([]byte{7}, 32), slices.Repeat([]byte{1}, 32)
	one := func(id uint64, key []byte, cluster string, join ...string) *process {
		tr := securePort(t, id, key, cluster)
		return begin(t, tr, func(cfg *Config) { cfg.Cluster, cfg.Join = cluster, join })
	}
	a := one(1, key, "test")
	strangers := []*process{
		one(3, nil, "test", a.tr.Addr()),
		one(4, other, "test", a.tr.Addr()),
		one(5, key, "other", a.tr.Addr()),
	}
	b := one(2, key, "test", a.tr.Addr())
	a.sees(2)
	b.sees(1)
	for _, s := range strangers {
		s.finder.round() // one whole attempt, whatever the others have been doing
		if s.Reached() || len(s.Peers()) != 0 {
			t.Errorf("stranger %v has found %v", s.self.Member, s.Peers())
		}
	}
	a.sees(2)
}

// Who cannot join is told why, once a minute for each address, on one line.
func TestWhyNobodyIsJoined(t *testing.T) {
	key, other := slices.Repeat([]byte{7}, 32), slices.Repeat([]byte{1}, 32)
	for name, x := range map[string]struct {
		ours, theirs []byte
		label, want  string
	}{
		"another label":                {nil, nil, "other", "the other side hung up: has it another cluster label"},
		"no key":                       {nil, key, "test", "or a key that this node lacks"},
		"another key":                  {other, key, "test", "the other side has another key, or another cluster label"},
		"a key, and the other has not": {key, nil, "test", "has it no key?"},
	} {
		t.Run(name, func(t *testing.T) {
			a := begin(t, securePort(t, 1, x.theirs, "test"), func(cfg *Config) { cfg.Cluster = "test" })
			var mu sync.Mutex
			var log bytes.Buffer
			b := begin(t, securePort(t, 2, x.ours, x.label), func(cfg *Config) {
				cfg.Cluster, cfg.Join = x.label, []string{a.tr.Addr()}
				cfg.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
			})
			complaints := func(atLeast int) (lines []string) { // the finder's own round may have the first, and be about to write it
				for deadline := time.Now().Add(10 * time.Second); len(lines) < atLeast && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
					mu.Lock()
					lines = slices.DeleteFunc(strings.Split(log.String(), "\n"), func(l string) bool { return !strings.Contains(l, "cannot join") })
					mu.Unlock()
				}
				return lines
			}
			for range 3 {
				b.finder.round()
			}
			if lines := complaints(1); len(lines) != 1 || !strings.Contains(lines[0], x.want) || strings.Contains(lines[0], `\n`) {
				t.Errorf("after several attempts: %q", lines)
			}
			b.finder.mu.Lock()
			b.finder.now = func() time.Time { return time.Now().Add(warnWindow) }
			b.finder.mu.Unlock()
			b.finder.round()
			if lines := complaints(2); len(lines) != 2 {
				t.Errorf("a minute later: %q", lines)
			}
		})
	}
}

// lockedWriter lets a log be read while it is written.
type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func TestAnnounce(t *testing.T) {
	a := spawn(t, 1)
	b := spawn(t, 2, a.tr.Addr())
	a.sees(2)
	b.sees(1)
	for view := range uint64(100) {
		a.Announce(Peer{Member: a.self.Member, Chain: 7, View: view, Size: 2})
	}
	b.wait("the news", func() bool { return b.peers[1].View == 99 && b.peers[1].Chain == 7 && b.peers[1].Size == 2 })
	b.mu.Lock()
	if n := len(b.events); n > 30 {
		t.Errorf("%d reports of 100 announcements", n)
	}
	b.mu.Unlock()
	a.Announce(Peer{Member: &peerpb.Member{Name: "node", Id: 11, Addr: a.tr.Addr()}})
	b.sees(11)
	b.mu.Lock()
	if n := len(b.events); b.events[n-2] != "gone 1" || b.events[n-1] != "found b view 0" {
		t.Errorf("a new id is reported as %v", b.events[n-2:])
	}
	b.mu.Unlock()
	a.Announce(Peer{Member: &peerpb.Member{Name: strings.Repeat("n", 201), Id: 12}})
	a.Announce(Peer{Member: &peerpb.Member{Name: "node", Id: 11, Addr: a.tr.Addr()}, Leaving: true})
	b.wait("the next news", func() bool { return b.peers[11].Leaving })
}

func TestSilentProcessIsGone(t *testing.T) {
	a := spawn(t, 1)
	b := spawn(t, 2, a.tr.Addr())
	c := spawn(t, 3, a.tr.Addr())
	for _, p := range []*process{a, b, c} {
		p.wait("two others", func() bool { return len(p.peers) == 2 })
	}
	b.end()
	a.sees(3)
	c.sees(1)
}

func TestLeave(t *testing.T) {
	a := spawn(t, 1)
	b := spawn(t, 2, a.tr.Addr())
	a.sees(2)
	b.sees(1)
	b.Leave()
	a.sees()
	b.Leave()
	b.end()
	b.Leave()
	a.sees()
}

// Who leaves is not waited for as one who is silent, whenever within a round of gossip he does.
func TestLeaveIsTold(t *testing.T) {
	lan := func(id uint64, join ...string) *process {
		return begin(t, port(t, id, "127.0.0.1:0"), func(cfg *Config) { cfg.Profile, cfg.Join = "lan", join })
	}
	a := lan(1)
	b := lan(2, a.tr.Addr())
	a.sees(2)
	for i := range uint64(6) {
		c := lan(10+i, a.tr.Addr(), b.tr.Addr())
		a.sees(2, 10+i)
		b.sees(1, 10+i)
		began := time.Now()
		c.Leave()
		c.end()
		a.sees(2)
		b.sees(1)
		if took := time.Since(began); took > 2*time.Second { // what is silent is probed for a second, and suspected for two
			t.Errorf("after %v", took)
		}
	}
}

// A process that comes back at once, under the same name, is a new one at the same address or at another.
func TestRestart(t *testing.T) {
	a := spawn(t, 1)
	b := spawn(t, 2, a.tr.Addr())
	a.sees(2)
	addr := b.tr.Addr()
	b.end()
	same := begin(t, port(t, 3, addr), func(cfg *Config) { cfg.Join = []string{a.tr.Addr()} })
	a.sees(3)
	same.sees(1)
	same.end()
	other := spawn(t, 4, a.tr.Addr())
	a.sees(4)
	other.sees(1)
}

func TestReachedAlone(t *testing.T) {
	tr := port(t, 1, "")
	n, err := netip.ParseAddrPort(tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	at := strconv.Itoa(int(n.Port()))
	res := &names{hosts: map[string][]string{"me": {"127.0.0.1"}, "nobody": {}}}
	for name, c := range map[string]struct {
		join []string
		want bool
	}{
		"none":              {nil, true},
		"itself":            {[]string{tr.Addr(), "dns:me:" + at}, true},
		"nobody there":      {[]string{tr.Addr(), "127.0.0.1:1"}, false},
		"a name of nothing": {[]string{tr.Addr(), "dns:nobody:7400"}, false},
		"an unknown name":   {[]string{"srv:unknown"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, port(t, 2, ""), func(cfg *Config) {
				cfg.Resolver = res
				cfg.Join = slices.Clone(c.join)
				for i, j := range cfg.Join { // to its own port
					cfg.Join[i] = strings.ReplaceAll(j, at, portOf(cfg.Transport))
				}
			})
			p.finder.round()
			if p.Reached() != c.want {
				t.Errorf("reached is %v", p.Reached())
			}
		})
	}
}

func portOf(tr memberlist.Transport) string {
	_, p, err := tr.FinalAdvertiseAddr("", 0)
	if err != nil {
		panic(err)
	}
	return strconv.Itoa(p)
}

// A process that listens everywhere may be told to join itself by another of its addresses.
func TestReachedAloneByAnotherAddress(t *testing.T) {
	tr, err := transport.Listen(t.Context(), transport.Config{
		Listen: "0.0.0.0:0", Advertise: "127.0.0.1:0", Self: &peerpb.Member{Name: "node", Id: 1}, Handler: silent{}, Logger: discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.Start()
	t.Cleanup(func() { _ = tr.Close() })
	p := begin(t, tr, func(cfg *Config) {
		cfg.Join = []string{"127.0.0.3:" + portOf(cfg.Transport)}
	})
	p.finder.round()
	if !p.Reached() {
		t.Error("it has not found that it is alone")
	}
}

// A name is looked up until it leads to somebody, and ever after.
func TestNamesAreLookedUpAgain(t *testing.T) {
	a := spawn(t, 1)
	_, at, err := net.SplitHostPort(a.tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	res := &names{hosts: map[string][]string{}, srv: map[string][]*net.SRV{}}
	b := begin(t, port(t, 2, ""), func(cfg *Config) { cfg.Resolver, cfg.Join = res, []string{"dns:peers:" + at} })
	b.finder.round()
	if b.Reached() {
		t.Error("a name that is unknown is reached")
	}
	res.set("peers", "127.0.0.1")
	b.sees(1)
	n, err := strconv.ParseUint(at, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	res.mu.Lock()
	res.srv["_huddle._tcp.test"] = []*net.SRV{{Target: "peers.", Port: uint16(n)}}
	res.mu.Unlock()
	c := begin(t, port(t, 3, ""), func(cfg *Config) { cfg.Resolver, cfg.Join = res, []string{"srv:_huddle._tcp.test"} })
	c.sees(1, 2)
}

// cutTransport lets nothing through while it is cut.
type cutTransport struct {
	memberlist.NodeAwareTransport
	mu  sync.Mutex
	cut bool
}

func (c *cutTransport) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
}

func (c *cutTransport) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

func (c *cutTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if c.isCut() {
		return time.Now(), nil
	}
	return c.NodeAwareTransport.WriteToAddress(b, a)
}

func (c *cutTransport) WriteTo(b []byte, a string) (time.Time, error) {
	return c.WriteToAddress(b, memberlist.Address{Addr: a})
}

func (c *cutTransport) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if c.isCut() {
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	}
	return c.NodeAwareTransport.DialAddressTimeout(a, d)
}

func (c *cutTransport) DialTimeout(a string, d time.Duration) (net.Conn, error) {
	return c.DialAddressTimeout(memberlist.Address{Addr: a}, d)
}

// Two parts that have forgotten each other, and of which the one that was joined has no join address, meet again: either
// side remembers where the other was.
func TestPartsThatWereCutOffMeetAgain(t *testing.T) {
	for name, forget := range map[string]bool{"by the addresses of the lost": false, "by the join address": true} {
		t.Run(name, func(t *testing.T) {
			var a, b *process
			var cuts [2]*cutTransport
			wrap := func(i int, join ...string) func(*Config) {
				return func(cfg *Config) {
					cuts[i] = &cutTransport{NodeAwareTransport: cfg.Transport}
					cfg.Transport, cfg.Join = cuts[i], join
				}
			}
			a = begin(t, port(t, 1, ""), wrap(0))
			b = begin(t, port(t, 2, ""), wrap(1, a.tr.Addr()))
			a.sees(2)
			b.sees(1)
			cuts[0].set(true)
			cuts[1].set(true)
			a.sees()
			b.sees()
			if forget {
				for _, p := range []*process{a, b} {
					p.roll.mu.Lock()
					clear(p.roll.lost)
					p.roll.mu.Unlock()
				}
			}
			cuts[0].set(false)
			cuts[1].set(false)
			a.sees(2)
			b.sees(1)
		})
	}
}

// nowhere is a transport without an address.
type nowhere struct{ memberlist.NodeAwareTransport }

func (nowhere) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return nil, 0, errors.New("no address")
}

func TestStartErrors(t *testing.T) {
	tr := port(t, 1, "")
	good := func() Config { return Config{Transport: tr.Gossip(), Self: Peer{Member: tr.Self()}} }
	for want, change := range map[string]func(*Config){
		`profile "moon"`:                      func(cfg *Config) { cfg.Profile = "moon" },
		`join "here": no host and port`:       func(cfg *Config) { cfg.Join = []string{"here"} },
		"Config.Transport is missing":         func(cfg *Config) { cfg.Transport = nil },
		"the member has no id":                func(cfg *Config) { cfg.Self = Peer{} },
		"the name has 201 bytes; at most 200": func(cfg *Config) { cfg.Self.Member = &peerpb.Member{Name: strings.Repeat("x", 201), Id: 1} },
		"no address":                          func(cfg *Config) { cfg.Transport = nowhere{cfg.Transport} },
	} {
		cfg := good()
		change(&cfg)
		g, err := Start(cfg)
		if err == nil {
			_ = g.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
