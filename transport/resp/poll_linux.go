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

// poller tells which of many sockets have something new: epoll, edge-triggered. While none has, the goroutine waits in Go's own poller: no
// thread is held. That one does not watch the epoll descriptor of the sockets but another, the gate, through which one piece of news of the
// first comes, and only while the goroutine waits. Else every request that comes while the loop is at work would wake a thread of the
// scheduler for nothing: it takes processor time from the clients, and the waking is paid for by whoever sends.
type poller struct {
	sockets *os.File // the epoll descriptor of the sockets
	watched syscall.RawConn
	gate    *os.File
	waiting syscall.RawConn
	bell    *os.File // an eventfd, watched like the sockets
	closed  atomic.Bool
	events  []unix.EpollEvent
}

// pollHup is, among the news of a socket, that there will be no more to read.
const pollHup = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

func newPoller() (p *poller, err error) {
	p = &poller{events: make([]unix.EpollEvent, 128)}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.sockets, p.watched, err = newEpoll(false); err != nil {
		return nil, err
	}
	if p.gate, p.waiting, err = newEpoll(true); err != nil {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // blocking, so that Go's poller leaves it alone; it is never full
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	p.bell = os.NewFile(uintptr(bell), "eventfd")
	if err = p.add(bell); err != nil {
		return nil, err
	}
	var failed error
	err = p.each(func(gate, sockets int) bool {
		failed = os.NewSyscallError("epoll_ctl", unix.EpollCtl(gate, unix.EPOLL_CTL_ADD, sockets, &unix.EpollEvent{}))
		return true
	})
	return p, errors.Join(err, failed)
}

// newEpoll returns an epoll descriptor, which Go's poller watches or leaves alone.
func newEpoll(watched bool) (*os.File, syscall.RawConn, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, nil, os.NewSyscallError("epoll_create1", err)
	}
	if err = unix.SetNonblock(fd, watched); err != nil { // what blocks os.File leaves alone
		return nil, nil, errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, raw, nil
}

// each calls f with both epoll descriptors, which stay open meanwhile, until it returns true, and whenever something has come through the gate.
func (p *poller) each(f func(gate, sockets int) (done bool)) error {
	return p.waiting.Read(func(gate uintptr) (done bool) {
		if p.watched.Control(func(sockets uintptr) { done = f(int(gate), int(sockets)) }) != nil {
			return true // closed
		}
		return done
	})
}

// wake makes run call idle.
func (p *poller) wake() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = p.bell.Write(one) // fails only after close. It is read by nobody: each write is news.
}

// run calls news for each socket that has some, and then idle, until close. While idle returns true it does not wait.
func (p *poller) run(news func(fd int, what uint32), idle func() (busy bool)) {
	wide := false
	_ = p.each(func(gate, sockets int) (done bool) { // ends with an error when it is closed
		open := func(yes bool) {
			if wide == yes {
				return
			}
			var what unix.EpollEvent
			if wide = yes; yes {
				what.Events = unix.EPOLLIN
			}
			_ = unix.EpollCtl(gate, unix.EPOLL_CTL_MOD, sockets, &what) // does not fail: it is there
		}
		for {
			n, err := nonblock.EpollLook(sockets, p.events)
			if err != nil || p.closed.Load() {
				return true
			}
			if n > 0 {
				open(false)
			}
			for _, e := range p.events[:max(n, 0)] {
				news(int(e.Fd), e.Events)
			}
			switch busy := idle(); {
			case n > 0 || busy:
			case wide:
				return false
			default:
				open(true) // what came before does not pass, perhaps: the sockets are looked at once more
			}
		}
	})
}

// close makes run end, and add fail.
func (p *poller) close() {
	p.closed.Store(true)
	for _, f := range []*os.File{p.gate, p.sockets, p.bell} { // the first waits for the end of run
		_ = f.Close() // nothing is lost with them; of one that was not opened it fails
	}
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
	if outer := p.watched.Control(func(epoll uintptr) {
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
