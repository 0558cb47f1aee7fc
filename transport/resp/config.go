package resp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Values of Config.WhenUnsure.
const (
	// Wait: a read waits for certainty, at most Config.Timeout, then fails. For a store of record.
	Wait = "wait"
	// Miss: a read that is not certain is answered as absent. For a cache in front of a database.
	Miss = "miss"
)

// Limits that are not configurable.
const (
	unsureWait   = 25 * time.Millisecond  // how long a read may take to become certain with WhenUnsure "miss"
	lateTimeout  = 100 * time.Millisecond // how long a command may take behind one of its batch that has needed all of its time
	maxArgs      = 128 << 10              // arguments of one command
	maxAnnounced = 1 << 20                // a command announced with more arguments than this ends the connection
	maxBulkBytes = 512 << 20              // an argument announced larger than this ends the connection
	maxLineBytes = 64 << 10               // an inline command, or a length line
	mostAhead    = 256                    // reads or writes of a pipeline, or keys of a command, that are made at the same time
	fanOut       = 32                     // backend calls under way for one command or for one run of pipelined reads
	// What one reply may take, and what all clients together may take of memory at most; see memory.go.
	maxReplyBytes = 64 << 20
	maxBuffered   = 256 << 20
	loginTime     = 10 * time.Second // how long the password may take
	// Before a client has given the password a command of it may have so many arguments, as with Redis, and so many bytes. So it
	// always does with buffers that are not counted.
	maxArgsNoAuth    = 10
	maxCommandNoAuth = firstBuffer
	maxPassword      = 4 << 10
	maxGuesses       = 10 // wrong passwords, after which a connection is closed
)

// Config describes a front. Backend is required; all else has a default.
type Config struct {
	// Addr is where to listen: "host:port" or "unix:/path". A socket file is made with mode 0600; a stale one is replaced.
	// Default "127.0.0.1:6379".
	Addr string
	// Password, if not empty, must be given with AUTH or HELLO before other commands. It has at most 4 KiB. A client is cut off that
	// has not given it within 10 s, or has given ten wrong ones. When MaxConns is reached and one more comes, the one that owes it
	// for longest makes room.
	Password string
	// CheckPassword, if not nil, takes the place of Password: it tells whether what a client has given, at most 4 KiB, is accepted. It may
	// change its mind while the server runs, and whom it has let in stays. It is called concurrently, must not wait nor keep what it is given,
	// and should take a time that tells nothing about the password.
	CheckPassword func(password []byte) bool
	// Backend is what is served. If it is a FastBackend, local hits are answered without blocking.
	Backend Backend
	// WhenUnsure is Wait or Miss. Default Wait.
	WhenUnsure string
	// Timeout bounds each command, those of an EXEC too. When one of these has run out of time, those after it are not carried out, unless they delete;
	// when one of a pipeline has, those after it are given 100 ms each. Default 5 s.
	Timeout time.Duration
	// WriteTimeout bounds the sending of replies. A client that does not read for so long, or half as long again, is
	// disconnected. What it sends meanwhile is received, within the limits of memory below, and with each MiB of that its time
	// begins anew: most clients send all of a pipeline before they read. Default 10 s.
	WriteTimeout time.Duration
	// MaxValueBytes bounds one argument of a command, and thereby a value; a set or a hash in its stored form too. A whole command
	// is bounded by four times that and 1 MiB more, and so is what a MULTI keeps; a reply by 64 MiB, over which it is an error. Default 1 MiB.
	MaxValueBytes int
	// MaxMemory is how many bytes of entries the process keeps. What all clients together have sent and have yet to take, less 16 KiB of each,
	// is bounded by half of that and 24 MiB, at most 256 MiB. While it is over this bound, a client that sends more is cut off, and so is one that
	// does not take its replies within 200 ms. From three quarters of the bound on a reply of more than 128 KiB is an error, and so is a command
	// that a MULTI would keep. Default 1 GiB.
	MaxMemory int64
	// MaxConns bounds the number of connections. One too many gets an error and is closed, unless one that owes the password
	// can be closed in favour of it. Default 10,000.
	MaxConns int
	// MaxPipeline bounds the commands that are taken from one connection at a time (the rest waits in the socket), and
	// those of one MULTI (one more is an error). Default 10,000.
	MaxPipeline int
	// TLS, if not nil, secures the connections.
	TLS *tls.Config
	// Logger receives what happens to connections; never a key or a value; what clients bring about at will, once a
	// minute of each source address. Default: discarded.
	Logger *slog.Logger
	// Version is the version of the program, shown by INFO as huddle_version. Default "devel".
	Version string

	// For tests: when a set is split, and how rarely one is looked through when it grows.
	splitAt, pruneIn int
	// For tests: how long the password may take, and maxBuffered.
	loginTime   time.Duration
	maxBuffered int64
	noLoops     bool // a goroutine for each connection, as where there is no poller
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:6379"
	}
	if cfg.WhenUnsure == "" {
		cfg.WhenUnsure = Wait
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	if cfg.MaxValueBytes == 0 {
		cfg.MaxValueBytes = 1 << 20
	}
	if cfg.MaxMemory == 0 {
		cfg.MaxMemory = 1 << 30
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10_000
	}
	if cfg.MaxPipeline == 0 {
		cfg.MaxPipeline = 10_000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.loginTime == 0 {
		cfg.loginTime = loginTime
	}
	if cfg.maxBuffered == 0 {
		cfg.maxBuffered = bufferedFor(cfg.MaxMemory)
	}
	if cfg.Version == "" {
		cfg.Version = "devel"
	}
	if cfg.splitAt == 0 {
		cfg.splitAt = splitStored
	}
	if cfg.pruneIn == 0 {
		cfg.pruneIn = pruneChance
	}
	switch {
	case cfg.Backend == nil:
		return cfg, errors.New("resp: Config.Backend is missing")
	case cfg.WhenUnsure != Wait && cfg.WhenUnsure != Miss:
		return cfg, fmt.Errorf("resp: Config.WhenUnsure is %q, not %q or %q", cfg.WhenUnsure, Wait, Miss)
	case len(cfg.Password) > maxPassword:
		return cfg, fmt.Errorf("resp: Config.Password has more than %d bytes", maxPassword)
	case cfg.Password != "" && cfg.CheckPassword != nil:
		return cfg, errors.New("resp: Config has a Password and CheckPassword, which takes its place")
	case cfg.Timeout < 0 || cfg.WriteTimeout < 0:
		return cfg, errors.New("resp: a negative timeout")
	case cfg.MaxValueBytes < 0 || cfg.MaxValueBytes > maxBulkBytes:
		return cfg, fmt.Errorf("resp: Config.MaxValueBytes must be within 1 and %d", maxBulkBytes)
	case cfg.MaxConns < 0 || cfg.MaxPipeline < 0 || cfg.MaxMemory < 0:
		return cfg, errors.New("resp: a negative limit")
	}
	if cfg.Password != "" {
		cfg.CheckPassword = is(cfg.Password)
	}
	return cfg, nil
}

func (cfg Config) maxCommandBytes() int { return 4*cfg.MaxValueBytes + 1<<20 }
