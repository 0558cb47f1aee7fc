package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
	"github.com/huddle-cache/huddle/transport/peerpb"
)

func largest() Peer {
	return Peer{
		Member: &peerpb.Member{Name: strings.Repeat("n", maxName), Id: math.MaxUint64, Addr: strings.Repeat("a", maxAddr)},
		Chain:  math.MaxUint64, View: math.MaxUint64, Size: math.MaxInt32, Leaving: true,
	}
}

func TestMeta(t *testing.T) {
	for _, p := range []Peer{{Member: &peerpb.Member{Name: "n", Id: 1}}, largest()} {
		b, err := p.encode()
		if err != nil || len(b) > memberlist.MetaMaxSize {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		if back, err := decodePeer(b); err != nil || !equal(p, back) {
			t.Errorf("%v becomes %v, %v", p, back, err)
		}
		for n := range b {
			if _, err := decodePeer(b[:n]); err == nil {
				t.Errorf("%d bytes of %d are accepted", n, len(b))
			}
		}
		b[0]++
		if _, err := decodePeer(b); err == nil || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("a later version: %v", err)
		}
	}
}

func FuzzMeta(f *testing.F) {
	for _, p := range []Peer{{Member: &peerpb.Member{Name: "n", Id: 1, Addr: "h:1"}, View: 300}, largest()} {
		b, err := p.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePeer(b)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil {
			t.Fatalf("what was read cannot be announced: %v", err)
		}
		if back, err := decodePeer(again); err != nil || !equal(p, back) {
			t.Errorf("%v becomes %v, %v", p, back, err)
		}
	})
}

