package nonblock

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two ends of a connection, neither of which blocks.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[0]) })
	return fds[0], fds[1]
}

// What arrives is what was sent, in calls of all sizes, those beyond the bound among them; and the ends are what the kernel says.
func TestSameAsOrdinaryCalls(t *testing.T) {
	a, b := pair(t)
	room := make([]byte, 2*most)
	if n, err := Read(b, room[:10]); n != -1 || !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("Read of nothing: %d, %v", n, err)
	}
	for _, size := range []int{1, 100, most, 2 * most} {
		sent := bytes.Repeat([]byte{byte(size), 1, 2}, size/3+1)[:size]
		var got []byte
		for left := sent; len(got) < size; {
			if len(left) > 0 {
				n, err := Write(a, left)
				if err != nil && !errors.Is(err, unix.EAGAIN) {
					t.Fatal(err)
				}
				left = left[max(n, 0):]
			}
			n, err := Read(b, room[:size])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, room[:n]...)
		}
		if !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes arrive changed", size)
		}
	}
	if n, err := Write(a, nil); n != 0 || err != nil {
		t.Errorf("Write of nothing: %d, %v", n, err)
	}
	if err := unix.Close(b); err != nil {
		t.Fatal(err)
	}
	if n, err := Read(a, room); n != 0 || err != nil {
		t.Errorf("Read at the end: %d, %v", n, err)
	}
	if n, err := Write(a, room[:1]); n != -1 || !errors.Is(err, unix.EPIPE) {
		t.Errorf("Write to nobody: %d, %v", n, err)
	}
	if n, err := Read(-1, room[:1]); n != -1 || !errors.Is(err, unix.EBADF) {
		t.Errorf("Read of no descriptor: %d, %v", n, err)
	}
}

func TestEpollLook(t *testing.T) {
	a, b := pair(t)
	t.Cleanup(func() { _ = unix.Close(b) })
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(epoll) })
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, b, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(b)}); err != nil {
		t.Fatal(err)
	}
	events := make([]unix.EpollEvent, 4)
	if n, err := EpollLook(epoll, events); n != 0 || err != nil {
		t.Fatalf("nothing is new: %d, %v", n, err)
	}
	if _, err := Write(a, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := EpollLook(epoll, events); n != 1 || err != nil || int(events[0].Fd) != b || events[0].Events != unix.EPOLLIN {
		t.Fatalf("one is new: %d, %v, %v", n, err, events[0])
	}
	if n, err := EpollLook(epoll, nil); n != 0 || !errors.Is(err, unix.EINVAL) {
		t.Fatalf("without room: %d, %v", n, err)
	}
}

func BenchmarkReadOfNothing(b *testing.B) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	room := make([]byte, 1024)
	for name, read := range map[string]func(int, []byte) (int, error){"raw": Read, "ordinary": syscall.Read} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(fds[0], room); !errors.Is(err, unix.EAGAIN) {
					b.Fatal(err)
				}
			}
		})
	}
}
