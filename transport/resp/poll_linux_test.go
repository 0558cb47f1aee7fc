package resp

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pollerWithPair returns a poller that watches one end of a pair of sockets.
func pollerWithPair(t *testing.T) (p *poller, watched, other int) {
	t.Helper()
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.close()
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	if err := p.add(fds[0]); err != nil {
		t.Fatal(err)
	}
	return p, fds[0], fds[1]
}

// No news are lost, whenever they come: as run is about to wait, while it waits, and while it is at work. And it does wait.
func TestPollerLosesNoNews(t *testing.T) {
	p, watched, other := pollerWithPair(t)
	const most = 50_000
	var arrived atomic.Int64
	var wg sync.WaitGroup
	turns := 0
	wg.Go(func() {
		var room [8]byte
		p.run(func(fd int, _ uint32) {
			if fd != watched {
				return
			}
			if n, err := unix.Read(fd, room[:]); n == 1 && err == nil {
				arrived.Add(1)
			}
		}, func() bool { turns++; return false })
	})
	for i := range int64(most) {
		for range i % 50 * 20 { // so that it comes at another moment each time
			_ = arrived.Load()
		}
		if _, err := unix.Write(other, []byte{1}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for looks := 1; arrived.Load() == i; looks++ {
			if looks%4096 > 0 { // or the next would seldom come as run is about to wait
				continue
			}
			if runtime.Gosched(); time.Since(begun) > 10*time.Second {
				t.Fatalf("the news number %d have not come", i)
			}
		}
	}
	p.close()
	if wg.Wait(); turns > 10*most {
		t.Errorf("%d turns for %d news: it does not wait", turns, most)
	}
}
