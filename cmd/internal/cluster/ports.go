package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are looked for below the range from which systems take the near end of outgoing connections. Else a connection could
// occupy the port of a node that is down, or, dialled at that port, connect to itself.
const (
	loopback  = "127.0.0.1"
	firstPort = 20000
	lastPort  = 30000
)

// block is three neighbouring ports of loopback for one node. The UDP side of the first, which no node uses, is held as long as
// the cluster exists: it keeps the block from all who look for one, this process or another, also while the node is down.
type block struct {
	ports [3]int // for Redis clients, for peers, for the admin interface
	hold  net.PacketConn
}

func (b *block) addr(i int) string { return net.JoinHostPort(loopback, strconv.Itoa(b.ports[i])) }

// takeBlock finds a block whose ports are free.
func takeBlock() (*block, error) {
	for range 1000 {
		first := firstPort + 3*rand.IntN((lastPort-firstPort)/3)
		b := &block{ports: [3]int{first, first + 1, first + 2}}
		var err error
		if b.hold, err = net.ListenPacket("udp", b.addr(0)); err != nil {
			continue
		}
		if b.free() {
			return b, nil
		}
		_ = b.hold.Close() // others may have it
	}
	return nil, errors.New("there are not enough free ports on loopback")
}

// free tells whether a node could listen on the ports now.
func (b *block) free() bool {
	for i := range b.ports {
		tcp, err := net.Listen("tcp", b.addr(i))
		if err != nil {
			return false
		}
		_ = tcp.Close() // it was only to see
	}
	udp, err := net.ListenPacket("udp", b.addr(1))
	if err != nil {
		return false
	}
	_ = udp.Close()
	return true
}

// blocks are those that a cluster holds.
type blocks struct {
	mu   sync.Mutex
	held []*block
}

func (bs *blocks) take() (*block, error) {
	b, err := takeBlock()
	if err != nil {
		return nil, err
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.held = append(bs.held, b)
	return b, nil
}

// free gives them all back.
func (bs *blocks) free() {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, b := range bs.held {
		_ = b.hold.Close()
	}
	bs.held = nil
}
