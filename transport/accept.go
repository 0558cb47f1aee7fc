package transport

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstOfTLS  = 0x16 // a handshake record
	firstOfHTTP = 'P'  // of HTTP/2's preface, "PRI * HTTP/2.0"
)

// accept takes connections until Close. The first byte of each tells what it is for.
func (t *Transport) accept() {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		conn, err := t.ln.AcceptTCP()
		if err == nil {
			pause = shortest
			if slot := t.waiting.add(conn); slot == nil || !t.spawn(func() { t.sort(conn, slot) }) {
				_ = conn.Close()
			}
			continue
		}
		select {
		case <-t.ctx.Done():
			return
		default:
		}
		t.log.Warn("cannot accept a connection", "error", err, "pause", pause)
		select {
		case <-t.ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// sort finds out what a connection is for and hands it on.
func (t *Transport) sort(conn *net.TCPConn, slot *list.Element) {
	defer t.waiting.remove(slot)
	tune(conn)
	_ = conn.SetDeadline(time.Now().Add(sniffTimeout)) // fails only if the connection is closed
	first := make([]byte, 1)
	if _, err := conn.Read(first); err != nil {
		_ = conn.Close()
		return
	}
	whole := &peeked{Conn: newDirect(conn), first: first, count: &t.accepted}
	remote := conn.RemoteAddr().String()
	var taken bool
	switch {
	case t.accepted.Add(1) > maxAccepted:
		t.refuse(remote, "there are too many connections", nil)
	case first[0] == firstOfTLS && t.creds == nil:
		t.refuse(remote, "it has a key, this node has none", nil)
	case first[0] == firstOfTLS:
		taken = t.sortSecured(whole)
	case t.creds != nil:
		t.refuse(remote, "it has no key, this node has one", nil)
	case first[0] == firstOfHTTP:
		_ = conn.SetDeadline(time.Time{})
		taken = t.rpc.hand(whole)
	default:
		_ = conn.SetDeadline(time.Time{})
		taken = t.gossip.hand(whole)
	}
	if !taken {
		_ = whole.Close()
	}
}

// sortSecured does the handshake, and hands the connection on by what is to be spoken on it.
func (t *Transport) sortSecured(conn net.Conn) (taken bool) {
	remote := conn.RemoteAddr().String()
	s, err := t.creds.server(conn)
	if err != nil {
		reason, cause := reasonOf(err)
		t.refuse(remote, reason, cause)
		return false
	}
	if !t.keep(s) {
		return false
	}
	switch s.ConnectionState().NegotiatedProtocol {
	case speaksRPC:
		_ = s.SetDeadline(time.Time{})
		taken = t.rpc.hand(s)
	case speaksGossip:
		taken = t.gossip.admit(s)
	default:
		t.refuse(remote, "it speaks another protocol", nil)
	}
	if !taken {
		_ = s.Close()
	}
	return taken
}

// reasonOf is the part of a handshake's error that does not depend on what the stranger sent, and what is left of it, if anything.
func reasonOf(err error) (reason string, cause error) {
	var h *handshakeError
	if errors.As(err, &h) {
		return h.text, h.cause
	}
	return err.Error(), nil
}

// peeked is an accepted connection of which the first byte has been read.
type peeked struct {
	net.Conn
	first []byte
	count *atomic.Int64 // of those that stand
	once  sync.Once
}

func (p *peeked) Close() error {
	p.once.Do(func() { p.count.Add(-1) })
	return p.Conn.Close()
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// pending bounds the connections that have not said what they are for. One too many closes the one that has taken longest:
// who opens connections and says nothing gets in nobody's way.
type pending struct {
	mu     sync.Mutex
	conns  *list.List // of net.Conn, oldest first
	limit  int
	closed bool
}

func newPending(limit int) *pending { return &pending{conns: list.New(), limit: limit} }

// add returns nil if no more are taken.
func (p *pending) add(conn net.Conn) *list.Element {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if p.conns.Len() >= p.limit {
		oldest := p.conns.Front()
		p.conns.Remove(oldest)
		_ = oldest.Value.(net.Conn).Close()
	}
	return p.conns.PushBack(conn)
}

func (p *pending) remove(slot *list.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns.Remove(slot) // does nothing if add has removed it
}

// close closes all that are pending.
func (p *pending) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for e := p.conns.Front(); e != nil; e = e.Next() {
		_ = e.Value.(net.Conn).Close()
	}
}

// handedListener is the listener of the gRPC server: it accepts what it is handed.
type handedListener struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newHandedListener(addr net.Addr) *handedListener {
	return &handedListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// hand is false if the listener is closed.
func (l *handedListener) hand(conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.done:
		return false
	}
}

func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *handedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *handedListener) Addr() net.Addr { return l.addr }
