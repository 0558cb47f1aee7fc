package transport

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	sniffTime   = 5 * time.Second
	sniffAtOnce = 1024 // connections that have not sent their first byte yet
)

// accept tells RPC connections from gossip by their first byte.
func (t *Transport) accept() {
	slots := make(chan struct{}, sniffAtOnce)
	for {
		conn, err := t.tcp.Accept()
		if err != nil {
			if t.ctx.Err() != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors: let some be freed
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		if tc, ok := conn.(*net.TCPConn); ok {
			if raw, err := tc.SyscallConn(); err == nil {
				_ = controlSocket("", "", raw)
			}
		}
		t.wg.Go(func() {
			defer func() { <-slots }()
			t.sniff(conn)
		})
	}
}

func (t *Transport) sniff(conn net.Conn) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-t.ctx.Done():
			conn.Close()
		case <-stop:
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(sniffTime))
	var first [1]byte
	if _, err := conn.Read(first[:]); err != nil {
		conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	c := &sniffed{Conn: conn, first: first[0], unread: true}
	switch {
	case first[0] == 0x16 && t.tls != nil: // a TLS handshake
		t.rpc.offer(c)
	case first[0] == 'P' && t.tls == nil: // the HTTP/2 preface
		t.rpc.offer(c)
	case first[0] == 0x16 || first[0] == 'P':
		t.logRefused(conn.RemoteAddr().String(), "one side has a key and the other has none")
		conn.Close()
	default:
		t.gossip.offer(c)
	}
}

// sniffed gives back the byte that was read.
type sniffed struct {
	net.Conn
	first  byte
	unread bool
}

func (c *sniffed) Read(b []byte) (int, error) {
	if c.unread && len(b) > 0 {
		c.unread = false
		b[0] = c.first
		return 1, nil
	}
	return c.Conn.Read(b)
}

// queueListener hands sniffed connections to the gRPC server.
type queueListener struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueueListener(addr net.Addr) *queueListener {
	return &queueListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *queueListener) offer(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

func (l *queueListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *queueListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *queueListener) Addr() net.Addr { return l.addr }

// gossipTransport is memberlist's transport on the shared port.
type gossipTransport struct {
	t       *Transport
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

var _ memberlist.NodeAwareTransport = (*gossipTransport)(nil)

func newGossipTransport(t *Transport) *gossipTransport {
	return &gossipTransport{t: t, packets: make(chan *memberlist.Packet, 256), streams: make(chan net.Conn), done: make(chan struct{})}
}

// Gossip is the transport for memberlist, on the same port.
func (t *Transport) Gossip() memberlist.NodeAwareTransport { return t.gossip }

func (g *gossipTransport) close() { g.once.Do(func() { close(g.done) }) }

func (g *gossipTransport) offer(c net.Conn) {
	select {
	case g.streams <- c:
	case <-g.done:
		c.Close()
	case <-time.After(sniffTime):
		c.Close()
	}
}

func (g *gossipTransport) readPackets() {
	buf := make([]byte, 65536)
	for {
		n, from, err := g.t.udp.ReadFromUDP(buf)
		if err != nil {
			if g.t.ctx.Err() != nil {
				return
			}
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case g.packets <- p:
		case <-g.done:
			return
		default: // gossip repeats itself
		}
	}
}

// FinalAdvertiseAddr is the address that peers are told.
func (g *gossipTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	host, port, err := net.SplitHostPort(g.t.Self().Addr)
	if err != nil {
		return nil, 0, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, 0, err
	}
	ip := net.ParseIP(host)
	if ip == nil {
		ips, err := net.LookupIP(host)
		if err != nil || len(ips) == 0 {
			return nil, 0, fmt.Errorf("advertise address %q has no IP: %w", host, err)
		}
		ip = ips[0]
	}
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	return ip, n, nil
}

func (g *gossipTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = g.t.udp.WriteToUDP(b, to)
	return time.Now(), err
}

func (g *gossipTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return g.WriteTo(b, a.Addr)
}

func (g *gossipTransport) PacketCh() <-chan *memberlist.Packet { return g.packets }

func (g *gossipTransport) StreamCh() <-chan net.Conn { return g.streams }

func (g *gossipTransport) DialTimeout(addr string, d time.Duration) (net.Conn, error) {
	nd := net.Dialer{Timeout: d, Control: controlSocket}
	return nd.DialContext(g.t.ctx, "tcp", addr)
}

func (g *gossipTransport) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	return g.DialTimeout(a.Addr, d)
}

func (g *gossipTransport) Shutdown() error { g.close(); return nil }
