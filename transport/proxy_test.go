package transport

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// proxy passes TCP connections on, keeps what the dialler says, and can halt or cut them.
type proxy struct {
	ln     net.Listener
	wg     sync.WaitGroup
	halted chan struct{} // closed by halt
	over   chan struct{} // the test is

	mu    sync.Mutex
	conns []net.Conn
	heard []*bytes.Buffer // what the dialler said, on each connection
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, halted: make(chan struct{}), over: make(chan struct{})}
	p.wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			said := new(bytes.Buffer)
			p.conns, p.heard = append(p.conns, in, out), append(p.heard, said)
			p.mu.Unlock()
			p.wg.Go(func() { _, _ = io.Copy(in, halting{p, out}); _ = in.Close() })
			p.wg.Go(func() { _, _ = io.Copy(out, io.TeeReader(halting{p, in}, locked{&p.mu, said})); _ = out.Close() })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		close(p.over)
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

// halt lets nothing pass any more, without a word: who sends finds no room some time.
func (p *proxy) halt() { close(p.halted) }

// halting reads from r until the proxy halts.
type halting struct {
	p *proxy
	r io.Reader
}

func (h halting) Read(b []byte) (int, error) {
	select {
	case <-h.p.halted:
		<-h.p.over
		return 0, io.EOF
	default:
		return h.r.Read(b)
	}
}

// cut ends all connections that stand.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// locked writes under a lock.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
