package admin

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// limitedListener lets no more than so many connections stand. One too many is told so, if that can be done without waiting for
// it, and is closed.
type limitedListener struct {
	net.Listener
	max   int64
	count atomic.Int64
}

const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 21\r\n\r\ntoo many connections\n"

// Accept returns the next connection that is within the limit.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.count.Add(1) <= l.max {
			return &limitedConn{Conn: conn, count: &l.count}, nil
		}
		l.count.Add(-1)
		_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = conn.Write([]byte(tooMany)) // a courtesy
		_ = conn.Close()
	}
}

type limitedConn struct {
	net.Conn
	count *atomic.Int64
	once  sync.Once
}

// Close ends the connection.
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.count.Add(-1) })
	return c.Conn.Close()
}

// inFlight refuses what is over the limit of operations under way.
func (s *Server) inFlight(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.running.Add(1) > maxRunning {
			s.running.Add(-1)
			fail(w, http.StatusServiceUnavailable, api.CodeOverload, "too many operations are under way on this node")
			return
		}
		defer s.running.Add(-1)
		next(w, r)
	}
}
