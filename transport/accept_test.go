package transport

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/transport/peerpb"
)

// Who says nothing, or stops in the middle of a handshake, is cut off in time, however few there are.
func TestSilentConnectionsAreEnded(t *testing.T) {
	t.Parallel()
	open := map[string]net.Conn{}
	for what, c := range map[string]struct {
		key  []byte
		says string
	}{
		"silent": {nil, ""}, "silent, with a key": {testKey(1), ""}, "begins a handshake": {testKey(1), string(rune(firstOfTLS))},
	} {
		a, _ := node(t, 1, func(cfg *Config) { cfg.Key = c.key })
		conn, err := net.Dial("tcp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, c.says); err != nil {
			t.Fatal(err)
		}
		open[what] = conn
	}
	for what, conn := range open {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: not cut off within %v", what, patience)
		}
	}
}

// Of more connections that say nothing than may be, the one that has taken longest goes, one for each that comes; one that has said what it is for is none of them.
func TestPendingConnectionsAreLimited(t *testing.T) {
	p := newPending(2)
	var theirs []net.Conn
	add := func() *list.Element {
		ours, peer := net.Pipe()
		t.Cleanup(func() { _ = peer.Close() })
		theirs = append(theirs, peer)
		return p.add(ours)
	}
	closed := func() (which []int) {
		for i, c := range theirs {
			_ = c.SetReadDeadline(time.Now().Add(-time.Second)) // a closed end is told first
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				which = append(which, i)
			}
		}
		return which
	}
	p.remove(add())
	for range 4 {
		add()
	}
	if p.conns.Len() != 2 || !slices.Equal(closed(), []int{1, 2}) {
		t.Errorf("%d are pending, %v are closed", p.conns.Len(), closed())
	}
	if p.close(); len(closed()) != 4 || add() != nil {
		t.Errorf("%v are closed with all", closed())
	}

	_, b, _, rb := pair(t, nil)
	rb.session(1)
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		b.waiting.mu.Lock()
		left := b.waiting.conns.Len()
		b.waiting.mu.Unlock()
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are pending, and all have said what they are for", left)
		}
	}
}

// Two nodes that do not fit together both learn why.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		ours, theirs   func(*Config) // of the acceptor, of the dialler
		dialler, other string        // what each is told
	}{
		"ring": {
			theirs:  func(cfg *Config) { cfg.Ring = "partitions 7" },
			dialler: `refused: settings differ: this node has "partitions 7", the other "partitions 1021"`,
			other:   `settings differ: this node has "partitions 1021", the other "partitions 7"`,
		},
		"cluster": {
			theirs:  func(cfg *Config) { cfg.Cluster = "blue" },
			dialler: `refused: clusters differ: this node has "blue", the other "test"`,
			other:   `clusters differ: this node has "test", the other "blue"`,
		},
		"replicas": {
			theirs:  func(cfg *Config) { cfg.Replicas = 3 },
			dialler: "refused: replicas differ: this node has 3, the other 2",
			other:   "replicas differ: this node has 2, the other 3",
		},
		"another key": {
			ours:    func(cfg *Config) { cfg.Key = testKey(1) },
			theirs:  func(cfg *Config) { cfg.Key = testKey(2) },
			dialler: "the other side has another key",
			other:   "the other side does not accept the key",
		},
		"same key, another cluster": {
			ours:    func(cfg *Config) { cfg.Key = testKey(1) },
			theirs:  func(cfg *Config) { cfg.Key, cfg.Cluster = testKey(1), "blue" },
			dialler: "or another cluster label",
			other:   "or the cluster label",
		},
		"no key": {
			ours:    func(cfg *Config) { cfg.Key = testKey(1) },
			dialler: "does it have a key that this node lacks?",
			other:   "it has no key, this node has one",
		},
		"a key too many": {
			theirs:  func(cfg *Config) { cfg.Key = testKey(2) },
			dialler: "has it no key?",
			other:   "it has a key, this node has none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, rb := node(t, 2, c.ours)
			a, ra := node(t, 1, c.theirs)
			a.Connect(b.Self())
			if err := ra.anError(); !strings.Contains(err.Error(), c.dialler) || Gone(err) {
				t.Errorf("the dialler is told: %v", err)
			}
			if text := rb.aRefusal(); !strings.Contains(text, c.other) {
				t.Errorf("the other is told: %s", text)
			}
			ra.wait("more attempts", func() bool { return len(ra.unreachable) > 3 })
			rb.mu.Lock()
			defer rb.mu.Unlock()
			if len(rb.refused) != 1 {
				t.Errorf("refusals are reported too often: %q", rb.refused)
			}
		})
	}
}

