package transport

import (
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/huddle-cache/huddle/transport/internal/nonblock"
)

// direct is a TCP connection that reads and writes without Go's scheduler being told; package nonblock says why. While there is
// nothing to read, or no room to write, a goroutine waits in Go's poller like everywhere.
type direct struct {
	*net.TCPConn
	in, out half
}

// newDirect returns conn itself if that does not work.
func newDirect(conn *net.TCPConn) net.Conn {
	raw, err := conn.SyscallConn()
	if err != nil {
		return conn
	}
	d := &direct{TCPConn: conn}
	d.in.until, d.in.turn = raw.Read, d.in.read
	d.out.until, d.out.turn = raw.Write, d.out.write
	return d
}

func (d *direct) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return d.in.run("read", b)
}

func (d *direct) Write(b []byte) (int, error) { return d.out.run("write", b) }

// half is one direction of a connection.
type half struct {
	until func(func(fd uintptr) bool) error // waits in the poller until what it calls is done
	turn  func(fd uintptr) bool             // made once, for it is called for every packet

	mu   sync.Mutex // one call after the other
	rest []byte     // of the call
	done int        // bytes
	err  error
}

func (h *half) run(op string, b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rest, h.done, h.err = b, 0, nil
	err := h.until(h.turn) // of the poller: a deadline, or the connection is closed
	h.rest = nil
	switch {
	case err != nil:
		return h.done, err
	case h.err != nil && !errors.Is(h.err, io.EOF):
		return h.done, &net.OpError{Op: op, Net: "tcp", Err: h.err}
	}
	return h.done, h.err
}

// read reads once.
func (h *half) read(fd uintptr) (done bool) {
	n, err := nonblock.Read(int(fd), h.rest)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false
	case err != nil:
		h.err = err
	case n == 0:
		h.err = io.EOF
	default:
		h.done = n
	}
	return true
}

// write writes all, if need be in several turns.
func (h *half) write(fd uintptr) (done bool) {
	for len(h.rest) > 0 && h.err == nil {
		n, err := nonblock.Write(int(fd), h.rest)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		h.err = err
		h.done, h.rest = h.done+max(n, 0), h.rest[max(n, 0):]
	}
	return true
}
