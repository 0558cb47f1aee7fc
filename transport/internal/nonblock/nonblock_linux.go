package nonblock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is syscall.Read of a socket that does not block; it is not interrupted.
func Read(fd int, b []byte) (n int, err error) {
	for again := true; again; again = err == errInterrupted { //nolint:errorlint // it is never wrapped
		if ordinary || len(b) == 0 || len(b) > most {
			n, err = syscall.Read(fd, b)
			continue
		}
		n, err = result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0))
	}
	return n, err
}

// Write is syscall.Write to a socket that does not block; it is not interrupted.
func Write(fd int, b []byte) (n int, err error) {
	for again := true; again; again = err == errInterrupted { //nolint:errorlint // it is never wrapped
		if ordinary || len(b) == 0 || len(b) > most {
			n, err = syscall.Write(fd, b)
			continue
		}
		n, err = result(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0))
	}
	return n, err
}

// EpollLook is unix.EpollWait that does not wait, and so is not interrupted either.
func EpollLook(epoll int, events []unix.EpollEvent) (int, error) {
	if len(events) == 0 {
		return 0, unix.EINVAL
	}
	return result(unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0))
}

func result(n, _ uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil //nolint:gosec // at most as many as there is room for
	case unix.EAGAIN: // the usual ones without an allocation
		return -1, errAgain
	case unix.EINTR:
		return -1, errInterrupted
	}
	return -1, errno
}

var (
	errAgain       error = unix.EAGAIN
	errInterrupted error = unix.EINTR
)
