package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// ca is an authority of one's own.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *ca {
	t.Helper()
	c := &ca{t: t}
	c.cert, c.key = c.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "shop"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, time.Hour)
	return c
}

func (c *ca) make(template *x509.Certificate, life time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(min(-time.Hour, life-time.Hour)), time.Now().Add(life)
	parent, signer := c.cert, c.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert, key
}

// secrets are those of a node with a certificate that ends so much from now.
func (c *ca) secrets(life time.Duration, usages ...x509.ExtKeyUsage) Secrets {
	cert, key := c.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "any name"}, ExtKeyUsage: usages, KeyUsage: x509.KeyUsageDigitalSignature,
	}, life)
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return Secrets{Certificate: &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, Authorities: pool}
}

func TestOwnCertificates(t *testing.T) {
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c, stranger := newCA(t), newCA(t)
	for name, x := range map[string]struct {
		secrets      Secrets
		ours, theirs string // what the dialler and the acceptor are told; empty: nothing, a session stands
	}{
		"of the same authority":   {c.secrets(time.Hour, both...), "", ""},
		"of another":              {stranger.secrets(time.Hour, both...), "is of no authority that is accepted here", "does not accept the certificate"},
		"for servers only":        {c.secrets(time.Hour, x509.ExtKeyUsageServerAuth), "hung up", "is not for this"},
		"expired":                 {c.secrets(-time.Second, both...), "hung up", "has expired"},
		"a key instead":           {Secrets{Key: testKey(1)}, "has a certificate of its own, and this side a key", "does not accept the certificate"},
		"nothing":                 {Secrets{}, "does it have a key that this node lacks", "it has no key"},
		"authorities of both":     {joint(c.secrets(time.Hour, both...), stranger), "", ""},
		"another's, but trusting": {joint(stranger.secrets(time.Hour, both...), c), "hung up", "is of no authority that is accepted here"},
	} {
		t.Run(name, func(t *testing.T) {
			b, rb := node(t, 2, func(cfg *Config) { cfg.Secrets = c.secrets(time.Hour, both...) })
			a, ra := node(t, 1, func(cfg *Config) { cfg.Secrets = x.secrets })
			a.Connect(b.Self())
			if x.ours == "" {
				ra.session(2)
				return
			}
			if err := ra.anError(); !strings.Contains(err.Error(), x.ours) {
				t.Errorf("the dialler is told: %v", err)
			}
			if text := rb.aRefusal(); !strings.Contains(text, x.theirs) {
				t.Errorf("the other is told: %s", text)
			}
		})
	}
}

// joint are s with one more authority to be trusted.
func joint(s Secrets, c *ca) Secrets {
	s.Authorities = s.Authorities.Clone()
	s.Authorities.AddCert(c.cert)
	return s
}

