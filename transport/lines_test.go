package transport

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

// Certificates of one's own say nothing of the cluster: gossip of another one is told by the label at the head of the connection.
func TestGossipOfAnotherClusterWithOwnCertificates(t *testing.T) {
	c := newCA(t)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	join := func(id uint64, cluster string) (*Transport, *recorder) {
		return node(t, id, func(cfg *Config) { cfg.Secrets, cfg.Cluster = c.secrets(time.Hour, both...), cluster })
	}
	b, rb := join(2, "test")
	for _, from := range []struct {
		cluster string
		heard   bool
	}{{"blue", false}, {"", false}, {"test", true}} {
		a, _ := join(1, from.cluster)
		for _, purpose := range []byte{forStream, forLine} {
			conn, err := a.gossip.dial(t.Context(), b.Addr(), purpose)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write([]byte{0, 1, 'x'}) // may be cut off already
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			ended := make(chan error, 1)
			go func() {
				_, err := conn.Read(make([]byte, 1))
				ended <- err
			}()
			heard := true
			select {
			case p := <-b.gossip.PacketCh():
				if string(p.Buf) != "x" {
					t.Errorf("packet %q", p.Buf)
				}
			case s := <-b.gossip.StreamCh():
				_ = s.Close()
			case err := <-ended:
				ended <- err
				if heard = false; errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("cluster %q, purpose %c: neither heard nor refused", from.cluster, purpose)
				}
			}
			_ = conn.Close()
			<-ended
			if heard != from.heard {
				t.Errorf("cluster %q, purpose %c: heard is %v", from.cluster, purpose, heard)
			}
		}
		_ = a.Close()
	}
	if text := rb.aRefusal(); !strings.Contains(text, `clusters differ: this node has "test", the other "blue"`) {
		t.Errorf("reported: %s", text)
	}
}

// Packets wait for so many others and no more, and so many for one of them.
func TestLinesAreBounded(t *testing.T) {
	b, _ := node(t, 2, func(cfg *Config) { cfg.Key = testKey(1) })
	g := b.Gossip()
	lines := b.gossip.lines
	lines.mu.Lock()
	for i := range maxLines { // as if their goroutines were busy
		lines.to[fmt.Sprint("busy-", i)] = make(chan []byte, lineQueue)
	}
	lines.mu.Unlock()
	if _, err := g.WriteTo([]byte("x"), "127.0.0.1:1"); !errors.Is(err, errNoRoom) {
		t.Errorf("to one more: %v", err)
	}
	for i := range 2 * lineQueue {
		_, err := g.WriteToAddress([]byte("x"), memberlist.Address{Addr: "busy-7"})
		if (err == nil) != (i < lineQueue) || err != nil && !errors.Is(err, errNoRoom) {
			t.Errorf("packet %d to one: %v", i, err)
		}
	}
	lines.mu.Lock()
	if n := len(lines.to); n != maxLines {
		t.Errorf("%d lines", n)
	}
	lines.mu.Unlock()
	for _, size := range []int{0, maxGossip + 1} {
		if _, err := g.WriteTo(make([]byte, size), "busy-8"); err == nil {
			t.Errorf("a packet of %d bytes is taken", size)
		}
	}
	if err := g.Shutdown(); err != nil {
		t.Error(err)
	}
	if _, err := g.WriteTo([]byte("x"), "busy-8"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Shutdown: %v", err)
	}
}

// A line that nothing was sent on for a while is given up, and makes room.
func TestIdleLineIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gossipTransport{}
		g.stop, g.end = context.WithCancel(t.Context())
		l := newLines(g)
		queue := make(chan []byte, lineQueue)
		l.to["there"] = queue
		g.wg.Go(func() { l.run("there", queue) })
		left := func() int {
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.to)
		}
		time.Sleep(lineIdle - time.Nanosecond)
		if left() != 1 {
			t.Error("it is given up early")
		}
		time.Sleep(time.Nanosecond)
		if left() != 0 {
			t.Error("it is never given up")
			g.end()
		}
		g.wg.Wait()
		g.end()
	})
}

// What was queued as the line was to be given up is not lost.
func TestLineWithPacketsIsNotGivenUp(t *testing.T) {
	l := newLines(nil)
	queue := make(chan []byte, lineQueue)
	l.to["there"] = queue
	if err := l.send("there", []byte("x")); err != nil || l.giveUp("there", queue) {
		t.Errorf("%v, or it is given up", err)
	}
	if <-queue; !l.giveUp("there", queue) || len(l.to) != 0 {
		t.Error("it stays")
	}
}

// FuzzLine reads any bytes as a line of packets: each is of a permitted size, and no more is kept than that.
func FuzzLine(f *testing.F) {
	f.Add([]byte{0, 1, 'x', 0, 2, 'y', 'z'})
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		var buf []byte
		total := 0
		for {
			packet, err := readPacket(r, buf)
			if err != nil {
				break
			}
			if len(packet) == 0 || len(packet) > maxGossip || cap(packet) > maxGossip {
				t.Fatalf("a packet of %d bytes", len(packet))
			}
			if total += 2 + len(packet); !bytes.Equal(packet, data[total-len(packet):total]) {
				t.Fatalf("packet %q at %d of %q", packet, total, data)
			}
			buf = packet
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	})
}
