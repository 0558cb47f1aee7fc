package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// ProtocolVersion is the version of the messages that peers exchange. Nodes of different versions refuse each other.
const ProtocolVersion = 6

// MaxMessageBytes bounds one encoded message. A session is broken off by a larger one. There is room for a value of 16 MiB,
// and for as much beside it.
const MaxMessageBytes = maxFrameBytes - frameOverhead

const (
	maxFrameBytes   = 32 << 20
	frameOverhead   = 1 << 10
	batchBytes      = 256 << 10 // messages are gathered into frames of about this size
	receiveAtOnce   = 32        // messages handed over together at most, so that others come in between
	windowBytes     = 8 << 20   // HTTP/2 flow control: what may be under way unread
	socketBytes     = 128 << 10 // buffers between gRPC and the socket
	keyBytes        = 32
	maxLabelBytes   = 255 // of memberlist
	maxNameBytes    = 255
	sniffTimeout    = 5 * time.Second
	maxUnproved     = 16 << 10 // bytes that are read of a connection before its TLS handshake is done
	maxPending      = 1024
	maxAccepted     = 4096             // connections that have said what they are for
	idleTimeout     = 10 * time.Second // of an accepted connection without a session
	firstRetry      = 20 * time.Millisecond
	lastRetry       = time.Second
	steady          = time.Second // a session that stood for so long makes the next retry a quick one
	brokenAfter     = 2 * time.Second
	refusedInterval = time.Minute
)

// Errors that Down, Unreachable and Listen report; test for them with errors.Is.
var (
	// ErrClosed: the transport has been closed.
	ErrClosed = errors.New("transport closed")
	// ErrReplaced: the same peer has opened a newer session.
	ErrReplaced = errors.New("replaced by a newer session")
	// ErrDisconnected: Disconnect was called.
	ErrDisconnected = errors.New("disconnected")
	// ErrNewSelf: SetSelf was called.
	ErrNewSelf = errors.New("this node has taken a new id")
	// ErrQueueFull: more than Config.QueueBytes waited to be sent.
	ErrQueueFull = errors.New("too much waits to be sent")
	// ErrTooLarge: a message is larger than MaxMessageBytes.
	ErrTooLarge = errors.New("message too large")

	errSecured = errors.New("whether there is a key or a certificate cannot change while the node runs")
)

// Handler receives what happens. The transport holds no lock while it calls, so that a method may call the transport back
// (but for Close), and may take a lock under which others call it.
//
// The calls for one session come one after the other, Up first and Down last. Calls for different peers come at the same
// time from different goroutines. After a call that ends a session (SetSelf, Disconnect, a newer session) messages of
// the old one may still be on their way, for one more call of Receive; the session's number tells.
type Handler interface {
	// Up: a session with the peer stands. Any earlier one with the same id has been reported Down before.
	Up(peer *peerpb.Member, session uint64)
	// Receive hands over what has come together, in the order sent. The messages are the receiver's, the slice is not. What blocks here
	// holds back the sender.
	Receive(peer, session uint64, ms []*peerpb.Message)
	// Down: the session has ended. err says why and is not nil.
	Down(peer, session uint64, err error)
	// Unreachable: no session could be opened with a peer asked for by Connect; see Gone. Attempts go on. The side that waits
	// to be dialled is told when nothing listens at the peer's address, or its machine cannot be reached.
	Unreachable(peer uint64, err error)
	// Refused: somebody was turned away. peer is who it says it is if that is a member asked for by Connect, else 0. It is called
	// once per peer, source, reason and minute.
	Refused(peer uint64, remote, reason string)
}

// Config describes a Transport. Self and Handler are required.
type Config struct {
	// Listen is the address ("host:port") for gossip and RPC. Port 0 takes a free one. Default "127.0.0.1:0".
	Listen string
	// Advertise is the address ("host:port") at which peers reach this node; port 0 means the port listened on. Default: the
	// address listened on or, where that names no host, that of a network interface, a private one if there is.
	Advertise string
	// Self is this node. An empty Addr is filled in with the advertised address.
	Self *peerpb.Member
	// Cluster, Ring and Replicas must be the same on all nodes. Cluster has at most 255 bytes. Ring may be several settings with
	// a comma and a space between them: of two nodes that differ only those are named in which they do.
	Cluster  string
	Ring     string
	Replicas int
	// Secrets secure all traffic. Default: none.
	Secrets
	// Handler receives what happens.
	Handler Handler
	// DialTimeout bounds the opening of a session, from the look-up of the name to the answer to the Hello. Default 2 s.
	DialTimeout time.Duration
	// HelloTimeout bounds how long a stranger may take to say who it is. Default 5 s.
	HelloTimeout time.Duration
	// QueueBytes bounds what waits to be sent on one session. One that is over the bound is broken off. Default 64 MiB.
	QueueBytes int
	// Logger receives what happens. Default: discarded.
	Logger *slog.Logger
}

// withDefaults returns the config with every field set; it shares nothing that the caller may change.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = 2 * time.Second
	}
	if cfg.HelloTimeout == 0 {
		cfg.HelloTimeout = sniffTimeout
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = 64 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Handler == nil:
		return cfg, errors.New("transport: Config.Handler is missing")
	case len(cfg.Cluster) > maxLabelBytes:
		return cfg, fmt.Errorf("transport: the cluster label has %d bytes; at most %d are allowed", len(cfg.Cluster), maxLabelBytes)
	case cfg.Replicas < 0 || int64(cfg.Replicas) > 1<<32-1:
		return cfg, fmt.Errorf("transport: %d replicas", cfg.Replicas)
	case cfg.DialTimeout < 0 || cfg.HelloTimeout < 0 || cfg.QueueBytes < 0:
		return cfg, errors.New("transport: a negative limit")
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("transport: %w", err)
	}
	if reason := checkMember(cfg.Self); reason != "" {
		return cfg, errors.New("transport: Config.Self: " + reason)
	}
	cfg.Self = proto.CloneOf(cfg.Self)
	return cfg, nil
}
