package transport

import (
	"bytes"
	"net"
	"testing"
	"time"
)

func TestKeysAreDerived(t *testing.T) {
	one, err := GossipKey(testKey(1), "a")
	if err != nil || len(one) != 32 {
		t.Fatalf("%d bytes, %v", len(one), err)
	}
	again, _ := GossipKey(testKey(1), "a")
	label, _ := GossipKey(testKey(1), "b")
	key, _ := GossipKey(testKey(2), "a")
	if !bytes.Equal(one, again) || bytes.Equal(one, label) || bytes.Equal(one, key) || bytes.Equal(one, testKey(1)) {
		t.Error("the key of gossip does not depend on key and label alone")
	}
	if none, err := GossipKey(nil, "a"); none != nil || err != nil {
		t.Errorf("no key becomes %d bytes, %v", len(none), err)
	}
}

// handshake connects two sides and says what each makes of the other.
func handshake(t *testing.T, client, server *credentials) (clientErr, serverErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			defer conn.Close()
			_, err = server.server(conn)
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, clientErr = client.client(t.Context(), conn)
	return clientErr, <-done
}

func TestCertificateIsRenewed(t *testing.T) {
	a, err := newCredentials(testKey(1), "x")
	if err != nil {
		t.Fatal(err)
	}
	b, err := newCredentials(testKey(1), "x")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.now = func() time.Time { return now }
	b.now = a.now
	first, _ := a.certificate()
	for hours := 0; hours < 24*400; hours += 11 {
		now = now.Add(11 * time.Hour)
		if hours%(24*50) < 11 {
			if c, s := handshake(t, a, b); c != nil || s != nil {
				t.Fatalf("after %d hours: %v, %v", hours, c, s)
			}
		}
		cert, err := a.certificate()
		if err != nil || now.After(a.renewAt) {
			t.Fatalf("the certificate is not renewed: %v", err)
		}
		if same, _ := a.certificate(); same != cert {
			t.Fatal("the certificate is renewed each time")
		}
	}
	if last, _ := a.certificate(); last == first {
		t.Error("the certificate has never been renewed")
	}
}

// Clocks may differ by eleven hours; a certificate of two days ago is refused.
func TestClocksMayDiffer(t *testing.T) {
	a, err := newCredentials(testKey(1), "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, hours := range []int{-11, 11, 48} {
		b, err := newCredentials(testKey(1), "x")
		if err != nil {
			t.Fatal(err)
		}
		b.now = func() time.Time { return time.Now().Add(time.Duration(hours) * time.Hour) }
		b.current = nil
		c, s := handshake(t, a, b)
		if ok := c == nil && s == nil; ok != (hours < 48) {
			t.Errorf("clocks that differ by %d hours: %v, %v", hours, c, s)
		}
	}
}
