package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const lookupTimeout = 3 * time.Second

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, host string) (addrs []string, err error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// Join is where a cluster may be found.
type Join struct {
	text       string
	host, port string // port is empty for a name of SRV records
}

func (j Join) String() string { return j.text }

// ParseJoin reads a join address: "host:port", "dns:NAME:PORT" or "srv:NAME". The error says what is wrong.
//
// A name stands for all its addresses, in either of the first two forms, and is looked up again and again.
func ParseJoin(s string) (Join, error) {
	bad := func(why string) (Join, error) {
		return Join{}, fmt.Errorf("join %q: %s; it takes host:port, dns:NAME:PORT or srv:NAME", s, why)
	}
	if name, ok := strings.CutPrefix(s, "srv:"); ok {
		if name == "" || strings.ContainsAny(name, ":/ \t\r\n") {
			return bad("no name of a service")
		}
		return Join{text: s, host: name}, nil
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s, "dns:"))
	if err != nil || host == "" || strings.ContainsAny(host, "/ \t\r\n") {
		return bad("no host and port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("no port from 1 to 65535")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		return bad("that is no address of a machine")
	}
	return Join{text: s, host: host, port: port}, nil
}

// resolve returns all addresses that j stands for just now, as "ip:port". There may be some beside an error.
func (j Join) resolve(ctx context.Context, r Resolver) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if j.port != "" {
		return lookup(ctx, r, j.host, j.port)
	}
	_, records, err := r.LookupSRV(ctx, "", "", j.host)
	if err == nil && len(records) == 0 {
		err = errors.New("no SRV records")
	}
	var out []string
	for _, record := range records {
		addrs, lookupErr := lookup(ctx, r, strings.TrimSuffix(record.Target, "."), strconv.Itoa(int(record.Port)))
		out = append(out, addrs...)
		err = errors.Join(err, lookupErr)
	}
	return out, err
}

func lookup(ctx context.Context, r Resolver, host, port string) ([]string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []string{joinHostPort(ip, port)}, nil
	}
	hosts, err := r.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			out = append(out, joinHostPort(ip, port))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	return out, nil
}

// joinHostPort writes an address one way only, so that equal ones compare equal.
func joinHostPort(ip netip.Addr, port string) string {
	return net.JoinHostPort(ip.Unmap().WithZone("").String(), port)
}