// Two peers on one machine that differ in the same setting are both reported, by their ids; who was not asked for has none.
func TestRefusedPeersAreToldApart(t *testing.T) {
	b, rb := node(t, 9, nil)
	for _, c := range []struct{ id, want uint64 }{{3, 0}, {1, 1}, {2, 2}} {
		a, _ := node(t, c.id, func(cfg *Config) { cfg.Replicas = 2 + int(c.id) })
		if c.want != 0 {
			b.Connect(a.Self())
		}
		a.Connect(b.Self())
		rb.wait("a refusal of this peer", func() bool { return slices.Contains(rb.refusedPeers, c.want) })
	}
}

func TestCheckHello(t *testing.T) {
	ours := &peerpb.Hello{
		Protocol: ProtocolVersion, Ring: "r, lease 1s", Cluster: "c", Replicas: 2, From: &peerpb.Member{Name: "b", Id: 2, Addr: "h:1"},
	}
	good := &peerpb.Hello{
		Protocol: ProtocolVersion, Ring: "r, lease 1s", Cluster: "c", Replicas: 2, From: &peerpb.Member{Name: "a", Id: 1, Addr: "h:2"}, To: 2,
	}
	if reason := checkHello(ours, good, false); reason != "" {
		t.Errorf("a good Hello is refused: %s", reason)
	}
	for want, change := range map[string]func(*peerpb.Hello){
		fmt.Sprint("protocol versions differ: this node has ", ProtocolVersion, ", the other 1"): func(h *peerpb.Hello) { h.Protocol = 1 },
		`clusters differ: this node has "c", the other ""`:                                       func(h *peerpb.Hello) { h.Cluster = "" },
		`settings differ: this node has "r, lease 1s", the other "x"`:                            func(h *peerpb.Hello) { h.Ring = "x" },
		`settings differ: this node has "lease 1s", the other "lease 2s"`:                        func(h *peerpb.Hello) { h.Ring = "r, lease 2s" },
		`settings differ: this node has nothing of the kind, the other "hashed"`:                 func(h *peerpb.Hello) { h.Ring = "r, hashed, lease 1s" },
		`settings differ: this node has "lease 1s", the other nothing of the kind`:               func(h *peerpb.Hello) { h.Ring = "r" },
		`settings differ: this node has "r, lease 1s", the other "lease 1s, r"`:                  func(h *peerpb.Hello) { h.Ring = "lease 1s, r" },
		"replicas differ: this node has 2, the other 1":                                          func(h *peerpb.Hello) { h.Replicas = 1 },
		"no member named":   func(h *peerpb.Hello) { h.From = nil },
		"the id is 0":       func(h *peerpb.Hello) { h.From.Id = 0 },
		"the name is empty": func(h *peerpb.Hello) { h.From.Name = "" },
		"the name has 256 bytes; at most 255 are allowed":                     func(h *peerpb.Hello) { h.From.Name = strings.Repeat("n", 256) },
		"the address has 256 bytes; at most 255 are allowed":                  func(h *peerpb.Hello) { h.From.Addr = strings.Repeat("n", 256) },
		"both ends have the same id":                                          func(h *peerpb.Hello) { h.From.Id = 2 },
		"another incarnation: this is 0000000000000002, not 0000000000000003": func(h *peerpb.Hello) { h.To = 3 },
	} {
		h := proto.CloneOf(good)
		change(h)
		if reason := checkHello(ours, h, false); reason != want {
			t.Errorf("the reason is %q, not %q", reason, want)
		}
	}
	if checkHello(ours, nil, false) == "" {
		t.Error("no Hello is accepted")
	}
}

// What strangers send does no harm to those who talk.
func TestGarbageAndHalfOpenConnections(t *testing.T) {
	forEachSecurity(t, func(t *testing.T, change func(*Config)) {
		b, rb := node(t, 2, change)
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				_ = c.Close()
			}
		}()
		dial := func(say []byte) {
			c, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
			_, _ = c.Write(say) // it may have been closed at the first byte
		}
		for range 200 {
			dial(nil)
		}
		for first := range 256 {
			dial(append([]byte{byte(first)}, bytes.Repeat([]byte("garbage"), 100)...))
		}
		for range 20 {
			dial([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnothing of the kind"))
			dial([]byte{0x16, 3, 1})
		}
		began := time.Now()
		a, ra := node(t, 1, change)
		a.Connect(b.Self())
		ra.session(2)
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("the session took %v", d)
		}
		rb.session(1)
	})
}

