package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// Limits of the server.
const (
	opTimeout     = 8 * time.Second // one operation on the cluster
	maxHeader     = 16 << 10
	maxConns      = 4096
	maxIdle       = 10 * time.Second // short, or a stranger with few requests a second would hold all connections
	maxStream     = 10 * time.Minute // then a stream of events ends, and its client asks again
	maxRunning    = 256              // operations on entries under way, and event streams as many again
	maxTotals     = 8                // counts of the cluster's entries under way: they need no token, and ask every node
	maxBodies     = 16 << 20         // bytes of values that are being received, and have not been set yet; at least one value
	defaultMaxVal = 1 << 20
)

// Config describes a server. Backend is required.
type Config struct {
	// Addr is where to listen, "host:port". Default "127.0.0.1:7480".
	Addr string
	// CheckToken, if not nil, tells whether a token is accepted, which must come as "Authorization: Bearer TOKEN" with every change, and with
	// every read of keys or values. It is called concurrently, and takes a time that tells nothing about the token. Without it these
	// are open to programs on this machine, and refused on a listener outside loopback.
	CheckToken func(token []byte) bool
	// Backend is the node.
	Backend Backend
	// Metrics answers /metrics. Default none: 404.
	Metrics http.Handler
	// About is shown by the status.
	About About
	// MaxValueBytes bounds a value that is set. Default 1 MiB.
	MaxValueBytes int64
	// Logger receives what goes wrong; never a key or a value. Default: discarded.
	Logger *slog.Logger
}

// About is what the status tells of a node beside its counters.
type About struct {
	Cluster  string
	RESP     string // address of the Redis protocol front; empty: none
	Version  string
	Replicas int
}

// Server answers HTTP. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	ln      net.Listener
	http    *http.Server
	started time.Time
	open    bool // the listener is on loopback
	events  *eventLog
	closing chan struct{}
	once    sync.Once
	running atomic.Int64  // operations on entries
	totals  atomic.Int64  // counts of the cluster's entries
	streams atomic.Int64  // of events
	stream  time.Duration // how long one of these lasts
	bodies  *semaphore.Weighted

	patience time.Duration // with the first MiB of a value
}

// Listen starts to listen. Serve then answers; Close ends it.
func Listen(cfg Config) (*Server, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:7480"
	}
	if cfg.Backend == nil {
		return nil, errors.New("admin: Config.Backend is missing")
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin: listen: %w", err)
	}
	tcp, ok := ln.Addr().(*net.TCPAddr)
	s := newServer(cfg, ok && tcp.IP.IsLoopback())
	s.ln = &limitedListener{Listener: ln, max: maxConns}
	return s, nil
}

// newServer makes a server without a listener; open says that it is reached from this machine only.
func newServer(cfg Config, open bool) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxValueBytes == 0 {
		cfg.MaxValueBytes = defaultMaxVal
	}
	s := &Server{
		cfg:     cfg,
		started: time.Now(),
		open:    open,
		events:  newEventLog(cfg.Backend),
		closing: make(chan struct{}),
		stream:  maxStream,
		bodies:  semaphore.NewWeighted(max(maxBodies, cfg.MaxValueBytes)),

		patience: 5 * time.Second,
	}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       maxIdle,
		WriteTimeout:      30 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn), // a panic of a handler, above all
	}
	return s
}

// Serve answers requests until Close, and then returns nil. It is called once.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Addr is the address listened on.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Close waits for the requests under way within ctx, then ends the rest.
func (s *Server) Close(ctx context.Context) error {
	s.once.Do(func() { close(s.closing) }) // ends the event streams
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	s.events.close()
	return err
}

func (s *Server) handler() http.Handler {
	return s.hostChecked(router(s.routes()))
}

func text(w http.ResponseWriter, code int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(line + "\n")) // a client that is gone needs no answer
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.cfg.Backend.InSync() {
		text(w, http.StatusOK, "in sync")
		return
	}
	if addr := s.cfg.Backend.Stats().NameHeldBy; addr != "" {
		text(w, http.StatusServiceUnavailable, "not in sync: another live process, at "+addr+", has the name "+s.cfg.Backend.Name()+"; give each node a name of its own (--name)")
		return
	}
	why := "no majority of the cluster is within reach"
	switch st := s.cfg.Backend.Stats(); {
	case st.Leaving && st.View > 0:
		why = "handing over"
		if _, none := api.Silent(s.cfg.Backend.Members(), st.Members); none {
			why = "no majority of the cluster is within reach to hand over to"
		}
		text(w, http.StatusServiceUnavailable, "leaving: "+why)
		return
	case st.Waiting != "":
		why = "in no cluster: " + st.Waiting
	case st.Acting:
		why = "catching up"
	}
	text(w, http.StatusServiceUnavailable, "not in sync: "+why)
}
