package resp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A reply that would be over the limit is an error, and the client goes on; so do others.
func TestRepliesAreBounded(t *testing.T) {
	s := start(t, Config{})
	w, other := dial(t, s.Addr()), dial(t, s.Addr())
	value := strings.Repeat("v", 1<<20)
	if got := w.do("set", "k", value); got != "+OK\r\n" {
		t.Fatal(got)
	}
	if got := w.do(append([]string{"mget"}, strings.Split(strings.Repeat("k ", 100)+"k", " ")...)...); got != "-"+errReplySize+"\r\n" {
		t.Errorf("%.100q", got)
	}
	if got := w.do("strlen", "k"); got != ":1048576\r\n" {
		t.Errorf("afterwards: %q", got)
	}
	if got := w.do("multi"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	for range 70 {
		if got := w.do("get", "k"); got != "+QUEUED\r\n" {
			t.Fatal(got)
		}
	}
	if got := w.do("exec"); got != "-"+errReplySize+"\r\n" {
		t.Errorf("%.100q", got)
	}
	if got := w.do("ping"); got != "+PONG\r\n" {
		t.Errorf("afterwards: %q", got)
	}
	if got := other.do("strlen", "k"); got != ":1048576\r\n" {
		t.Errorf("another client: %q", got)
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

// What a MULTI keeps is bounded by what it takes in memory, not by the bytes that were sent for it; so are watched keys.
func TestTransactionsAreBoundedInMemory(t *testing.T) {
	s := start(t, Config{})
	w := dial(t, s.Addr())
	w.do("multi")
	empty := append([]string{"del"}, make([]string, 100_000)...) // 2.4 MB of slice headers
	for i, want := range []string{"+QUEUED\r\n", "+QUEUED\r\n", "-ERR huddle: transaction over the size limit of 10000 commands or 5242880 bytes of memory: "} {
		if got := w.do(empty...); !strings.HasPrefix(got, want) {
			t.Errorf("command %d: %q", i, got)
		}
	}
	if got := w.do("exec"); !strings.HasPrefix(got, "-EXECABORT") {
		t.Error(got)
	}
	small := dial(t, start(t, Config{MaxValueBytes: 8}).Addr()) // 1 MiB for a transaction
	keys := []string{"watch"}
	for i := range 9000 {
		keys = append(keys, fmt.Sprint(i))
	}
	if got := small.do(keys...); got != "-ERR huddle: too many watched keys: more than 10000, or than 1048608 bytes of memory\r\n" {
		t.Error(got)
	}
}

// copyFake is a Backend whose every read is a copy, as one has to make that decrypts its values. It holds one value.
type copyFake struct {
	*fake
	size        int
	asked, gone *atomic.Int64
	at          int64 // the read before which hook is called
	hook        func()
}

func (f copyFake) Lookup(context.Context, string) (Entry, bool, error) {
	if f.asked.Add(1) == f.at {
		f.hook()
	}
	value := bytes.Repeat([]byte("v"), f.size)
	runtime.AddCleanup(&value[0], func(gone *atomic.Int64) { gone.Add(1) }, f.gone)
	return Entry{Value: value, Version: 1}, true, nil
}

// A short command does not hold values without end: MGET reads no more than a reply may take, and what only counts keys keeps none.
func TestValuesOfOneCommandAreBounded(t *testing.T) {
	var asked, gone atomic.Int64
	f := copyFake{fake: newFake(), size: 1 << 20, asked: &asked, gone: &gone}
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprint("k", i))
	}
	w := dial(t, start(t, Config{Backend: f}).Addr())
	if got := w.do(append([]string{"mget"}, many...)...); got != "-"+errReplySize+"\r\n" {
		t.Errorf("%.100q", got)
	}
	if n := asked.Load(); n > 64+2*fanOut {
		t.Errorf("MGET read %d values of 1 MiB", n)
	}
	f.size, f.at = 1<<10, 600
	f.hook = func() {
		eventually(t, "most values are let go while the command runs", func() bool { runtime.GC(); return gone.Load() > 300 })
	}
	w = dial(t, start(t, Config{Backend: f, Timeout: time.Minute}).Addr())
	for _, verb := range []string{"exists", "touch"} {
		asked.Store(0)
		gone.Store(0)
		if got := w.do(append([]string{verb}, many...)...); got != ":600\r\n" {
			t.Errorf("%s: %q", verb, got)
		}
	}
}

// Reads of a pipeline that are made together do not hold values without end, and are all answered.
func TestValuesReadAheadAreBounded(t *testing.T) {
	const n, size = 100, 1 << 20
	for _, noLoops := range []bool{false, true} {
		var asked, gone atomic.Int64
		f := copyFake{fake: newFake(), size: size, asked: &asked, gone: &gone}
		var backend Backend = f
		if !noLoops {
			backend = laterFake{FastBackend: slowCopies{f}}
		}
		s := start(t, Config{Backend: backend, noLoops: noLoops})
		w := dial(t, s.Addr())
		w.send(strings.Repeat(cmd("strlen", "k"), n))
		for i := range n {
			if got := w.reply(); got != fmt.Sprintf(":%d\r\n", size) {
				t.Fatalf("reply %d: %q", i, got)
			}
		}
		if got := asked.Load(); got > 4*n {
			t.Errorf("%d values were read for %d replies", got, n)
		}
		c := newClient(s, nil)
		keys := bytes.Split(bytes.Repeat([]byte("k "), n), []byte(" "))
		if got := len(c.readAll(keys[:n])); got > aheadBytes/size+1 { // the first may come last
			t.Errorf("%d values are read ahead", got)
		}
		c.endContext()
		var sum atomic.Int64
		for i := range n {
			l := c.kept(lookup{entry: Entry{Value: make([]byte, size)}}, i, &sum)
			if dropped := l.err != nil; dropped != (i >= aheadBytes/size) {
				t.Errorf("value %d is let go: %t", i, dropped)
			}
		}
		c.forgetAhead()
	}
}

// slowCopies knows nothing in its memory.
type slowCopies struct{ copyFake }

func (slowCopies) LookupNow(string) (e Entry, found, ok bool) { return Entry{}, false, false }

// A command of too many arguments is refused, and the client goes on.
func TestArgumentsAreBounded(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		w := dial(t, start(t, Config{noLoops: noLoops}).Addr())
		for n, want := range map[int]string{maxArgs: ":0\r\n", maxArgs + 1: "-ERR huddle: more than 131072 arguments\r\n"} {
			many := "*" + fmt.Sprint(n) + "\r\n$6\r\nexists\r\n" + strings.Repeat("$1\r\nk\r\n", n-1)
			w.send(cmd("ping") + many + cmd("ping"))
			for _, want := range []string{"+PONG\r\n", want, "+PONG\r\n"} {
				if got := w.reply(); got != want {
					t.Errorf("%d arguments: %q, want %q", n, got, want)
				}
			}
		}
	}
}

