// Package gossip finds the processes of a cluster and spreads what each says of itself. It wraps hashicorp/memberlist
// and decides nothing: who is a member is agreed on by the nodes (DESIGN.md).
package gossip

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/huddle-cache/huddle/transport"
	pb "github.com/huddle-cache/huddle/transport/peerpb"
	"google.golang.org/protobuf/proto"
)

// Config describes the gossip of one process.
type Config struct {
	Transport memberlist.NodeAwareTransport
	Self      *pb.Meta
	Cluster   string
	Key       []byte // as given to the transport
	Profile   string // "local", "lan" (default) or "wan": how patient failure detection is
	Join      []string
	Found     func(*pb.Meta) // a process, or news of one; from gossip's goroutines
	Gone      func(id uint64)
	Reached   func() // once, when a join address has been reached
	Logger    *slog.Logger
	// Every is how often join addresses that are not alive are tried again once one was reached. Default 10 s.
	Every time.Duration
}

// Gossip is running gossip.
type Gossip struct {
	cfg    Config
	list   *memberlist.Memberlist
	events *events
	self   string // host:port
	cancel context.CancelFunc
	wg     sync.WaitGroup
	update chan struct{}
}

// Start begins to gossip. Join addresses are tried again and again in the background.
func Start(cfg Config) (*Gossip, error) {
	var joins []join
	for _, s := range cfg.Join {
		j, err := parse(s)
		if err != nil {
			return nil, err
		}
		joins = append(joins, j)
	}
	if cfg.Every == 0 {
		cfg.Every = 10 * time.Second
	}
	var mc *memberlist.Config
	switch cfg.Profile {
	case "local":
		mc = memberlist.DefaultLocalConfig()
		mc.ProbeInterval, mc.ProbeTimeout, mc.GossipInterval = 300*time.Millisecond, 150*time.Millisecond, 50*time.Millisecond
	case "", "lan":
		mc = memberlist.DefaultLANConfig()
		mc.ProbeInterval, mc.ProbeTimeout, mc.GossipInterval = 500*time.Millisecond, 250*time.Millisecond, 100*time.Millisecond
		mc.SuspicionMult = 3
	case "wan":
		mc = memberlist.DefaultWANConfig()
	default:
		return nil, fmt.Errorf("profile %q: want local, lan or wan", cfg.Profile)
	}
	secret, err := transport.GossipKey(cfg.Key, cfg.Cluster)
	if err != nil {
		return nil, err
	}
	g := &Gossip{cfg: cfg, update: make(chan struct{}, 1)}
	g.events = &events{cfg: &g.cfg, ids: map[string]uint64{}, addrs: map[string]string{}}
	if err := g.events.set(cfg.Self); err != nil {
		return nil, err
	}
	// The name is that of this run of the process, so that a restart under the same name never collides with its past.
	mc.Name = fmt.Sprintf("%s#%016x", cfg.Self.Member.Name, cfg.Self.Member.Id)
	mc.Transport = cfg.Transport
	mc.BindAddr = "0.0.0.0" // not used with a transport of our own
	mc.SecretKey = secret
	mc.Label = cfg.Cluster
	mc.Delegate, mc.Events = g.events, g.events
	mc.LogOutput = logWriter{cfg.Logger}
	mc.DeadNodeReclaimTime = time.Second
	list, err := memberlist.Create(mc)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g.list = list
	ip, port, err := cfg.Transport.FinalAdvertiseAddr("", 0)
	if err != nil {
		_ = list.Shutdown()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g.self = net.JoinHostPort(ip.String(), strconv.Itoa(port))
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.wg.Go(func() { g.announcer(ctx) })
	if len(joins) > 0 {
		g.wg.Go(func() { g.discover(ctx, joins) })
	}
	return g, nil
}

// Announce spreads new words about this process.
func (g *Gossip) Announce(self *pb.Meta) {
	if err := g.events.set(self); err != nil {
		g.cfg.Logger.Error("gossip: cannot announce", "error", err)
		return
	}
	select {
	case g.update <- struct{}{}:
	default:
	}
}

func (g *Gossip) announcer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.update:
			_ = g.list.UpdateNode(time.Second)
		}
	}
}

// Leave tells the others that this process goes, within the time given.
func (g *Gossip) Leave(d time.Duration) { _ = g.list.Leave(d) }

// Close ends gossip without a word and joins its goroutines.
func (g *Gossip) Close() {
	g.cancel()
	_ = g.list.Shutdown()
	g.wg.Wait()
}