func TestSecretsAreValidated(t *testing.T) {
	cert := newCA(t).secrets(time.Hour)
	for want, s := range map[string]Secrets{
		"it must have 32":                  {Key: make([]byte, 33)},
		"a secondary key has 5 bytes":      {Key: testKey(1), SecondaryKeys: [][]byte{make([]byte, 5)}},
		"is the key itself":                {Key: testKey(1), SecondaryKeys: [][]byte{testKey(1)}},
		"but no key":                       {SecondaryKeys: [][]byte{testKey(1)}},
		"at most 7":                        {Key: testKey(1), SecondaryKeys: make([][]byte, 8)},
		"go together":                      {Certificate: cert.Certificate},
		"go together ":                     {Authorities: cert.Authorities},
		"or its private key is missing":    {Certificate: &tls.Certificate{Certificate: cert.Certificate.Certificate}, Authorities: cert.Authorities},
		"the certificate is empty, or its": {Certificate: &tls.Certificate{}, Authorities: cert.Authorities},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, s := range []Secrets{{}, {Key: testKey(1)}, {Key: testKey(1), SecondaryKeys: [][]byte{testKey(2)}}, cert} {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// A cluster goes from one key to another, node by node, and no session ends before the old key is given up. Then whoever has
// only the old key is out, also if it was in.
func TestRekey(t *testing.T) {
	old, young := testKey(1), testKey(2)
	a, b, ra, rb := pair(t, func(cfg *Config) { cfg.Key = old })
	c, rc := node(t, 3, func(cfg *Config) { cfg.Key = old })
	c.Connect(a.Self())
	a.Connect(c.Self())
	ab, ac := ra.session(2), ra.session(3)
	rekey := func(x *Transport, s Secrets) {
		t.Helper()
		if err := x.Rekey(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []Secrets{
		{Key: old, SecondaryKeys: [][]byte{young}},
		{Key: young, SecondaryKeys: [][]byte{old}},
	} {
		for _, x := range []*Transport{a, b} {
			rekey(x, s)
			d, rd := node(t, 4, func(cfg *Config) { cfg.Secrets = s })
			for _, other := range []*Transport{a, b} {
				other.Connect(d.Self()) // the smaller id dials
				d.Connect(other.Self())
				rd.session(other.Self().GetId())
			}
			for _, other := range []*Transport{a, b} {
				other.Disconnect(4)
			}
			_ = d.Close()
		}
	}
	ra.mu.Lock()
	if ra.up[2].number != ab || ra.up[3].number != ac {
		t.Error("a session has ended before its key was given up")
	}
	ra.mu.Unlock()
	for _, x := range []*Transport{a, b} {
		rekey(x, Secrets{Key: young})
	}
	_ = ra.end(ac)
	ra.wait("a new session between those that have the new key", func() bool { return ra.up[2].number > ab })
	rb.session(1)
	rc.wait("the one that has the old key to be refused", func() bool { return len(rc.unreachable)+len(rc.refused) > 0 })
	ra.mu.Lock()
	defer ra.mu.Unlock()
	if _, ok := ra.up[3]; ok {
		t.Error("whoever has only the old key has a session")
	}
	for _, x := range []*Transport{a, b} {
		if n := len(x.secured.list()); n > 2 {
			t.Errorf("%d connections are noted", n)
		}
	}
	if err := a.Rekey(Secrets{}); err == nil {
		t.Error("a node gives up its key")
	}
	if err := a.Rekey(Secrets{Key: make([]byte, 5)}); err == nil {
		t.Error("a key of 5 bytes is taken")
	}
}

// What was recorded of sessions and of gossip and is sent once more is refused, reported once, and delivers nothing.
func TestReplayIsRefused(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	secret := func(cfg *Config) {
		cfg.Key = testKey(1)
		cfg.Logger = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	}
	b, rb := node(t, 2, secret)
	x := newProxy(t, b.Addr())
	a, ra := node(t, 1, secret)
	at := b.Self()
	at.Addr = x.addr() // as if somebody stood in between
	a.Connect(at)
	number := ra.session(2)
	for i := range 100 {
		a.Send(2, number, message(uint64(i), 10))
	}
	rb.ids(rb.session(1), 100)
	for range 20 {
		if _, err := a.Gossip().WriteTo([]byte("a packet"), at.Addr); err != nil {
			t.Fatal(err)
		}
		<-b.Gossip().PacketCh()
	}
	stream, err := a.Gossip().DialAddressTimeout(memberlist.Address{Addr: at.Addr}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write([]byte("a stream")); err != nil {
		t.Fatal(err)
	}
	in := <-b.Gossip().StreamCh()
	if _, err := io.ReadFull(in, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Close(), stream.Close()
	x.mu.Lock()
	var recorded [][]byte
	for _, buf := range x.heard {
		recorded = append(recorded, bytes.Clone(buf.Bytes()))
	}
	x.mu.Unlock()
	if len(recorded) < 3 {
		t.Fatalf("%d connections are recorded", len(recorded))
	}
	for range 20 {
		for _, said := range recorded {
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(said) // it may be closed before all is said
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}
	if text := rb.aRefusal(); !strings.Contains(text, "handshake") && !strings.Contains(text, "hung up") {
		t.Errorf("the replay is reported as %q", text)
	}
	rb.mu.Lock()
	if n := len(rb.refused); n > 2 { // the answer to it may be seen as either
		t.Errorf("%d reports: %q", n, rb.refused)
	}
	if n := len(rb.received[rb.up[1].number]); n != 100 {
		t.Errorf("%d messages have arrived", n)
	}
	rb.mu.Unlock()
	select {
	case p := <-b.Gossip().PacketCh():
		t.Errorf("a packet of the replay has been delivered: %q", p.Buf)
	case s := <-b.Gossip().StreamCh():
		t.Errorf("a stream of the replay has been delivered: %v", s)
	default:
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "refused a connection"); n == 0 || n > 2 {
		t.Errorf("%d lines are logged: %s", n, log.String())
	}
	if a.creds == nil || b.gossip.udp != nil {
		t.Error("gossip goes by UDP in spite of the key")
	}
}

// Strangers of every kind, again and again from one source, are logged once per kind, and a session stands all the while.
func TestStrangersAreLoggedOncePerSource(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	c := newCA(t)
	b, rb := node(t, 100, func(cfg *Config) {
		cfg.Key = testKey(1)
		cfg.Logger = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	})
	a, ra := node(t, 1, func(cfg *Config) { cfg.Key = testKey(1) })
	a.Connect(b.Self())
	number, there := ra.session(100), rb.session(1)
	for i, s := range []Secrets{{}, {Key: testKey(2)}, c.secrets(time.Hour), c.secrets(-time.Second)} {
		stranger, rs := node(t, uint64(10+i), func(cfg *Config) { cfg.Secrets = s })
		_, _ = stranger.Gossip().DialAddressTimeout(memberlist.Address{Addr: b.Addr()}, time.Second)
		for range 30 {
			_, _ = stranger.Gossip().WriteTo([]byte{244, 4, 't', 'e', 's', 't', 1, 2, 3}, b.Addr())
		}
		stranger.Connect(b.Self())
		rs.wait("a few attempts", func() bool { return len(rs.unreachable) >= 4 })
	}
	other, ro := node(t, 20, func(cfg *Config) { cfg.Key, cfg.Cluster = testKey(1), "blue" })
	other.Connect(b.Self())
	ro.wait("a few attempts", func() bool { return len(ro.unreachable) >= 4 })
	for i := range 300 {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			_, _ = conn.Write([]byte{0x16, 3, 1, 0, byte(i), 1, byte(i), byte(i * 7), 3})
		case 1:
			_, _ = conn.Write(append([]byte{0x16, 3, byte(i), 0x40, byte(i)}, bytes.Repeat([]byte{byte(i)}, 500)...))
		default:
			_, _ = conn.Write([]byte{byte(i), 4, 't', 'e', 's', 't', byte(i), 2, 3})
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	for i := range 50 {
		a.Send(100, number, message(uint64(i), 10))
	}
	rb.ids(there, 50)
	mu.Lock()
	defer mu.Unlock()
	lines := strings.Count(log.String(), "refused a connection")
	if lines < 3 || lines > 7 {
		t.Errorf("%d lines are logged:\n%s", lines, log.String())
	}
	rb.mu.Lock()
	defer rb.mu.Unlock()
	if len(rb.refused) != lines || rb.up[1].number != there {
		t.Errorf("%d are reported, %d logged; session %d, was %d", len(rb.refused), lines, rb.up[1].number, there)
	}
}

// With a key, what is typed at the UDP port reaches nobody.
func TestNoUDPWithAKey(t *testing.T) {
	b, _ := node(t, 2, func(cfg *Config) { cfg.Key = testKey(1) })
	pc, err := net.ListenPacket("udp", b.Addr())
	if err != nil {
		t.Fatalf("the UDP port is in use: %v", err)
	}
	_ = pc.Close()
}