// The limit of a reply holds for whatever is in it, in both protocols.
func TestEveryReplyIsBounded(t *testing.T) {
	s := start(t, Config{})
	text := strings.Repeat("t", 1<<20)
	for name, write := range map[string]func(c *client){
		"text":      func(c *client) { c.writeText(text) },
		"bulk":      func(c *client) { c.writeBulkString(text) },
		"simple":    func(c *client) { c.writeSimple(text) },
		"error":     func(c *client) { c.writeError(text) },
		"int":       func(c *client) { c.writeInt(1) },
		"null":      func(c *client) { c.writeNull() },
		"no array":  func(c *client) { c.writeNullArray() },
		"map":       func(c *client) { c.writeMap(7) },
		"set":       func(c *client) { c.writeSet(7) },
		"array":     func(c *client) { c.writeArray(7) },
		"yes":       func(c *client) { c.writeBool(true) },
		"all right": func(c *client) { c.writeOK() },
	} {
		for _, proto := range []int{2, 3} {
			c := newClient(s, nil)
			c.proto = proto
			c.out = make([]byte, maxReplyBytes-10)
			if write(c); c.over == nil || len(c.out) != maxReplyBytes-10 {
				t.Errorf("RESP%d: %s: %d bytes over the limit", proto, name, len(c.out)-maxReplyBytes)
			}
		}
	}
}

// The name of a client, which others may ask for, is bounded.
func TestClientNamesAreBounded(t *testing.T) {
	w := dial(t, start(t, Config{}).Addr())
	fits, long := strings.Repeat("n", 256), strings.Repeat("n", 257)
	for _, args := range [][]string{{"client", "setname"}, {"hello", "2", "setname"}} {
		if got := w.do(append(args, fits)...); strings.HasPrefix(got, "-") {
			t.Errorf("%v: %q", args, got)
		}
		if got := w.do(append(args, long)...); got != "-"+errNameSize+"\r\n" {
			t.Errorf("%v: %q", args, got)
		}
		if got := w.do("client", "getname"); !strings.Contains(got, "\r\n"+fits+"\r\n") {
			t.Errorf("%v: the name is %q", args, got)
		}
	}
}

func TestMaxConns(t *testing.T) {
	t.Parallel()
	s := start(t, Config{MaxConns: 2})
	a, b := dial(t, s.Addr()), dial(t, s.Addr())
	a.do("ping")
	b.do("ping")
	c := dial(t, s.Addr())
	if got := c.reply(); got != "-ERR max number of clients reached\r\n" {
		t.Error(got)
	}
	c.closed()
	if got := a.do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	a.send("quit\r\n")
	a.reply()
	a.closed()
	for deadline := time.Now().Add(10 * time.Second); ; {
		d := dial(t, s.Addr())
		if d.do("ping") == "+PONG\r\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a client that left is not given away")
		}
	}
}

func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := start(t, Config{WriteTimeout: 200 * time.Millisecond})
	w := dial(t, s.Addr())
	other := dial(t, s.Addr())
	w.do("set", "k", strings.Repeat("x", 1<<20))
	sent := make(chan error, 1)
	go func() {
		many := strings.Repeat(cmd("get", "k"), 10_000)
		for range 1000 { // nothing is read; the server stops to take commands, and then hangs up
			w.wait()
			if _, err := io.WriteString(w.conn, many); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	if err := <-sent; err == nil || isTimeout(err) {
		t.Errorf("a client that does not read is served for ever: %v", err)
	}
	if got := other.do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
}

func TestTransactionLimits(t *testing.T) {
	t.Parallel()
	s := start(t, Config{MaxPipeline: 3})
	w := dial(t, s.Addr())
	w.do("multi")
	for range 3 {
		if got := w.do("ping"); got != "+QUEUED\r\n" {
			t.Error(got)
		}
	}
	if got := w.do("ping"); got != "-ERR huddle: transaction over the size limit of 3 commands or 5242880 bytes of memory: send it in parts, or as a pipeline without MULTI\r\n" {
		t.Error(got)
	}
	if got := w.do("exec"); !strings.HasPrefix(got, "-EXECABORT") {
		t.Error(got)
	}
	// A pipeline may be longer.
	w.send(strings.Repeat("ping\r\n", 1000))
	for range 1000 {
		if got := w.reply(); got != "+PONG\r\n" {
			t.Fatal(got)
		}
	}
}
