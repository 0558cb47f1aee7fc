package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are looked for below the range from which systems take the near end of outgoing connections. Else a connection could
// occupy the port of a node that is down, or, dialled at that port, connect to itself.
const (
	loopback  = "127.0.0.1"
	firstPort = 20000
	lastPort  = 30000
)

// freePorts finds n ports of the loopback address that are free for TCP and UDP.
func freePorts(n int) ([]int, error) {
	var ports []int
	var held []interface{ Close() error }
	defer func() {
		for _, h := range held {
			_ = h.Close() // it was only held so that it is not found twice
		}
	}()
	for range 200 * n {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		addr := net.JoinHostPort(loopback, strconv.Itoa(port))
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		held = append(held, tcp)
		udp, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		held = append(held, udp)
		ports = append(ports, port)
	}
	if len(ports) == n {
		return ports, nil
	}
	return nil, errors.New("there are not enough free ports on loopback")
}
