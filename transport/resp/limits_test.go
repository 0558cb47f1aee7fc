package resp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
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

// Who owes the password is cut off, however busy it is; who has given it may stay.
func TestLoginIsLimitedInTime(t *testing.T) {
	const limit = 300 * time.Millisecond
	s := start(t, Config{Password: "secret", loginTime: limit})
	in, out := dial(t, s.Addr()), dial(t, s.Addr())
	if got := in.do("auth", "secret"); got != "+OK\r\n" {
		t.Error(got)
	}
	began := time.Now()
	for {
		if _, err := io.WriteString(out.conn, cmd("ping")); err != nil {
			break
		}
		if _, err := resptest.ReadReply(out.r); err != nil {
			break
		}
	}
	if d := time.Since(began); d < limit/2 || d > 10*time.Second {
		t.Errorf("cut off after %v", d)
	}
	if got := in.do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
}

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

// Matching a pattern ends with the command's time and with the server, and a pattern is bounded in length.
func TestMatchingIsBounded(t *testing.T) {
	class := "[" + strings.Repeat("b", 400) + "]"
	slow := "*" + strings.Repeat("?", 500) + class // of a million bytes, each is a start that 500 more follow
	member := strings.Repeat("a", 1_000_000)
	long := "-ERR huddle: pattern over 1024 bytes\r\n"

	s := start(t, Config{MaxValueBytes: 2 << 20, Timeout: time.Nanosecond})
	c := newClient(s, nil)
	g, ok := compileGlob(c.context(), []byte(slow))
	if !ok {
		t.Fatal("the pattern is refused")
	}
	if _, err := match(g, member); !errors.Is(err, errMatching) {
		t.Errorf("after its time, matching ends with %v", err)
	}
	c.endContext()

	s = start(t, Config{MaxValueBytes: 2 << 20, Timeout: time.Hour})
	w := dial(t, s.Addr())
	w.do("sadd", "s", member)
	for _, args := range [][]string{{"sscan", "s", "0", "match"}, {"scan", "0", "match"}, {"keys"}, {"config", "get"}} {
		if got := w.do(append(args, strings.Repeat("x", 1025))...); got != long {
			t.Errorf("%s: %q", args[0], got)
		}
		if got := w.do(append(args, strings.Repeat("x", 1024))...); got == long {
			t.Errorf("%s: %q", args[0], got)
		}
	}
	// Each member takes a while; that Close does not wait for all of them shows in the error that ends the command.
	done, cancel := context.WithCancel(t.Context())
	g, _ = compileGlob(done, []byte(slow))
	cancel()
	if _, err := match(g, member); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the server, matching ends with %v", err)
	}
	if _, err := g.matching([]string{member, member}); !errors.Is(err, context.Canceled) {
		t.Errorf("likewise of keys: %v", err)
	}
	// Classes are compiled: what they take does not go with their length.
	if size := len(g.elements); size != 502 {
		t.Errorf("%d elements", size)
	}
}

