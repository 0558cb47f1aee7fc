package command

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/huddle-cache/huddle/cmd/internal/app"
	"github.com/huddle-cache/huddle/node"
)

// Bounds of --max-value. The default is held to a quarter of --max-memory; whoever gives a value is told.
const (
	maxValue        = 16 << 20
	defaultMaxValue = 1 << 20
)

type serveCmd struct {
	Name      string   `placeholder:"NAME" help:"Name of the node, unlike any other's in its cluster; a restarted node keeps it. Default: host name and port."`
	Listen    string   `default:"127.0.0.1:7400" placeholder:"HOST:PORT" help:"The one address for peers: TCP, and UDP too in a cluster without key or certificates. Outside loopback it needs one of them. Default: ${default}."`
	Advertise string   `placeholder:"HOST:PORT" help:"Address at which peers reach this node. Default: the address listened on."`
	Join      []string `placeholder:"ADDR" help:"Where the cluster may be found: host:port, dns:NAME:PORT (every address of a name) or srv:NAME. Several, separated by commas or given again. With any address but its own a node founds a cluster only once another has been reached. Default: none, a cluster of one that others join."`
	Expect    int      `default:"0" placeholder:"N" help:"With --join, when no cluster is there, at the start or when starting over (see --forget-after): wait for this many nodes (a number) before founding one. Default: 0, a short settle time."`
	Cluster   string   `default:"huddle" placeholder:"LABEL" help:"Label of the cluster; nodes with another are refused. Default: ${default}."`

	KeyFile    string `placeholder:"FILE" help:"File with the key that secures all traffic between nodes; see keygen. Read again when it changes, or at SIGHUP. Default: none, on loopback only."`
	TLSCert    string `name:"tls-cert" placeholder:"FILE" help:"Own certificate (PEM) that secures the traffic between nodes in place of the key; for clients and servers. Read again like the key. Default: none."`
	TLSKey     string `name:"tls-key" placeholder:"FILE" help:"Private key (PEM) of --tls-cert. Default: none."`
	TLSCA      string `name:"tls-ca" placeholder:"FILE" help:"Authorities (PEM) whose certificates are accepted from other nodes, whatever their name. Default: none."`
	HashTokens bool   `help:"Peers and memory see a keyed hash of each key, and values that only who has the entry's key can read. Equal on all nodes; needs --key-file. Default: no."`
	Insecure   bool   `help:"Allow addresses outside loopback without a key or password. Default: no."`

	Resp             string `name:"resp" default:"127.0.0.1:7379" placeholder:"ADDR" help:"Where the Redis protocol is spoken: host:port, unix:/path, or off. Default: ${default}."`
	RespPasswordFile string `placeholder:"FILE" help:"File with the password asked of Redis clients, one in each line; any is accepted. Read again when it changes, or at SIGHUP. Default: none, on loopback only."`
	RespTLSCert      string `name:"resp-tls-cert" placeholder:"FILE" help:"Certificate (PEM) with which Redis clients are served over TLS. Default: none, in clear."`
	RespTLSKey       string `name:"resp-tls-key" placeholder:"FILE" help:"Private key (PEM) of --resp-tls-cert. Default: none."`
	Admin            string `default:"127.0.0.1:7480" placeholder:"ADDR" help:"Where the status page, metrics, health and the commands of this binary are served over HTTP: host:port or off. Default: ${default}."`
	AdminTokenFile   string `placeholder:"FILE" help:"File with the token asked of who reads or changes entries through --admin, one in each line; any is accepted. Read again like --resp-password-file. Default: none; outside loopback entries are then closed."`

	Replicas     int           `default:"2" placeholder:"N" help:"Copies of each entry in all, the owner's included (a number), 1 to 16; equal on all nodes. Default: ${default}."`
	MaxMemory    byteSize      `default:"256MB" placeholder:"SIZE" help:"Memory for entries on this node, in bytes with KB, MB or GB: at least 1MB. Default: ${default}."`
	RepairRate   byteSize      `default:"64MB" placeholder:"SIZE" help:"What this node pulls from others in a hand-over, in bytes a second with KB or MB, at least 64KB, so that requests keep their latency. Default: ${default}."`
	MaxValue     *byteSize     `placeholder:"SIZE" help:"Largest value, in bytes with KB or MB: at most 16MB, and a quarter of --max-memory, to which the default is held. Default: 1MB."`
	DefaultTTL   time.Duration `name:"default-ttl" default:"0" placeholder:"TIME" help:"Time to live of entries set without one, such as 24h. Default: 0, no end."`
	Delete       string        `enum:"remove,revoke" default:"remove" placeholder:"HOW" help:"What DEL means: remove, as in Redis, or revoke, after which the key cannot be set again for an hour. Default: ${default}."`
	RevokePrefix []string      `placeholder:"PREFIX" help:"With --delete=revoke: how the keys begin that are tokens; DEL of others is as in Redis, so that locks, counters and sets of sessions can be made again. Several, separated by commas or given again. Default: every key."`
	WhenUnsure   string        `enum:"wait,miss" default:"wait" placeholder:"HOW" help:"What a read does whose answer is not known just now (after a crash): wait up to 5s, for a store of record, or miss, for a cache before a database. Default: ${default}."`

	Lease        time.Duration `default:"1s" placeholder:"TIME" help:"Length of the leases under which reads are served; about how long a crash delays; 100ms to 1m. Equal on all nodes. Default: ${default}."`
	ForgetAfter  time.Duration `default:"10m" placeholder:"TIME" help:"A node that has had no majority for so long starts over, empty. 0: never. Default: ${default}."`
	Profile      string        `enum:"local,lan,wan" default:"lan" placeholder:"HOW" help:"How patient gossip is: local, lan or wan. Default: ${default}."`
	LeaveTimeout time.Duration `default:"25s" placeholder:"TIME" help:"How long the hand-over at SIGTERM or SIGINT may take. A second signal ends at once. Default: ${default}."`

	LogFormat string `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Form of the log on standard error: text or json. Default: ${default}."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"Least weight of what is logged: debug, info, warn or error. Default: ${default}."`
}

