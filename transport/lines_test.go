package transport

import (
	"bytes"
	"io"
	"testing"
)

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