// A command whose pattern takes too long is answered with an error, and not with a part of what there is.
func TestMatchingThatTakesTooLong(t *testing.T) {
	f := newFake()
	s := start(t, Config{Backend: f, Timeout: time.Hour})
	w := dial(t, s.Addr())
	for i := range 200 {
		w.do("sadd", "s", fmt.Sprint(i, strings.Repeat("a", 1000)))
	}
	c := newClient(s, nil)
	bodies, err := c.readSet([]byte("s"), &claim{srv: s})
	if err != nil {
		t.Fatal(err)
	}
	c.endContext()
	ended, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	g, _ := compileGlob(ended, []byte("*a*b"))
	c.writeMembers(bodies, c.writeArray, g)
	if got := string(c.out); got != "-ERR huddle: to match the pattern takes too long\r\n" {
		t.Errorf("%.100q", got)
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

// Who owes the password takes nothing of what clients may send together, and keeps no one else from sending.
func TestStrangersTakeNoRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		const limit = 256 << 10
		s := start(t, Config{Password: strings.Repeat("p", maxPassword), maxBuffered: limit, noLoops: noLoops, loginTime: time.Minute})
		var strangers []*wire
		for _, half := range []string{
			"*3\r\n$4\r\nauth\r\n$7000\r\n" + strings.Repeat("x", 6900),
			strings.Repeat("x", 8000), // a line
			strings.Repeat("ping\r\n", 1300) + "pin",
		} {
			for range 100 {
				w := dial(t, s.Addr())
				go func() { _, _ = io.Copy(io.Discard, w.conn) }()
				w.send(half)
				strangers = append(strangers, w)
			}
		}
		arg := "$12000\r\n" + strings.Repeat("x", 12_000) + "\r\n"
		for range 20 {
			conn, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "*10\r\n$4\r\nauth\r\n"+strings.Repeat(arg, 8)) // it is cut off before all is sent
		}
		w := dial(t, s.Addr())
		if got := w.do("auth", strings.Repeat("u", 3000), "x"); !strings.HasPrefix(got, "-WRONGPASS") {
			t.Errorf("a long name: %q", got)
		}
		if got := w.do("auth", "default", strings.Repeat("p", maxPassword)); got != "+OK\r\n" {
			t.Errorf("a long password: %q", got)
		}
		for range 3 {
			if got := w.do("set", "k", strings.Repeat("v", 100_000)); got != "+OK\r\n" {
				t.Errorf("%q", got)
			}
		}
		if got := w.do("ping"); got != "+PONG\r\n" {
			t.Error(got)
		}
		eventually(t, "those are left that sent no more than they may", func() bool { return clientsOf(s) == len(strangers)+1 })
		eventually(t, "only the buffers of the one who is in are counted", func() bool { return s.buffered.Load() <= limit })
	}
}

// When all places are taken, who owes the password for longest makes room for who comes; who has given it stays.
func TestStrangersMakeRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{Password: "secret", MaxConns: 4, noLoops: noLoops, loginTime: time.Hour})
		in := dial(t, s.Addr())
		if got := in.do("auth", "secret"); got != "+OK\r\n" {
			t.Fatal(got)
		}
		left := dial(t, s.Addr()) // it gives its place back
		left.do("auth", "secret")
		left.do("reset")
		var silent []*wire
		for range 20 {
			silent = append(silent, dial(t, s.Addr()))
			eventually(t, "it has a place, and who made room has gone", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.leaving == 0 && int(s.lastID.Load()) == 2+len(silent)
			})
		}
		w := dial(t, s.Addr())
		if got := w.do("auth", "secret"); got != "+OK\r\n" {
			t.Errorf("who comes when all places are taken: %q", got)
		}
		left.closed()
		for _, w := range silent[:18] {
			w.closed()
		}
		for _, w := range silent[18:] {
			if got := w.do("auth", "secret"); got != "+OK\r\n" {
				t.Errorf("the last to come: %q", got)
			}
		}
		for _, w := range append(silent[18:], in, w) {
			if got := w.do("ping"); got != "+PONG\r\n" {
				t.Errorf("who is in: %q", got)
			}
		}
		late := dial(t, s.Addr())
		if got := late.reply(); got != "-ERR max number of clients reached\r\n" {
			t.Errorf("when all that are there have logged in: %q", got)
		}
		s.mu.Lock()
		if s.owing.Len() > 0 || s.leaving > 0 {
			t.Errorf("%d owe the password, %d leave", s.owing.Len(), s.leaving)
		}
		s.mu.Unlock()
	}
}

// Who does not take what it is sent, and owes the password, is closed all the same.
func TestStrangersThatDoNotReadMakeRoom(t *testing.T) {
	for _, noLoops := range []bool{false, true} {
		s := start(t, Config{Password: "secret", MaxConns: 1, noLoops: noLoops, loginTime: time.Hour, WriteTimeout: time.Hour})
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for err == nil { // until it is not received any more
			_, err = io.WriteString(conn, strings.Repeat(cmd("ping"), 1000))
		}
		w := dial(t, s.Addr())
		if got := w.do("auth", "secret"); got != "+OK\r\n" {
			t.Errorf("no loops %t: %q", noLoops, got)
		}
		eventually(t, "the other has gone", func() bool { return clientsOf(s) == 1 })
	}
}

// SECURITY.md states how long the password may take.
func TestTimeForThePassword(t *testing.T) {
	cfg, err := Config{Backend: newFake()}.withDefaults()
	if err != nil || cfg.loginTime != 10*time.Second {
		t.Errorf("%v, %v", cfg.loginTime, err)
	}
}