func TestParseJoin(t *testing.T) {
	for _, s := range []string{"host:1", "127.0.0.1:7400", "[::1]:7400", "dns:peers.ns.svc:7400", "srv:_huddle._tcp.example.test"} {
		if j, err := ParseJoin(s); err != nil || j.String() != s {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{
		"", "host", ":7400", "host:0", "host:65536", "host:http", "dns:", "dns:name", "dns::1", "srv:", "srv:name:7400", "::1:7400",
		"0.0.0.0:7400", "[::]:7400", "a b:1", "http://host:1", "name/host:1",
	} {
		if _, err := ParseJoin(s); err == nil || !strings.Contains(err.Error(), "it takes host:port, dns:NAME:PORT or srv:NAME") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzParseJoin(f *testing.F) {
	f.Add("host:1")
	f.Add("dns:[::1%eth0]:7400")
	f.Add("srv:x")
	res := &names{hosts: map[string][]string{"host": {"10.0.0.1", "nonsense"}}, srv: map[string][]*net.SRV{"x": {{Target: "host.", Port: 9}}}}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := ParseJoin(s)
		if err != nil {
			return
		}
		addrs, err := j.resolve(t.Context(), res)
		if err == nil && len(addrs) == 0 {
			t.Error("neither an address nor an error")
		}
		for _, a := range addrs {
			if host, _, err := net.SplitHostPort(a); err != nil || net.ParseIP(host) == nil {
				t.Errorf("%q resolves to %q", s, a)
			}
		}
	})
}

func TestResolve(t *testing.T) {
	res := &names{
		hosts: map[string][]string{"peers": {"10.0.0.1", "10.0.0.2", "fd00::1"}, "one": {"::ffff:10.0.0.9"}},
		srv:   map[string][]*net.SRV{"s": {{Target: "one.", Port: 7}, {Target: "lost.", Port: 8}}, "none": {}},
	}
	for s, want := range map[string][]string{
		"dns:peers:7400": {"10.0.0.1:7400", "10.0.0.2:7400", "[fd00::1]:7400"},
		"peers:1":        {"10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1"},
		"10.0.0.3:5":     {"10.0.0.3:5"},
		"srv:s":          {"10.0.0.9:7"},
		"srv:none":       nil,
	} {
		j, err := ParseJoin(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := j.resolve(context.Background(), res)
		if !slices.Equal(got, want) || (err != nil) != strings.HasPrefix(s, "srv:") {
			t.Errorf("%s resolves to %v, %v", s, got, err)
		}
	}
	var notFound *net.DNSError
	j, _ := ParseJoin("srv:s")
	if _, err := j.resolve(context.Background(), res); !errors.As(err, &notFound) {
		t.Errorf("the name that is lost: %v", err)
	}
}

func TestLostAddressesAreBounded(t *testing.T) {
	r, err := newRoll("self", Peer{Member: &peerpb.Member{Name: "self", Id: 1}})
	if err != nil {
		t.Fatal(err)
	}
	node := func(i int, leaving bool) *memberlist.Node {
		b, err := Peer{Member: &peerpb.Member{Name: "n", Id: uint64(i) + 2}, Leaving: leaving}.encode()
		if err != nil {
			t.Fatal(err)
		}
		return &memberlist.Node{Name: string(rune('A' + i)), Addr: net.IPv4(10, 0, 0, byte(i)), Port: 1, Meta: b}
	}
	for i := range 2 * maxLost {
		r.NotifyJoin(node(i, false))
		r.NotifyLeave(node(i, false))
	}
	r.NotifyJoin(node(200, true))
	r.NotifyLeave(node(200, true))
	_, lost := r.addresses(time.Now())
	if len(lost) != maxLost || slices.Contains(lost, "10.0.0.0:1") || slices.Contains(lost, "10.0.0.200:1") {
		t.Errorf("%d are remembered: %v", len(lost), lost)
	}
	if _, lost := r.addresses(time.Now().Add(2 * rememberIt)); len(lost) != 0 {
		t.Errorf("%d are remembered for ever", len(lost))
	}
	if found, gone := r.differences(); len(found)+len(gone) != 0 {
		t.Errorf("who came and went unseen is reported: %v, %v", found, gone)
	}
}

// That this process was taken for lost is no warning, and said in words of our own.
func TestLogOfADoubt(t *testing.T) {
	var out bytes.Buffer
	w := newLogWriter(slog.New(slog.NewTextHandler(&out, nil)), time.Now)
	for _, line := range []string{
		"[WARN] memberlist: Refuting a dead message (from: shop-1#2f)\n",
		"[WARN] memberlist: Refuting a dead message (from: shop-1#2f)\n",
		"[WARN] memberlist: Refuting a suspect message (from: shop-2)\n",
	} {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	s := out.String()
	if strings.Count(s, "level=INFO") != 2 || strings.Contains(s, "WARN") || strings.Contains(s, "Refuting") || !strings.Contains(s, "by=shop-1\n") || !strings.Contains(s, "by=shop-2\n") {
		t.Errorf("logged: %s", s)
	}
}

func TestLogIsQuiet(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	w := newLogWriter(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	write := func(s string) {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	write("[DEBUG] memberlist: hidden\n")
	write("[INFO] memberlist: hidden\n")
	write("no mark, hidden\n")
	write("[WARN] memberlist: Binding to public address without encryption!\n") // hidden, for it may be wrong
	for i := range 100 {
		write(fmt.Sprintf("[ERR] memberlist: discarding packet with unacceptable label %q: from=10.0.0.1:%d\n", fmt.Sprint("x", i), 1000+i))
	}
	write("[ERR] memberlist: discarding packet with unacceptable label \"x\": from=10.0.0.2:1\n")
	write("[ERR] memberlist: Failed to decode ping request: EOF from=10.0.0.2:1\n")
	if s := out.String(); strings.Count(s, "\n") != 3 || strings.Count(s, "10.0.0.1") != 1 || strings.Contains(s, "hidden") {
		t.Errorf("logged: %s", s)
	}
	now = now.Add(warnWindow)
	write("[WARN] memberlist: discarding packet with unacceptable label \"x\": from=10.0.0.2:1\n")
	if s := out.String(); strings.Count(s, "10.0.0.2") != 3 {
		t.Errorf("warnings stay away for ever: %s", s)
	}
	for i := range 2 * seldom.Most {
		write(fmt.Sprintf("[ERR] memberlist: msg type (9) not supported from=[fd00::%x]:1\n", i))
	}
	if n := strings.Count(out.String(), "fd00"); n > seldom.Most {
		t.Errorf("%d sources are logged", n)
	}
	if n := strings.Count(out.String(), "about more sources"); n != 1 {
		t.Errorf("it is said %d times that there are more", n)
	}
}
