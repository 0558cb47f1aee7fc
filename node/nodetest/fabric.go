package nodetest

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/huddle-cache/huddle/node/internal/wire"
)

// dialTimeout bounds a connection to a port of this machine.
const dialTimeout = 2 * time.Second

// fabric is the network of a cluster. Streams from one node to another pass through a relay of that pair, packets through
// the sender's wire, so that each pair can be cut off from each other while both live.
type fabric struct {
	mu     sync.RWMutex
	place  map[string]int // address -> which node
	cut    map[[2]int]bool
	relays map[route]*relay
	closed bool
	wg     sync.WaitGroup
}

// route is a way from a node to an address.
type route struct {
	from int
	to   string
}

func newFabric() *fabric {
	return &fabric{place: map[string]int{}, cut: map[[2]int]bool{}, relays: map[route]*relay{}}
}

// wire is the network as node i sees it.
func (f *fabric) wire(i int) *wire.Wire {
	return &wire.Wire{
		Route: func(addr string) string { return f.route(route{i, addr}) },
		Gossip: func(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
			return &packets{NodeAwareTransport: t, f: f, from: i}
		},
	}
}

// put says that node i is at addr.
func (f *fabric) put(i int, addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.place[addr] = i
}

// gone refuses further connections to addr, as a port does whose process has ended.
func (f *fabric) gone(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for way, r := range f.relays {
		if way.to == addr {
			f.endLocked(way, r)
		}
	}
}

// set cuts the nodes a and b off from each other, or joins them again. Connections that stood while they were cut end.
func (f *fabric) set(a, b int, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a == b || f.cut[pair(a, b)] == cut {
		return
	}
	f.cut[pair(a, b)] = cut
	if cut {
		return
	}
	for way, r := range f.relays {
		if to, ok := f.place[way.to]; ok && pair(way.from, to) == pair(a, b) {
			r.closeConns()
		}
	}
}

// heal joins all that is cut.
func (f *fabric) heal() {
	f.mu.RLock()
	var pairs [][2]int
	for p, cut := range f.cut {
		if cut {
			pairs = append(pairs, p)
		}
	}
	f.mu.RUnlock()
	for _, p := range pairs {
		f.set(p[0], p[1], false)
	}
}

func pair(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// severed tells whether what node from sends to an address is lost.
func (f *fabric) severed(way route) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	to, ok := f.place[way.to]
	return ok && f.cut[pair(way.from, to)]
}

// joined tells whether two nodes reach each other.
func (f *fabric) joined(a, b int) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return !f.cut[pair(a, b)]
}

// route returns the address of the relay of a way, which it makes if there is none.
func (f *fabric) route(way route) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.relays[way]; r != nil {
		return r.ln.Addr().String()
	}
	if f.closed {
		return way.to
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return way.to // out of ports: this way cannot be cut
	}
	r := &relay{f: f, way: way, ln: ln, conns: map[net.Conn]struct{}{}}
	f.relays[way] = r
	f.wg.Go(r.accept)
	return ln.Addr().String()
}

func (f *fabric) endLocked(way route, r *relay) {
	if f.relays[way] == r {
		delete(f.relays, way)
	}
	r.end()
}

// close ends everything and waits for it.
func (f *fabric) close() {
	f.mu.Lock()
	f.closed = true
	for way, r := range f.relays {
		f.endLocked(way, r)
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// packets is the transport of one node's gossip.
type packets struct {
	memberlist.NodeAwareTransport
	f    *fabric
	from int
}

// WriteTo sends a packet, or loses it.
func (p *packets) WriteTo(b []byte, addr string) (time.Time, error) {
	if p.f.severed(route{p.from, addr}) {
		return time.Now(), nil
	}
	return p.NodeAwareTransport.WriteTo(b, addr)
}

// WriteToAddress sends a packet, or loses it.
func (p *packets) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, addr.Addr)
}

// DialTimeout opens a stream through the relay.
func (p *packets) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return p.NodeAwareTransport.DialTimeout(p.f.route(route{p.from, addr}), timeout)
}

// DialAddressTimeout opens a stream through the relay.
func (p *packets) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return p.DialTimeout(addr.Addr, timeout)
}

// relay passes the connections of one way on. While the way is cut it accepts, stays silent and loses what comes.
type relay struct {
	f   *fabric
	way route
	ln  net.Listener

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

func (r *relay) accept() {
	for {
		in, err := r.ln.Accept()
		if err != nil {
			return
		}
		if !r.keep(in) {
			return
		}
		r.f.wg.Go(func() { r.pass(in) })
	}
}

// keep notes a connection, and is false if the relay has ended meanwhile.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = c.Close()
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *relay) drop(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	_ = c.Close()
}

func (r *relay) closeConns() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
	clear(r.conns)
}

// end refuses connections from now on.
func (r *relay) end() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	_ = r.ln.Close()
	r.closeConns()
}

// pass joins a connection with one to the node.
func (r *relay) pass(in net.Conn) {
	defer r.drop(in)
	if r.f.severed(r.way) {
		r.sink(in)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	out, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.way.to)
	cancel()
	if err != nil { // nothing listens there: neither does this relay any more
		r.f.mu.Lock()
		r.f.endLocked(r.way, r)
		r.f.mu.Unlock()
		return
	}
	if !r.keep(out) {
		return
	}
	defer r.drop(out)
	var wg sync.WaitGroup
	wg.Go(func() { r.copy(out, in) })
	r.copy(in, out)
	wg.Wait()
}

// copy passes bytes on until one side ends, then ends both.
func (r *relay) copy(to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if r.f.severed(r.way) {
			r.sink(from) // even an end is not told
			return
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// sink loses what comes, in silence, until the connection is closed: when the way is joined again, or at the end.
func (r *relay) sink(c net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