// discover joins the addresses given until one is reached, and from then on looks now and then whether one of them, or
// of the processes known, has been lost sight of: parts that were cut off from each other for longer than memberlist
// remembers the dead find each other so.
func (g *Gossip) discover(ctx context.Context, joins []join) {
	pause, reached := 200*time.Millisecond, false
	for ctx.Err() == nil {
		alive := g.events.alive()
		var missing []string
		only := true
		for _, j := range joins {
			addrs, err := j.resolve(ctx)
			if err != nil {
				only = false
				g.cfg.Logger.Debug("gossip: cannot resolve", "join", j.text, "error", err)
			}
			for _, a := range addrs {
				if a != g.self {
					only = false
				}
				if !alive[a] && a != g.self && !slices.Contains(missing, a) {
					missing = append(missing, a)
				}
			}
		}
		n := 0
		if len(missing) > 0 {
			n, _ = g.list.Join(missing)
		}
		if !reached && (n > 0 || only || len(alive) > 1) {
			reached = true
			g.cfg.Reached()
		}
		wait := g.cfg.Every
		if !reached {
			wait = pause
			pause = min(pause*3/2, 2*time.Second)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// join is one parsed join address.
type join struct {
	text, kind, host, port string
}

// ParseJoin says what is wrong with a join address: "host:port", "dns:NAME:PORT" (all its addresses) or "srv:NAME".
func ParseJoin(s string) error {
	_, err := parse(s)
	return err
}

func parse(s string) (join, error) {
	bad := func(why string) (join, error) {
		return join{}, fmt.Errorf("join %q: %s; want host:port, dns:NAME:PORT or srv:NAME", s, why)
	}
	if name, ok := strings.CutPrefix(s, "srv:"); ok {
		if name == "" {
			return bad("no name")
		}
		return join{text: s, kind: "srv", host: name}, nil
	}
	rest, kind := s, "host"
	if r, ok := strings.CutPrefix(s, "dns:"); ok {
		rest, kind = r, "dns"
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" {
		return bad("no host and port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return bad("no port number")
	}
	return join{text: s, kind: kind, host: host, port: port}, nil
}

func (j join) resolve(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var out []string
	add := func(host, port string) error {
		if ip := net.ParseIP(host); ip != nil {
			out = append(out, net.JoinHostPort(ip.String(), port))
			return nil
		}
		ips, err := net.DefaultResolver.LookupHost(ctx, host)
		for _, ip := range ips {
			out = append(out, net.JoinHostPort(ip, port))
		}
		return err
	}
	if j.kind != "srv" {
		err := add(j.host, j.port)
		return out, err
	}
	_, recs, err := net.DefaultResolver.LookupSRV(ctx, "", "", j.host)
	for _, r := range recs {
		if e := add(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))); e != nil {
			err = e
		}
	}
	return out, err
}

// events receives memberlist's calls.
type events struct {
	cfg  *Config
	mu   sync.Mutex
	meta []byte
	ids  map[string]uint64 // memberlist's name -> id last announced
	// addrs are the addresses of the processes alive. memberlist's own records may be read only inside its calls.
	addrs map[string]string
}

// alive returns the addresses of the processes alive, this one's included.
func (e *events) alive() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]bool, len(e.addrs))
	for _, a := range e.addrs {
		out[a] = true
	}
	return out
}

func (e *events) set(m *pb.Meta) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > memberlist.MetaMaxSize {
		return fmt.Errorf("node name and address are too long to be spread: %d bytes of %d", len(b), memberlist.MetaMaxSize)
	}
	e.mu.Lock()
	e.meta = b
	e.mu.Unlock()
	return nil
}

func (e *events) NodeMeta(int) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.meta
}

func (e *events) NotifyMsg([]byte)                {}
func (e *events) GetBroadcasts(int, int) [][]byte { return nil }
func (e *events) LocalState(bool) []byte          { return nil }
func (e *events) MergeRemoteState([]byte, bool)   {}

// ParseMeta reads what a process says of itself; nil if it is no such thing.
func ParseMeta(b []byte) *pb.Meta {
	m := &pb.Meta{}
	if proto.Unmarshal(b, m) != nil || m.Member == nil || m.Member.Id == 0 || m.Member.Name == "" || m.Member.Addr == "" {
		return nil
	}
	return m
}

func (e *events) NotifyJoin(n *memberlist.Node)   { e.news(n) }
func (e *events) NotifyUpdate(n *memberlist.Node) { e.news(n) }

func (e *events) news(n *memberlist.Node) {
	m := ParseMeta(n.Meta)
	if m == nil {
		return
	}
	e.mu.Lock()
	old := e.ids[n.Name]
	e.ids[n.Name] = m.Member.Id
	e.addrs[n.Name] = n.Address()
	e.mu.Unlock()
	if old != 0 && old != m.Member.Id {
		e.cfg.Gone(old)
	}
	e.cfg.Found(m)
}

func (e *events) NotifyLeave(n *memberlist.Node) {
	e.mu.Lock()
	old := e.ids[n.Name]
	delete(e.ids, n.Name)
	delete(e.addrs, n.Name)
	e.mu.Unlock()
	if old != 0 {
		e.cfg.Gone(old)
	}
}

// logWriter passes memberlist's lines on, quietly.
type logWriter struct{ log *slog.Logger }

var _ io.Writer = logWriter{}

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug("gossip", "line", strings.TrimSpace(string(b)))
	return len(b), nil
}
