package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// directPair returns a connection as sessions have them, and its other end, which is an ordinary one.
func directPair(t *testing.T) (d net.Conn, other *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = peer.Close() })
	return newDirect(conn.(*net.TCPConn)), peer.(*net.TCPConn)
}

// More than the kernel takes at once goes through whole, in both directions at the same time.
func TestDirectCarriesAll(t *testing.T) {
	d, other := directPair(t)
	sent := make([]byte, 24<<20)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	written := make(chan error, 2)
	for _, w := range []net.Conn{d, other} {
		go func() {
			n, err := w.Write(sent)
			if err == nil && n != len(sent) {
				err = io.ErrShortWrite
			}
			written <- err
		}()
	}
	got := make(chan []byte, 2)
	for _, r := range []net.Conn{d, other} {
		go func() {
			b := make([]byte, len(sent))
			n, _ := io.ReadFull(r, b)
			got <- b[:n]
		}()
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Error(err)
		}
		if !bytes.Equal(<-got, sent) {
			t.Error("what arrives is not what was sent")
		}
	}
}

// A write that ends by its deadline tells how much of it has gone, which is all that comes.
func TestDirectTellsWhatHasGone(t *testing.T) {
	d, other := directPair(t)
	var n int
	ended := make(chan error, 1)
	go func() {
		var err error
		n, err = d.Write(make([]byte, 64<<20)) // more than sockets hold
		ended <- err
	}()
	if _, err := io.ReadFull(other, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = d.SetWriteDeadline(time.Now())
	if err := <-ended; n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = d.Close()
	if got, err := io.Copy(io.Discard, other); err != nil || got != int64(n)-1 {
		t.Errorf("%d bytes have come of %d, %v", got+1, n, err)
	}
}

// Reads and writes end as those of any connection do.
func TestDirectEnds(t *testing.T) {
	room := make([]byte, 1<<20)
	untilFull := func(d net.Conn) error {
		for {
			if _, err := d.Write(room); err != nil {
				return err
			}
		}
	}
	read := func(d net.Conn) error { _, err := d.Read(room); return err }
	for name, does := range map[string]func(net.Conn) error{"read": read, "write": untilFull} {
		t.Run(name+" by its deadline", func(t *testing.T) {
			d, _ := directPair(t)
			_ = d.SetDeadline(time.Now().Add(20 * time.Millisecond))
			var timeout net.Error
			if err := does(d); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%v", err)
			}
		})
		t.Run(name+" by Close", func(t *testing.T) {
			d, _ := directPair(t)
			ended := make(chan error, 1)
			go func() { ended <- does(d) }()
			_ = d.Close() // before it begins, or while it waits
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("the other side ends", func(t *testing.T) {
		d, other := directPair(t)
		if n, err := d.Read(nil); n != 0 || err != nil {
			t.Errorf("Read of nothing: %d, %v", n, err)
		}
		_ = other.CloseWrite()
		if err := read(d); !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
		_ = other.SetLinger(0)
		_ = other.Close()
		var op *net.OpError
		if err := untilFull(d); !errors.As(err, &op) || errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
	})
}
