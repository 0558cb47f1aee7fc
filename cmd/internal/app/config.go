// Package app puts a serving node together: the cache node, the Redis protocol front, the admin interface.
package app

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/gossip"
)

// Config describes a serving node.
type Config struct {
	// Node is filled in from Files.
	Node node.Config
	// Files are where the secrets are. They are read again when they change.
	Files Files
	// RESP is where the Redis protocol is spoken: "host:port" or "unix:/path". Empty: nowhere.
	RESP string
	// Revoke are prefixes of the keys whose DEL is final for the retention; "" is that of every key. Empty: DEL is final nowhere.
	Revoke []string
	// Miss answers reads that are not certain as absent; else they wait.
	Miss bool
	// Admin is where the admin interface listens, "host:port". Empty: nowhere.
	Admin string
	// LeaveTimeout bounds the hand-over at the end.
	LeaveTimeout time.Duration
	// Version is shown by status and metrics.
	Version string
	// Logger receives what happens; never a key or a value.
	Logger *slog.Logger
}

// UsageError is a mistake in how the node was asked to run. Its text says what to do.
type UsageError struct{ Text string }

// Error makes UsageError an error.
func (e *UsageError) Error() string { return e.Text }

func usagef(format string, args ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}

// Check tells what about cfg would be unsafe or cannot work, before anything is started. Its errors are *UsageError.
func (cfg Config) Check() error {
	for _, a := range []struct{ flag, addr, form string }{
		{"--listen", cfg.Node.Listen, "host:port, such as 127.0.0.1:7400"},
		{"--advertise", cfg.Node.Advertise, "host:port, such as 10.0.0.5:7400"},
		{"--admin", cfg.Admin, "host:port, such as 127.0.0.1:7480, or off"},
		{"--resp", tcpOnly(cfg.RESP), "host:port, such as 127.0.0.1:7379, unix:/path, or off"},
	} {
		if (a.addr != "" || a.flag == "--listen") && !HostPort(a.addr) {
			return usagef("%s %q is not usable: it must be %s", a.flag, a.addr, a.form)
		}
	}
	for _, f := range []struct{ flag, addr, other, taken string }{
		{"--resp", cfg.RESP, "--listen", cfg.Node.Listen},
		{"--admin", cfg.Admin, "--listen", cfg.Node.Listen},
		{"--admin", cfg.Admin, "--resp", cfg.RESP},
	} {
		if f.addr != "" && f.addr == f.taken && !strings.HasSuffix(f.addr, ":0") {
			return usagef("%s %s is the %s of this node as well: give each a port of its own", f.flag, f.addr, f.other)
		}
	}
	for _, addr := range cfg.Node.Join {
		if _, err := gossip.ParseJoin(addr); err != nil {
			return usagef("--%v", err)
		}
	}
	if host, _, _ := net.SplitHostPort(cfg.Node.Advertise); host != "" && net.ParseIP(host).IsUnspecified() {
		return usagef("--advertise %s is not usable: peers cannot dial it; give an address of this machine", cfg.Node.Advertise)
	}
	if path, ok := strings.CutPrefix(cfg.RESP, "unix:"); ok && path == "" {
		return usagef("--resp %q has no path: give unix:/path/to/socket", cfg.RESP)
	}
	if err := cfg.Files.check(); err != nil {
		return err
	}
	if !transport.Loopback(cfg.Node.Listen) && cfg.Files.Key == "" && cfg.Files.Cert == "" && !cfg.Node.Insecure {
		return usagef("--listen %s can be reached from other machines, so it needs a key: make one with \"huddle keygen FILE\", "+
			"give every node the same --key-file FILE, or --tls-cert, --tls-key and --tls-ca, or say --insecure", cfg.Node.Listen)
	}
	if cfg.Node.HashTokens && cfg.Files.Key == "" {
		return usagef("--hash-tokens needs a key to hash with: make one with \"huddle keygen FILE\", and give every node the same --key-file FILE")
	}
	if cfg.Files.Key != "" && cfg.Files.Cert != "" && !cfg.Node.HashTokens {
		return usagef("--key-file secures nothing beside --tls-cert, which takes its place: leave one of them out; with --hash-tokens the key is what tokens are hashed with")
	}
	if cfg.Files.RESPCert != "" && tcpOnly(cfg.RESP) == "" {
		return usagef("--resp-tls-cert is for a --resp of host:port")
	}
	if addr := tcpOnly(cfg.RESP); addr != "" && !transport.Loopback(addr) && cfg.Files.Passwords == "" && !cfg.Node.Insecure {
		return usagef("--resp %s can be reached from other machines, so it needs a password: give --resp-password-file FILE, "+
			"or say --insecure", addr)
	}
	if err := cfg.checkNode(); err != nil {
		return err
	}
	if cfg.Node.Expect < 0 {
		return usagef("--expect %d is not usable: it is a number of nodes", cfg.Node.Expect)
	}
	if cfg.Node.Expect > 1 && len(cfg.Node.Join) == 0 {
		return usagef("--expect %d needs --join: say where the other nodes may be found", cfg.Node.Expect)
	}
	return nil
}

