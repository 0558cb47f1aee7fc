package transport

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// A library does not know by what flags it was configured.
func TestListenErrorsSayWhatIsWrong(t *testing.T) {
	taken, _ := node(t, 1, nil)
	for listen, want := range map[string]string{
		taken.Addr():     "listen " + taken.Addr() + ": address already in use",
		"192.0.2.1:7400": "listen 192.0.2.1:7400: not an address of this machine",
		"7400":           "it takes host:port",
		"127.0.0.1:x":    "it takes host:port",
	} {
		cfg := testConfig(2, newRecorder(t))
		cfg.Listen = listen
		_, err := Listen(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "--") {
			t.Errorf("listen %s: %v", listen, err)
		}
		if listen == taken.Addr() && !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"Handler is missing":   func(cfg *Config) { cfg.Handler = nil },
		"no member named":      func(cfg *Config) { cfg.Self = nil },
		"the id is 0":          func(cfg *Config) { cfg.Self = &peerpb.Member{Name: "x"} },
		"the key has 31 bytes": func(cfg *Config) { cfg.Key = make([]byte, 31) },
		"label has 256 bytes":  func(cfg *Config) { cfg.Cluster = strings.Repeat("x", 256) },
		"a negative limit":     func(cfg *Config) { cfg.QueueBytes = -1 },
		"-1 replicas":          func(cfg *Config) { cfg.Replicas = -1 },
		"takes host:port":      func(cfg *Config) { cfg.Advertise = "host" },
		"nowhere.invalid: ":    func(cfg *Config) { cfg.Advertise = "nowhere.invalid:7400" },
		"peers cannot dial":    func(cfg *Config) { cfg.Advertise = "0.0.0.0:7400" },
	} {
		cfg := testConfig(1, newRecorder(t))
		change(&cfg)
		if _, err := Listen(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAdvertisedAddress(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7400}
	for advertise, want := range map[string]string{
		"":               "127.0.0.1:7400",
		"example.test:0": "example.test:7400",
		"[::1]:9":        "[::1]:9",
	} {
		host, port, err := advertised(bound, advertise)
		if err != nil || joinHostPort(host, port) != want {
			t.Errorf("%q becomes %s:%d, %v", advertise, host, port, err)
		}
	}
	addrs := func(list ...string) (out []net.Addr) {
		for _, s := range list {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return out
	}
	for want, list := range map[string][]net.Addr{
		"10.1.2.3":    addrs("127.0.0.1/8", "8.8.8.8/24", "fd00::1/64", "fe80::1/64", "10.1.2.3/8", "10.9.9.9/8"),
		"8.8.8.8":     addrs("::1/128", "2001:db8::1/64", "8.8.8.8/24"),
		"127.0.0.1":   addrs("::1/128", "fe80::1/64", "127.0.0.1/8"),
		"2001:db8::1": addrs("127.0.0.1/8", "2001:db8::1/64"),
	} {
		if ip, ok := bestAddr(list); !ok || ip.String() != want {
			t.Errorf("%v is picked, not %s", ip, want)
		}
	}
	if ip, ok := bestAddr(nil); ok {
		t.Errorf("%v is picked of nothing", ip)
	}
}

func TestListenOnAllInterfaces(t *testing.T) {
	tr, err := Listen(t.Context(), func() Config {
		cfg := testConfig(1, newRecorder(t))
		cfg.Listen = "0.0.0.0:0"
		return cfg
	}())
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	host, _, err := net.SplitHostPort(tr.Self().GetAddr())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		t.Errorf("it advertises %q, %v", tr.Self().GetAddr(), err)
	}
}
