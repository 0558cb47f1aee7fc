package gossip

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	"github.com/huddle-cache/huddle/transport"
	"github.com/huddle-cache/huddle/transport/peerpb"
)

// fed is a transport on which a test says what arrives.
type fed struct {
	memberlist.NodeAwareTransport
	packets chan *memberlist.Packet
	streams chan net.Conn
}

func (f *fed) PacketCh() <-chan *memberlist.Packet { return f.packets }
func (f *fed) StreamCh() <-chan net.Conn           { return f.streams }

// Other processes cannot be reached: what is invented must not be dialled.
func (f *fed) WriteTo([]byte, string) (time.Time, error) { return time.Now(), nil }

func (f *fed) WriteToAddress([]byte, memberlist.Address) (time.Time, error) { return time.Now(), nil }

func (f *fed) DialTimeout(string, time.Duration) (net.Conn, error) { return nil, net.ErrClosed }

func (f *fed) DialAddressTimeout(memberlist.Address, time.Duration) (net.Conn, error) {
	return nil, net.ErrClosed
}

// FuzzGossip lets any bytes arrive as a packet and as a stream, as from somebody who has the key: gossip must go on, and what it
// reports must be what a process may announce.
func FuzzGossip(f *testing.F) {
	meta, err := Peer{Member: &peerpb.Member{Name: "n", Id: 9, Addr: "h:1"}, View: 3}.encode()
	if err != nil {
		f.Fatal(err)
	}
	// The types and field names are memberlist's; the codec is msgpack.
	f.Add(append([]byte{4, 0x84, 0xab}, "Incarnation\x01\xa4Node\xa1x\xa4Meta\xa0"...))
	f.Add(append([]byte{4, 0x81, 0xa4, 'M', 'e', 't', 'a', 0xc4, byte(len(meta))}, meta...))
	f.Add([]byte{0, 0x82, 0xa5, 'S', 'e', 'q', 'N', 'o', 7, 0xa4, 'N', 'o', 'd', 'e', 0xa0})
	f.Add([]byte{7, 255, 0, 0})           // a compound of more parts than there are
	f.Add([]byte{6, 0x83, 0xa5})          // push and pull
	f.Add([]byte{9, 0x82, 0xa4, 1, 2, 3}) // compressed
	f.Add([]byte{8, 1, 2, 3, 4, 5})
	f.Add([]byte{12, 1, 2, 3, 4, 5})

	tr, err := transport.Listen(f.Context(), transport.Config{Self: &peerpb.Member{Name: "node", Id: 1}, Handler: silent{}, Logger: discard()})
	if err != nil {
		f.Fatal(err)
	}
	tr.Start()
	f.Cleanup(func() { _ = tr.Close() })
	in := &fed{NodeAwareTransport: tr.Gossip(), packets: make(chan *memberlist.Packet), streams: make(chan net.Conn)}
	bad := make(chan string, 1)
	g, err := Start(Config{
		Transport: in, Cluster: "test", Self: Peer{Member: tr.Self()}, Profile: "local", Logger: discard(),
		Found: func(p Peer) {
			if p.validate() != nil || proto.Equal(p.Member, tr.Self()) {
				select {
				case bad <- p.Member.String():
				default:
				}
			}
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = g.Close() })
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	label := []byte{244, 4, 't', 'e', 's', 't'}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 32<<10 {
			return
		}
		whole := append(bytes.Clone(label), data...)
		for _, b := range [][]byte{data, whole} {
			select {
			case in.packets <- &memberlist.Packet{Buf: bytes.Clone(b), From: from, Timestamp: time.Now()}:
			case <-time.After(patience):
				t.Fatal("gossip takes no more packets")
			}
		}
		ours, theirs := net.Pipe()
		select {
		case in.streams <- theirs:
		case <-time.After(patience):
			t.Fatal("gossip takes no more streams")
		}
		_ = ours.SetDeadline(time.Now().Add(patience))
		read := make(chan struct{})
		go func() { // what it answers
			defer close(read)
			buf := make([]byte, 1<<10)
			for {
				if _, err := ours.Read(buf); err != nil {
					return
				}
			}
		}()
		_, _ = ours.Write(whole) // it may hang up
		_ = ours.Close()
		<-read
		select {
		case p := <-bad:
			t.Errorf("reported: %s", p)
		default:
		}
	})
}
