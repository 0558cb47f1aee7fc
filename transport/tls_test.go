package transport

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
	"unsafe"
)

func TestKeysAreDerived(t *testing.T) {
	derived := func(key []byte, cluster, purpose string) string {
		b, err := derive(key, cluster, purpose)
		if err != nil || len(b) != 32 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		return string(b)
	}
	seen := map[string]string{}
	for _, key := range [][]byte{testKey(1), testKey(2)} {
		for _, cluster := range []string{"a", "b", ""} {
			for _, purpose := range []string{"huddle authority v1", "huddle tokens v1", "huddle fingerprint v1"} {
				d, about := derived(key, cluster, purpose), fmt.Sprint(key[0], cluster, purpose)
				if other, ok := seen[d]; ok || d == string(key) {
					t.Errorf("%s is %s", about, other)
				}
				if seen[d] = about; derived(key, cluster, purpose) != d {
					t.Errorf("%s is not always the same", about)
				}
			}
		}
	}
	if f := Fingerprint(testKey(1)); len(f) != 8 || f == Fingerprint(testKey(2)) {
		t.Errorf("the fingerprint is %q", f)
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
	_, clientErr = client.client(t.Context(), conn, speaksRPC)
	return clientErr, <-done
}

func TestCertificateIsRenewed(t *testing.T) {
	a, err := newCredentials(Secrets{Key: testKey(1)}, "x")
	if err != nil {
		t.Fatal(err)
	}
	b, err := newCredentials(Secrets{Key: testKey(1)}, "x")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.now = func() time.Time { return now }
	b.now = a.now
	first, _ := a.trust.Load().certificate()
	for hours := 0; hours < 24*400; hours += 11 {
		now = now.Add(11 * time.Hour)
		if hours%(24*50) < 11 {
			if c, s := handshake(t, a, b); c != nil || s != nil {
				t.Fatalf("after %d hours: %v, %v", hours, c, s)
			}
		}
		cert, err := a.trust.Load().certificate()
		if err != nil {
			t.Fatal(err)
		}
		if leaf, err := x509.ParseCertificate(cert.Certificate[0]); err != nil || leaf.NotAfter.Sub(now) < certLife/2 {
			t.Fatalf("the certificate is not renewed: %v, %v", leaf.NotAfter, err)
		}
		if same, _ := a.trust.Load().certificate(); same != cert {
			t.Fatal("the certificate is renewed each time")
		}
	}
	if last, _ := a.trust.Load().certificate(); last == first {
		t.Error("the certificate has never been renewed")
	}
}

// A certificate is renewed by wall time: a machine that slept for a day, or whose clock was put forward or back, is let in at
// once. Its monotonic clock has not moved then.
func TestCertificateIsRenewedByWallTime(t *testing.T) {
	a, err := newCredentials(Secrets{Key: testKey(1)}, "x")
	if err != nil {
		t.Fatal(err)
	}
	b, err := newCredentials(Secrets{Key: testKey(1)}, "x")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.now = func() time.Time { return now }
	b.now = func() time.Time { return now.Round(0) }
	for _, step := range []time.Duration{0, 25 * time.Hour, -50 * time.Hour} {
		now = stepped(now, step)
		if c, s := handshake(t, a, b); c != nil || s != nil {
			t.Errorf("after a step of %v: %v, %v", step, c, s)
		}
	}
}

// stepped is t with the wall clock moved by d, and the monotonic clock as it was. Package time makes no such time by itself; it
// keeps the wall clock's seconds in the upper bits of a Time's first word, above 30 bits of nanoseconds.
func stepped(t time.Time, d time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(d/time.Second) << 30
	return t
}

// Clocks may differ by eleven hours; a certificate of two days ago is refused.
func TestClocksMayDiffer(t *testing.T) {
	a, err := newCredentials(Secrets{Key: testKey(1)}, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, hours := range []int{-11, 11, 48} {
		b, err := newCredentials(Secrets{Key: testKey(1)}, "x")
		if err != nil {
			t.Fatal(err)
		}
		b.now = func() time.Time { return time.Now().Add(time.Duration(hours) * time.Hour) }
		if err := b.use(Secrets{Key: testKey(1)}); err != nil {
			t.Fatal(err)
		}
		c, s := handshake(t, a, b)
		if ok := c == nil && s == nil; ok != (hours < 48) {
			t.Errorf("clocks that differ by %d hours: %v, %v", hours, c, s)
		}
	}
}

// Of a handshake that does not come to its end little is read and kept. A chain of certificates of several KiB still fits.
func TestHandshakesAreBounded(t *testing.T) {
	own := newCA(t)
	big := func(extra int) Secrets {
		s := own.secrets(time.Hour)
		cert, key := own.make(&x509.Certificate{
			Subject: pkix.Name{CommonName: "any name"}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, extra)}},
		}, time.Hour)
		s.Certificate = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
		return s
	}
	server, err := newCredentials(own.secrets(time.Hour), "x")
	if err != nil {
		t.Fatal(err)
	}
	for extra, fits := range map[int]bool{12 << 10: true, 20 << 10: false} {
		client, err := newCredentials(big(extra), "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := handshake(t, client, server); fits != (err == nil) || !fits && !errors.Is(err, errUnproved) {
			t.Errorf("a certificate of %d KiB: %v", extra>>10, err)
		}
	}

	a, b := net.Pipe() // keeps nothing: what is written has been read
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		_, err := server.server(b)
		done <- errors.Join(err, b.Close())
	}()
	record := append([]byte{firstOfTLS, 3, 1, 0x10, 0}, make([]byte, 4<<10)...)
	copy(record[5:], []byte{1, 0, 0xff, 0xfc}) // a ClientHello of almost 64 KiB
	read, err := 0, error(nil)
	for err == nil {
		var n int
		n, err = a.Write(record)
		read += n
		copy(record[5:], make([]byte, 4))
	}
	if read > maxUnproved {
		t.Errorf("%d bytes have been read of who has proved nothing", read)
	}
	err = <-done
	if reason, _ := reasonOf(err); !errors.Is(err, errUnproved) || reason != "it sends more than a handshake takes" {
		t.Errorf("the handshake ended with %v", err)
	}
}
