package resp

import (
	"io"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkGet runs a GET that hits local memory, without the network.
func BenchmarkGet(b *testing.B) {
	f := newFake()
	s := start(b, Config{Backend: fastFake{f}})
	if err := f.Set(b.Context(), "vendure-session-cache:token", make([]byte, 500), SetArgs{}); err != nil {
		b.Fatal(err)
	}
	c := newClient(s, nil)
	get := [][]byte{[]byte("get"), []byte("vendure-session-cache:token")}
	b.ReportAllocs()
	for b.Loop() {
		c.dispatch(s.find(get[0]), get)
		c.out = c.out[:0]
	}
}

// BenchmarkWire sends GETs over loopback, pipelined and not.
func BenchmarkWire(b *testing.B) {
	for _, depth := range []int{1, 16} {
		b.Run("pipeline "+strconv.Itoa(depth), func(b *testing.B) {
			w := dial(b, start(b, Config{}).Addr())
			w.do("set", "k", strings.Repeat("x", 500))
			batch := strings.Repeat(cmd("get", "k"), depth)
			reply := make([]byte, depth*(500+len("$500\r\n\r\n")))
			b.ReportAllocs()
			for b.Loop() {
				w.send(batch)
				if _, err := io.ReadFull(w.r, reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestGetAllocates nothing, when it hits local memory.
func TestGetAllocates(t *testing.T) {
	f := newFake()
	s := start(t, Config{Backend: fastFake{f}})
	if err := f.Set(t.Context(), "k", []byte("v"), SetArgs{}); err != nil {
		t.Fatal(err)
	}
	c := newClient(s, nil)
	args := [][]byte{[]byte("GET"), []byte("k")}
	if n := testing.AllocsPerRun(1000, func() {
		c.dispatch(s.find(args[0]), args)
		c.out = c.out[:0]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