// Help is the long form of the help.
func (serveCmd) Help() string {
	return "Every flag of serve can also be given in the environment: --max-memory as HUDDLE_MAX_MEMORY. The exit code is 0 after a full hand-over, " +
		"or if there was no other node, 1 if the node failed, or ended before all was handed over, 2 if a flag is not usable."
}

// Run runs a node until a signal.
func (c *serveCmd) Run(io *streams, k *kong.Context) error {
	cfg, err := c.config(io.err)
	if err != nil {
		return err
	}
	for _, name := range strayVariables(os.Environ(), k.Model.Node) {
		cfg.Logger.Warn("this variable of the environment is that of no flag, and is not heeded; see \"huddle serve --help\"", "variable", name)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return app.Serve(cfg, signals)
}

// config reads the files and checks what can be checked before the start.
func (c *serveCmd) config(logTo io.Writer) (cfg app.Config, err error) {
	for _, d := range []struct {
		flag string
		d    time.Duration
		zero bool
	}{
		{"--lease", c.Lease, false},
		{"--forget-after", c.ForgetAfter, true},
		{"--leave-timeout", c.LeaveTimeout, true},
	} {
		if d.d < 0 || d.d == 0 && !d.zero {
			return cfg, usage("%s %s is not usable: give a positive time such as 10s", d.flag, d.d)
		}
	}
	if err := checkTTL("--default-ttl", c.DefaultTTL); err != nil {
		return cfg, err
	}
	revoke, err := c.revoke()
	if err != nil {
		return cfg, err
	}
	largest, err := c.largestValue()
	if err != nil {
		return cfg, err
	}
	cfg = app.Config{
		Node: node.Config{
			Name:          c.Name,
			Listen:        c.Listen,
			Advertise:     c.Advertise,
			Join:          clean(c.Join),
			Expect:        c.Expect,
			Insecure:      c.Insecure,
			HashTokens:    c.HashTokens,
			Cluster:       c.Cluster,
			Replicas:      c.Replicas,
			MaxBytes:      int64(c.MaxMemory),
			RepairRate:    int64(c.RepairRate),
			MaxValueBytes: int(largest),
			DefaultTTL:    c.DefaultTTL,
			Lease:         c.Lease,
			Profile:       c.Profile,
			ForgetAfter:   c.ForgetAfter,
		},
		Files: app.Files{
			Key: c.KeyFile, Cert: c.TLSCert, CertKey: c.TLSKey, CA: c.TLSCA, RESPCert: c.RespTLSCert, RESPKey: c.RespTLSKey,
			Passwords: c.RespPasswordFile, Tokens: c.AdminTokenFile,
		},
		RESP:         unlessOff(c.Resp),
		Revoke:       revoke,
		Miss:         c.WhenUnsure == "miss",
		Admin:        unlessOff(c.Admin),
		LeaveTimeout: c.LeaveTimeout,
		Version:      version(),
		Logger:       logger(logTo, c.LogFormat, c.LogLevel),
	}
	cfg.Node.Logger = cfg.Logger
	if c.ForgetAfter == 0 {
		cfg.Node.ForgetAfter = -1 // the node's zero is its default
	}
	if err := cfg.Check(); err != nil {
		return cfg, err
	}
	if c.MaxValue == nil && largest < defaultMaxValue {
		cfg.Logger.Info("the largest value is held to a quarter of --max-memory; see --max-value", "max_value", sizeText(largest))
	}
	return cfg, nil
}

// largestValue is --max-value, or its default.
func (c *serveCmd) largestValue() (byteSize, error) {
	quarter := c.MaxMemory / 4
	switch {
	case c.MaxValue == nil:
		return min(defaultMaxValue, quarter), nil
	case *c.MaxValue > min(maxValue, quarter):
		return 0, usage("--max-value %s is not usable: at most 16MB, and a quarter of --max-memory, which is %s", sizeText(*c.MaxValue), sizeText(quarter))
	}
	return *c.MaxValue, nil
}

// clean drops empty parts, which a trailing comma leaves.
func clean(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// revoke returns how the keys begin whose DEL is final.
func (c *serveCmd) revoke() ([]string, error) {
	switch prefixes := clean(c.RevokePrefix); {
	case len(prefixes) > 0 && c.Delete != "revoke":
		return nil, usage("--revoke-prefix says which keys --delete=revoke concerns: give that too")
	case c.Delete == "revoke" && len(prefixes) == 0:
		return []string{""}, nil
	default:
		return prefixes, nil
	}
}

func unlessOff(addr string) string {
	if addr == "off" || addr == "none" {
		return ""
	}
	return addr
}

func logger(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		least = slog.LevelInfo // cannot be: the flag takes the four names only
	}
	opts := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
