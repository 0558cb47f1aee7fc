package resp

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/huddle-cache/huddle/transport/internal/nonblock"
)

// poller tells which of many sockets have something new: epoll, edge-triggered. While none has, the goroutine waits in Go's own
// poller, which watches the epoll descriptor: no thread is held.
type poller struct {
	file   *os.File
	raw    syscall.RawConn
	bell   *os.File // an eventfd, watched like the sockets
	closed atomic.Bool
	events []unix.EpollEvent
}

// pollHup is, among the news of a socket, that there will be no more to read.
const pollHup = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err = unix.SetNonblock(fd, true); err != nil { // or else os.File would not have it watched
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), events: make([]unix.EpollEvent, 128)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // blocking, so that Go's poller leaves it alone; it is never full
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), p.file.Close())
	}
	p.bell = os.NewFile(uintptr(bell), "eventfd")
	if err = p.add(bell); err != nil {
		return nil, errors.Join(err, p.bell.Close(), p.file.Close())
	}
	return p, nil
}

// wake makes run call idle.
func (p *poller) wake() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = p.bell.Write(one) // fails only after close. It is read by nobody: each write is news.
}

// run calls news for each socket that has some, and then idle, until close. While idle returns true it does not wait.
func (p *poller) run(news func(fd int, what uint32), idle func() (busy bool)) {
	_ = p.raw.Read(func(fd uintptr) bool { // ends with an error when the file is closed
		for {
			n, err := nonblock.EpollLook(int(fd), p.events)
			if err != nil || p.closed.Load() {
				return true
			}
			for _, e := range p.events[:max(n, 0)] {
				news(int(e.Fd), e.Events)
			}
			if busy := idle(); n <= 0 && !busy {
				return false
			}
		}
	})
}

// close makes run end, and add fail.
func (p *poller) close() {
	p.closed.Store(true)
	_ = p.file.Close() // nothing is lost with them
	_ = p.bell.Close()
}

func (p *poller) add(fd int) error { return p.control(unix.EPOLL_CTL_ADD, fd, 0) }

// watchWrites asks for news also when the socket takes bytes again, or no longer.
func (p *poller) watchWrites(fd int, on bool) error {
	if on {
		return p.control(unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT)
	}
	return p.control(unix.EPOLL_CTL_MOD, fd, 0)
}

func (p *poller) control(op, fd int, more uint32) error {
	var err error
	if outer := p.raw.Control(func(epoll uintptr) {
		err = unix.EpollCtl(int(epoll), op, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET | more, Fd: int32(fd)})
	}); outer != nil {
		return outer
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// socket is a connection taken out of Go's poller. It never blocks. Only its owner of the moment uses it.
type socket int

// detach takes the socket out of conn, which is closed if that works.
func detach(conn net.Conn) (socket, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return -1, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if outer := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); outer != nil {
		return -1, outer
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	_ = conn.Close() // the socket lives on in its duplicate
	return socket(fd), nil
}

// read is like io.Reader's, but 0 bytes without an error mean that there is nothing yet.
func (s socket) read(b []byte) (int, error) {
	switch n, err := nonblock.Read(int(s), b); {
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, net.ErrClosed
	default:
		return n, nil
	}
}

// write sends as much of b as goes now.
func (s socket) write(b []byte) (n int, err error) {
	for len(b) > 0 {
		k, err := nonblock.Write(int(s), b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case err != nil:
			return n, os.NewSyscallError("write", err)
		}
		n, b = n+max(k, 0), b[max(k, 0):]
	}
	return n, nil
}

// shutdown ends the connection and leaves the socket open.
func (s socket) shutdown() error { return unix.Shutdown(int(s), unix.SHUT_RDWR) }

func (s socket) close() error { return unix.Close(int(s)) }