func TestPendingConnectionsAreBounded(t *testing.T) {
	p := newPending(2)
	conn := func() (ours, theirs net.Conn) {
		ours, theirs = net.Pipe()
		t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
		return ours, theirs
	}
	first, other := conn()
	second, _ := conn()
	third, otherThird := conn()
	slot := p.add(first)
	p.add(second)
	p.add(third)
	if _, err := other.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the oldest is not closed: %v", err)
	}
	p.remove(slot) // is gone already
	if n := p.conns.Len(); n != 2 {
		t.Errorf("%d are pending", n)
	}
	p.close()
	if _, err := otherThird.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one is open after close: %v", err)
	}
	if p.add(first) != nil {
		t.Error("one is taken after close")
	}
}

// A stranger that opens a stream and says nothing is turned away in the end.
func TestSilentStream(t *testing.T) {
	b, _ := node(t, 2, func(cfg *Config) { cfg.HelloTimeout = 50 * time.Millisecond })
	stream := rawStream(t, b.Addr())
	if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "no Hello in time") {
		t.Errorf("the stream ended with %v", err)
	}
}

// What breaks the rules of a stream ends the session.
func TestStreamRules(t *testing.T) {
	b, rb := node(t, 2, nil)
	hello := func() *peerpb.Frame {
		return &peerpb.Frame{Hello: &peerpb.Hello{
			Protocol: ProtocolVersion, Ring: "partitions 1021", Cluster: "test", Replicas: 2,
			From: &peerpb.Member{Name: "raw", Id: 1}, To: 2,
		}}
	}
	for name, c := range map[string]struct {
		frames []*peerpb.Frame
		want   string
	}{
		"no Hello":            {[]*peerpb.Frame{{}}, "the first frame carries no Hello"},
		"messages beside it":  {[]*peerpb.Frame{{Hello: hello().GetHello(), Messages: []*peerpb.Message{{Id: 1}}}}, "messages beside the Hello"},
		"a second one":        {[]*peerpb.Frame{hello(), hello()}, "a second Hello"},
		"the end of a stream": {[]*peerpb.Frame{hello(), nil}, "the peer has ended the session"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := rawStream(t, b.Addr())
			for _, f := range c.frames {
				if f == nil {
					_ = stream.CloseSend()
				} else if err := stream.Send(f); err != nil {
					t.Fatal(err)
				}
			}
			refused := ""
			for {
				f, err := stream.Recv()
				if f.GetHello().GetRefused() != "" {
					refused = f.GetHello().GetRefused()
				}
				if err != nil {
					if text := refused + err.Error(); !strings.Contains(text, c.want) {
						t.Errorf("the stream ended with %s", text)
					}
					break
				}
			}
		})
	}
	rb.wait("all sessions to end", func() bool { return len(rb.up) == 0 })
}

// rawStream opens a stream without a Transport. It ends with the test, or when that has waited for too long.
func rawStream(t *testing.T, addr string) peerpb.Peer_LinkClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	cc, err := clientConn(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := peerpb.NewPeerClient(cc).Link(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestGossipAndRPCOnOnePort(t *testing.T) {
	forEachSecurity(t, func(t *testing.T, change func(*Config)) {
		a, b, ra, rb := pair(t, change)
		ga, gb := a.Gossip(), b.Gossip()
		toB, atB := ra.session(2), rb.session(1)
		for i := range 50 {
			a.Send(2, toB, message(uint64(i), 100))
			if _, err := ga.WriteTo([]byte("packet"), b.Addr()); err != nil {
				t.Fatal(err)
			}
			p := <-gb.PacketCh()
			if string(p.Buf) != "packet" || b.creds == nil && p.From.String() != a.Addr() {
				t.Fatalf("the packet is %q from %v", p.Buf, p.From)
			}
			out, err := ga.DialAddressTimeout(memberlist.Address{Addr: b.Addr()}, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write([]byte{244, 1, 'x'}); err != nil {
				t.Fatal(err)
			}
			in := <-gb.StreamCh()
			buf := make([]byte, 3)
			if _, err := io.ReadFull(in, buf); err != nil || !bytes.Equal(buf, []byte{244, 1, 'x'}) {
				t.Fatalf("the stream carries %v, %v", buf, err)
			}
			_ = in.Close()
			_ = out.Close()
		}
		rb.ids(atB, 50)
		ip, port, err := ga.FinalAdvertiseAddr("", 0)
		if err != nil || joinHostPort(ip.String(), port) != a.Self().GetAddr() {
			t.Errorf("gossip advertises %v:%d, %v", ip, port, err)
		}
		if err := ga.Shutdown(); err != nil {
			t.Error(err)
		}
		a.Send(2, toB, message(50, 1)) // the end of gossip is not the end of RPC
		rb.ids(atB, 51)
	})
}
