package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	maxPacketBytes    = 64 << 10
	packetBufferBytes = 2 << 20 // of the kernel
)

// gossipTransport carries memberlist's packets and streams. Without secrets the packets go by UDP and the streams among the
// TCP connections. With secrets both go over connections secured as all others are, and there is no UDP: so a packet cannot
// be forged, read, or replayed, and one set of keys, with its rotation, is enough.
type gossipTransport struct {
	t       *Transport
	udp     *net.UDPConn // nil: there are secrets
	lines   *lines
	ip      net.IP // with port, what others are told
	port    int
	log     *slog.Logger
	packets chan *memberlist.Packet
	streams chan net.Conn

	stop context.Context
	end  context.CancelFunc
	wg   sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*gossipTransport)(nil)

func newGossipTransport(t *Transport, udp *net.UDPConn, ip net.IP, port int) *gossipTransport {
	for size := packetBufferBytes; udp != nil && size > 0; size /= 2 {
		if udp.SetReadBuffer(size) == nil {
			break
		}
	}
	g := &gossipTransport{
		t: t, udp: udp, ip: ip, port: port, log: t.log,
		packets: make(chan *memberlist.Packet),
		streams: make(chan net.Conn),
	}
	g.stop, g.end = context.WithCancel(context.Background())
	g.lines = newLines(g)
	return g
}

func (g *gossipTransport) start() {
	if g.udp != nil {
		g.wg.Go(g.read)
	}
}

// read passes packets on until Shutdown.
func (g *gossipTransport) read() {
	buf := make([]byte, maxPacketBytes)
	for {
		n, from, err := g.udp.ReadFrom(buf)
		now := time.Now()
		if g.stop.Err() != nil {
			return
		}
		if err != nil {
			g.log.Debug("cannot read a gossip packet", "error", err)
			select {
			case <-g.stop.Done():
			case <-time.After(time.Millisecond): // whatever it is, do not spin
			}
			continue
		}
		if n == 0 {
			continue
		}
		if !g.deliver(buf[:n], from, now) {
			return
		}
	}
}

// deliver gives a copy of a packet to memberlist; false: it takes none.
func (g *gossipTransport) deliver(b []byte, from net.Addr, now time.Time) bool {
	packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: from, Timestamp: now}
	select {
	case g.packets <- packet:
		return true
	case <-g.stop.Done():
		return false
	}
}

// hand gives a stream to memberlist; false: it takes none.
func (g *gossipTransport) hand(conn net.Conn) bool {
	timer := time.NewTimer(sniffTimeout)
	defer timer.Stop()
	select {
	case g.streams <- conn:
		return true
	case <-timer.C:
	case <-g.stop.Done():
	}
	return false
}

// FinalAdvertiseAddr returns the address that memberlist tells others.
func (g *gossipTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return g.ip, g.port, nil
}

// WriteTo sends a packet.
func (g *gossipTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	if g.udp == nil {
		return time.Now(), g.lines.send(addr, b)
	}
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = g.udp.WriteTo(b, to)
	return time.Now(), err
}

// WriteToAddress sends a packet.
func (g *gossipTransport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return g.WriteTo(b, addr.Addr)
}

// PacketCh delivers the packets received.
func (g *gossipTransport) PacketCh() <-chan *memberlist.Packet { return g.packets }

// DialTimeout opens a stream.
func (g *gossipTransport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.stop, timeout)
	defer cancel()
	if g.udp != nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	return g.dial(ctx, addr, forStream)
}

// DialAddressTimeout opens a stream.
func (g *gossipTransport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return g.DialTimeout(addr.Addr, timeout)
}

// StreamCh delivers the streams accepted.
func (g *gossipTransport) StreamCh() <-chan net.Conn { return g.streams }

// Shutdown ends gossip and joins its goroutine. The listener for TCP goes on.
func (g *gossipTransport) Shutdown() error {
	g.end()
	if g.udp != nil {
		_ = g.udp.Close() // the second time it is closed already
	}
	g.lines.close()
	g.wg.Wait()
	return nil
}