// checkNode tells what package node would refuse, by the names of the flags. Zero values are defaults there.
func (cfg Config) checkNode() error {
	n := cfg.Node
	control := strings.ContainsFunc(n.Name, unicode.IsControl) || strings.ContainsFunc(n.Cluster, unicode.IsControl)
	switch {
	case n.Replicas < 1 || n.Replicas > 16:
		return usagef("--replicas %d is not usable: 1, the owner's copy alone, to 16", n.Replicas)
	case n.MaxBytes != 0 && n.MaxBytes < 1<<20:
		return usagef("--max-memory of %d bytes is too little: at least 1MB", n.MaxBytes)
	case n.RepairRate != 0 && n.RepairRate < 1<<16:
		return usagef("--repair-rate of %d bytes a second is too little: at least 64KB", n.RepairRate)
	case n.Lease != 0 && (n.Lease < 100*time.Millisecond || n.Lease > time.Minute):
		return usagef("--lease %v is not usable: 100ms to 1m", n.Lease)
	case n.ForgetAfter > 0 && n.ForgetAfter < 3*n.Lease:
		return usagef("--forget-after %v is not usable: each short silence would empty the cluster; at least three times --lease, which is %v, or 0 for never", n.ForgetAfter, 3*n.Lease)
	case n.Name != "" && strings.TrimSpace(n.Name) == "":
		return usagef("--name %q is blank", n.Name)
	case len(n.Name) > 200 || !utf8.ValidString(n.Name):
		return usagef("--name is longer than 200 bytes, or not UTF-8")
	case len(n.Cluster) > 255 || !utf8.ValidString(n.Cluster):
		return usagef("--cluster is longer than 255 bytes, or not UTF-8")
	case control:
		return usagef("--name and --cluster must have no control characters, such as line ends")
	}
	return nil
}

// HostPort tells whether addr is "host:port" with a port that there can be.
func HostPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// tcpOnly is addr, or empty if it is no TCP address.
func tcpOnly(addr string) string {
	if strings.HasPrefix(addr, "unix:") {
		return ""
	}
	return addr
}

// explainListen says what to do about an address that cannot be listened on.
func explainListen(flag, addr string, err error) error {
	if errors.Is(err, transport.ErrAdvertise) {
		_, what, _ := strings.Cut(err.Error(), transport.ErrAdvertise.Error())
		return fmt.Errorf("--advertise%s", what)
	}
	if inUse(err) {
		what := "port"
		if tcpOnly(addr) == "" {
			what = "socket"
		}
		return fmt.Errorf("%s %s: the %s is taken; is another node running? Choose another with %s", flag, addr, what, flag)
	}
	var op *net.OpError
	switch {
	case errors.Is(err, fs.ErrPermission) && tcpOnly(addr) != "":
		return fmt.Errorf("%s %s: no permission to listen on the port; choose one above 1023", flag, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %s: that is no address of this machine", flag, addr)
	case !errors.As(err, &op):
		text := strings.TrimPrefix(err.Error(), "huddle: ")
		return fmt.Errorf("%s %s: %s", flag, addr, strings.TrimPrefix(text, "resp: listen: "))
	}
	return fmt.Errorf("%s %s cannot be listened on: %w", flag, addr, op.Err)
}
