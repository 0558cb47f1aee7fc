package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// bind opens the address for TCP and, if asked to, for UDP with the same port.
func bind(ctx context.Context, addr string, both bool) (*net.TCPListener, *net.UDPConn, error) {
	tcp, err := resolve(ctx, addr)
	if err != nil {
		return nil, nil, fmt.Errorf("listen %s: %w; it takes host:port", addr, err)
	}
	const attempts = 10 // a port that is free for TCP may be taken for UDP
	for try := 1; ; try++ {
		ln, err := net.ListenTCP("tcp", tcp)
		if err != nil {
			return nil, nil, explainListen(addr, err)
		}
		if !both {
			return ln, nil, nil
		}
		port := ln.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: tcp.IP, Port: port, Zone: tcp.Zone})
		if err == nil {
			return ln, udp, nil
		}
		_ = ln.Close()
		if tcp.Port != 0 || try == attempts || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, explainListen(addr, err)
		}
	}
}

// resolve is net.ResolveTCPAddr with a context.
func resolve(ctx context.Context, addr string) (*net.TCPAddr, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil || host == "" {
		return &net.TCPAddr{Port: port}, err
	}
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	ip := preferred(found)
	return &net.TCPAddr{IP: ip.IP, Port: port, Zone: ip.Zone}, nil
}

// preferred is the first of the addresses of a host that is one of IPv4, as package net picks it, or else the first. There is at least one.
func preferred(addrs []net.IPAddr) net.IPAddr {
	if i := slices.IndexFunc(addrs, func(a net.IPAddr) bool { return a.IP.To4() != nil }); i >= 0 {
		return addrs[i]
	}
	return addrs[0]
}

// lookUp returns the address of the host that peers are told. Its errors are ErrAdvertise.
func lookUp(ctx context.Context, host string) (net.IP, error) {
	ctx, cancel := context.WithTimeout(ctx, sniffTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrAdvertise, host, err)
	}
	if v4 := found[0].IP.To4(); v4 != nil {
		return v4, nil
	}
	return found[0].IP, nil
}

// listenError is why an address cannot be had, in few words; the cause is kept for errors.As.
type listenError struct {
	text  string
	cause error
}

func (e *listenError) Error() string { return e.text }
func (e *listenError) Unwrap() error { return e.cause }

// explainListen says what is wrong with an address that cannot be had. What to do is for whoever knows how it was given.
func explainListen(addr string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("listen %s: %w", addr, err)
	}
	text := errno.Error()
	switch errno {
	case syscall.EACCES:
		text += ", as a rule for ports below 1024"
	case syscall.EADDRNOTAVAIL:
		text = "not an address of this machine"
	}
	return &listenError{text: "listen " + addr + ": " + text, cause: err}
}

// ErrAdvertise: peers could not be told an address to dial this node at.
var ErrAdvertise = errors.New("advertise")

// SplitAdvertise returns the parts of an address that peers are to be told; port 0 is the one listened on. Its errors are ErrAdvertise.
func SplitAdvertise(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%w %q: %w; it takes host:port", ErrAdvertise, addr, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%w %q: it takes host:port", ErrAdvertise, addr)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "", 0, fmt.Errorf("%w %q: peers cannot dial that; it must name this machine", ErrAdvertise, addr)
	}
	return host, int(number), nil //nolint:gosec // a port
}

// advertised returns the host and port that peers are told. Its errors are ErrAdvertise.
func advertised(bound *net.TCPAddr, advertise string) (host string, port int, err error) {
	if advertise != "" {
		host, port, err := SplitAdvertise(advertise)
		if port == 0 {
			port = bound.Port
		}
		return host, port, err
	}
	if !bound.IP.IsUnspecified() {
		host = bound.IP.String()
		if bound.Zone != "" {
			host += "%" + bound.Zone
		}
		return host, bound.Port, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w; give an address", ErrAdvertise, err)
	}
	ip, ok := bestAddr(addrs)
	if !ok {
		return "", 0, fmt.Errorf("%w: this machine has no address; give one", ErrAdvertise)
	}
	return ip.String(), bound.Port, nil
}

// bestAddr picks what peers are most likely to reach: a private address, else a public one, else loopback; IPv4 first.
func bestAddr(addrs []net.Addr) (best netip.Addr, ok bool) {
	rank := 0
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr()
		r := 0
		switch {
		case ip.IsLoopback():
			r = 1
		case ip.IsPrivate():
			r = 5
		case ip.IsGlobalUnicast():
			r = 3
		}
		if r > 0 && ip.Is4() {
			r++
		}
		if r > rank {
			best, rank = ip, r
		}
	}
	return best, rank > 0
}

func joinHostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// tune makes a connection send at once, and end soon when the other machine or the way to it is gone. That a process
// stands still is not for the transport to judge.
func tune(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetNoDelay(true)
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2})
	setUserTimeout(tcp, brokenAfter)
}
