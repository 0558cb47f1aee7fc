package resp

import (
	"container/list"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
)

// Server is a listening front. Its methods are safe for concurrent use.
type Server struct {
	cfg      Config
	log      *slog.Logger
	ln       net.Listener
	fast     FastBackend     // nil: the backend has no fast path
	prefetch PrefetchBackend // nil: the backend takes no hints
	fill     FillBackend     // nil: the backend gives no tickets
	unset    UnsetBackend    // nil: Remove is never final
	many     ManyBackend     // nil: the backend writes one key at a time
	later    LaterBackend    // nil: each operation that takes time needs a goroutine
	commands map[string]*command
	scripts  *scripts
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	started  time.Time
	lastID   atomic.Int64
	served   atomic.Uint64 // connections accepted
	changing keyLocks
	reports  *seldom.Reports
	discards chan struct{} // one for each removal of parts of a set under way
	buffered atomic.Int64  // bytes of the clients' buffers, but for small ones; see memory.go
	readSize atomic.Int64  // bytes of the values that clients have read ahead, on average of late

	serving   sync.WaitGroup // Serve, the loops, and each connection
	closeOnce sync.Once
	closeErr  error
	draining  atomic.Bool  // Drain has been called
	unlisten  func() error // stops listening, once

	mu      sync.Mutex
	closed  bool
	clients map[*client]struct{}
	past    uint64     // commands of clients that have gone
	rate    rate       // of commands, as of the last that asked
	leaving int        // of clients, those that are being closed in favour of others
	owing   *list.List // of *client: those that owe the password, oldest first; one that is being closed is not in it
	loops   []*loop
}

// Listen starts to listen. Serve then answers; Close ends it.
func Listen(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ln, err := listen(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("resp: listen: %w", err)
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		ln:       ln,
		commands: commandTable(),
		scripts:  newScripts(),
		started:  time.Now(),
		rate:     rate{at: time.Now()},
		clients:  make(map[*client]struct{}),
		owing:    list.New(),
		reports:  seldom.New(reportInterval),
		discards: make(chan struct{}, 16),
	}
	s.readSize.Store(firstReadSize)
	s.fast, _ = cfg.Backend.(FastBackend)
	s.prefetch, _ = cfg.Backend.(PrefetchBackend)
	s.fill, _ = cfg.Backend.(FillBackend)
	s.unset, _ = cfg.Backend.(UnsetBackend)
	s.many, _ = cfg.Backend.(ManyBackend)
	s.later, _ = cfg.Backend.(LaterBackend)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.unlisten = sync.OnceValue(ln.Close)
	return s, nil
}

// Serve answers connections until Close or Drain, and then returns nil. It is called once.
func (s *Server) Serve() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.serving.Add(1)
	if !s.cfg.noLoops {
		s.startLoops(max(1, runtime.GOMAXPROCS(0)/2))
	}
	s.mu.Unlock()
	defer s.serving.Done()
	s.serving.Go(s.sweep)
	s.accept()
	return nil
}

// Addr is the address listened on: "host:port" with the port that was bound, or "unix:/path".
func (s *Server) Addr() string {
	if a, ok := s.ln.Addr().(*net.UnixAddr); ok {
		return "unix:" + a.Name
	}
	return s.ln.Addr().String()
}

// Close stops listening and ends all connections and the commands under way on them. When it returns, Serve and all goroutines
// of the server have ended.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.cancel()
		s.mu.Lock()
		s.closed = true
		for c := range s.clients {
			c.hangUp()
		}
		s.mu.Unlock()
		s.closeErr = s.unlisten()
		for _, l := range s.loops { // none is started any more
			l.poll.close()
		}
	})
	s.serving.Wait()
	return s.closeErr
}

// ended is called by who serves a client, when it is cut off or has gone.
func (s *Server) ended(c *client) {
	_ = c.Conn.Close()
	if c.polled != nil {
		c.polled.loop.forget(c)
	}
	s.mu.Lock()
	delete(s.clients, c)
	s.past += c.commands.Load()
	s.owes(c, false)
	if c.leaves {
		s.leaving--
	}
	s.mu.Unlock()
	s.buffered.Add(-int64(c.held))
	c.forgetAhead()
	s.log.Debug("client gone", "client", c.id)
	s.serving.Done()
}

// admit registers a connection, unless the server is closed or full. If it is full, the client that owes the password for longest
// is closed, so that who opens connections and does not log in gets in nobody's way.
func (s *Server) admit(c *client) (full, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false, true
	case len(s.clients)-s.leaving >= s.cfg.MaxConns:
		oldest := s.owing.Front()
		if oldest == nil || s.leaving >= s.cfg.MaxConns {
			return true, false
		}
		last := oldest.Value.(*client)
		s.owes(last, false)
		last.leaves = true
		s.leaving++
		last.hangUp()
	}
	s.clients[c] = struct{}{}
	s.owes(c, !c.authed)
	s.serving.Add(1)
	return false, false
}

// owes notes whether a client owes the password. mu is held.
func (s *Server) owes(c *client, owes bool) {
	switch {
	case owes && c.owing == nil && !c.leaves:
		c.owing = s.owing.PushBack(c)
	case !owes && c.owing != nil:
		s.owing.Remove(c.owing)
		c.owing = nil
	}
}

// setAuthed notes whether the client has given the password.
func (c *client) setAuthed(authed bool) {
	if c.authed = authed; c.srv.cfg.CheckPassword == nil {
		return
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if _, ok := c.srv.clients[c]; ok {
		c.srv.owes(c, !authed)
	}
}

// hangUp ends the connection from outside: who serves the client finds it closed.
func (c *client) hangUp() {
	if c.polled != nil {
		c.polled.hangUp(c)
		return
	}
	conn := c.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn() // or else Close would wait for the client to take a farewell
	}
	_ = conn.Close() // there is nobody to tell about a failure
}
