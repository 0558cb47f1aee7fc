package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A secured connection for gossip begins with what it is for and the label of the cluster, each label with its length before
// it. A stream is memberlist's from then on. A line carries packets, each with its length before it, one way only.
const (
	forStream = 'S'
	forLine   = 'P'

	maxLines    = 1024 // to so many others; packets to more are lost
	lineQueue   = 64   // packets that wait for one other; what comes then is lost
	lineIdle    = 30 * time.Second
	maxGossip   = 16 << 10 // bytes of a packet; memberlist makes them of up to 1400
	lineTimeout = 2 * time.Second
)

var errNoRoom = errors.New("too many packets wait to be sent")

// dial opens a secured connection for gossip.
func (g *gossipTransport) dial(ctx context.Context, addr string, purpose byte) (net.Conn, error) {
	conn, err := g.t.dial(ctx, addr, speaksGossip)
	if err != nil {
		return nil, err
	}
	label := g.t.cfg.Cluster
	prelude := append([]byte{purpose, byte(len(label))}, label...)
	_ = conn.SetWriteDeadline(time.Now().Add(lineTimeout))
	if _, err := conn.Write(prelude); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: %w", addr, g.t.creds.explain(err))
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return conn, nil
}

// admit takes a secured connection for gossip, within its deadline; false: it is not taken.
func (g *gossipTransport) admit(conn *secured) bool {
	head := make([]byte, 2, 2+maxLabelBytes)
	if _, err := io.ReadFull(conn, head); err != nil {
		g.t.refuse(conn.RemoteAddr().String(), "it does not say what it wants", err)
		return false
	}
	label := head[2 : 2+int(head[1])]
	if _, err := io.ReadFull(conn, label); err != nil {
		g.t.refuse(conn.RemoteAddr().String(), "it does not say what it wants", err)
		return false
	}
	if string(label) != g.t.cfg.Cluster {
		g.t.refuse(conn.RemoteAddr().String(), clustersDiffer(g.t.cfg.Cluster, string(label)), nil)
		return false
	}
	_ = conn.SetDeadline(time.Time{})
	switch head[0] {
	case forStream:
		return g.hand(conn)
	case forLine:
		return g.t.spawn(func() {
			stop := context.AfterFunc(g.stop, func() { _ = conn.NetConn().Close() })
			defer stop()
			defer conn.Close()
			g.receive(conn)
		})
	}
	g.t.refuse(conn.RemoteAddr().String(), "it wants something unknown", nil)
	return false
}

// receive delivers the packets of a line until it ends.
func (g *gossipTransport) receive(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 4<<10)
	var buf []byte
	for {
		_ = conn.SetReadDeadline(time.Now().Add(2 * lineIdle))
		packet, err := readPacket(r, buf)
		if err != nil {
			g.log.Debug("a line of gossip has ended", "remote", conn.RemoteAddr().String(), "error", err)
			return
		}
		if buf = packet; !g.deliver(packet, conn.RemoteAddr(), time.Now()) {
			return
		}
	}
}

// readPacket reads one packet, into buf if it is large enough.
func readPacket(r io.Reader, buf []byte) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n == 0 || n > maxGossip {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

// lines are the connections on which packets are sent, one to each other process, made when they are needed.
type lines struct {
	g *gossipTransport

	mu     sync.Mutex
	closed bool
	to     map[string]chan []byte
}

func newLines(g *gossipTransport) *lines { return &lines{g: g, to: make(map[string]chan []byte)} }

// send queues a packet. It does not block. That no error is returned promises nothing.
func (l *lines) send(addr string, b []byte) error {
	if len(b) == 0 || len(b) > maxGossip {
		return fmt.Errorf("a packet of %d bytes", len(b))
	}
	packet := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(b)), uint16(len(b))) //nolint:gosec // checked above
	packet = append(packet, b...)
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.to[addr]
	switch {
	case l.closed:
		return net.ErrClosed
	case queue == nil && len(l.to) >= maxLines:
		return errNoRoom
	case queue == nil:
		queue = make(chan []byte, lineQueue)
		l.to[addr] = queue
		l.g.wg.Go(func() { l.run(addr, queue) })
	}
	select {
	case queue <- packet:
		return nil
	default:
		return errNoRoom
	}
}

// run sends what is queued for one process, until there has been nothing for a while.
func (l *lines) run(addr string, queue chan []byte) {
	idle := time.NewTimer(lineIdle)
	defer idle.Stop()
	var conn net.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for {
		select {
		case <-l.g.stop.Done():
			return
		case <-idle.C:
			if l.giveUp(addr, queue) {
				return
			}
			idle.Reset(lineIdle)
		case packet := <-queue:
			idle.Reset(lineIdle)
			if conn = l.write(addr, conn, packet); conn == nil && !l.pause(queue) {
				return
			}
		}
	}
}

// write sends a packet, on a new connection if there is none or it has ended; it returns the one that stands, if any.
func (l *lines) write(addr string, conn net.Conn, packet []byte) net.Conn {
	for range 2 {
		if conn == nil {
			if conn = l.open(addr); conn == nil {
				return nil
			}
		}
		_ = conn.SetWriteDeadline(time.Now().Add(lineTimeout))
		_, err := conn.Write(packet)
		if err == nil {
			return conn
		}
		l.g.log.Debug("cannot send gossip", "to", addr, "error", err)
		_ = conn.Close()
		conn = nil
	}
	return nil
}

// open dials. The connection is closed as soon as the other side ends it, so that the next packet finds out.
func (l *lines) open(addr string) net.Conn {
	ctx, cancel := context.WithTimeout(l.g.stop, lineTimeout)
	defer cancel()
	conn, err := l.g.dial(ctx, addr, forLine)
	if err != nil {
		l.g.log.Debug("cannot send gossip", "to", addr, "error", err)
		return nil
	}
	l.g.wg.Go(func() {
		stop := context.AfterFunc(l.g.stop, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		_, _ = conn.Read(make([]byte, 1)) // nothing is sent this way
		_ = conn.Close()
	})
	return conn
}

// pause loses what is queued, for the other side is out of reach; false: the end has come.
func (l *lines) pause(queue chan []byte) bool {
	timer := time.NewTimer(firstRetry)
	defer timer.Stop()
	for {
		select {
		case <-queue:
		case <-timer.C:
			return true
		case <-l.g.stop.Done():
			return false
		}
	}
}

// giveUp forgets a line that nothing waits for.
func (l *lines) giveUp(addr string, queue chan []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(queue) > 0 {
		return false
	}
	delete(l.to, addr)
	return true
}

// close lets no more lines begin.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}
