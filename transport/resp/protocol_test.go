package resp

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/redcon"

	"github.com/huddle-cache/huddle/transport/resp/resptest"
)

// TestRawBytes sends bytes and compares all that comes back.
func TestRawBytes(t *testing.T) {
	big := strings.Repeat("x", 2000)
	many := "-ERR huddle: more than 131072 arguments\r\n"
	large := "-ERR huddle: argument or command over the size limit: an argument of more than 1000 bytes, or more than 1052576 in all\r\n"
	for _, tc := range []struct {
		name, send, want string
		closed           bool
	}{
		{name: "inline", send: "set k v\r\nget k\r\n", want: "+OK\r\n$1\r\nv\r\n"},
		{name: "inline, line feed alone", send: "PING\nPING\n", want: "+PONG\r\n+PONG\r\n"},
		{name: "inline with quotes", send: `set k "a\x41\n\"" ` + "\r\nget 'k'\r\n", want: "+OK\r\n$4\r\naA\n\"\r\n"},
		{name: "inline with open quotes", send: "ping\r\nget \"k\r\n", want: "+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n", closed: true},
		{name: "inline with text behind quotes", send: "get \"k\"x\r\n", want: "-ERR Protocol error: unbalanced quotes in request\r\n", closed: true},
		{name: "inline after encoded", send: "*1\r\n$4\r\nping\r\nping\r\n*1\r\n$4\r\nping\r\n", want: "+PONG\r\n+PONG\r\n+PONG\r\n"},
		{name: "empty lines", send: "\r\n\n   \r\nping\r\n\r\nping\r\n", want: "+PONG\r\n+PONG\r\n"},
		{name: "empty commands", send: "*0\r\n*-1\r\nping\r\n*0\r\nping\r\n*0\r\n", want: "+PONG\r\n+PONG\r\n"},
		{name: "bad count", send: "ping\r\n*x\r\n", want: "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n", closed: true},
		{name: "huge count", send: "*99999999999\r\n", want: "-ERR Protocol error: invalid multibulk length\r\n", closed: true},
		{name: "no bulk", send: "*1\r\n+ping\r\n", want: "-ERR Protocol error: expected '$', got '+'\r\n", closed: true},
		{name: "bad length", send: "*1\r\n$x\r\n", want: "-ERR Protocol error: invalid bulk length\r\n", closed: true},
		{name: "negative length", send: "*2\r\n$4\r\nping\r\n$-5\r\n", want: "-ERR Protocol error: invalid bulk length\r\n", closed: true},
		{name: "largest length", send: "*1\r\n$9223372036854775807\r\nx", want: "-ERR Protocol error: invalid bulk length\r\n", closed: true},
		{name: "length a little short of overflow", send: "*1\r\n$9223372036854775800\r\nx", want: "-ERR Protocol error: invalid bulk length\r\n", closed: true},
		{name: "bulk too long", send: "*1\r\n$4\r\npingxx\r\n", want: "-ERR Protocol error: invalid bulk length\r\n", closed: true},
		{name: "native protocol of tile38", send: "$4 ping\r\n", want: "-ERR unknown command '$4', with args beginning with: 'ping' \r\n"},
		{name: "long line", send: strings.Repeat("a", 70000), want: "-ERR Protocol error: too big inline request\r\n", closed: true},
		{name: "long count", send: "*" + strings.Repeat("1", 70000), want: "-ERR Protocol error: too big mbulk count string\r\n", closed: true},
		{name: "long length", send: "*1\r\n$" + strings.Repeat("1", 70000), want: "-ERR Protocol error: too big bulk count string\r\n", closed: true},
		{name: "value too large", send: cmd("set", "k", big) + cmd("ping") + cmd("get", "k"), want: large + "+PONG\r\n$-1\r\n"},
		{name: "value too large behind others", send: cmd("ping") + cmd("set", "k", big) + cmd("ping"), want: "+PONG\r\n" + large + "+PONG\r\n"},
		{
			name: "value too large in a transaction", send: cmd("multi") + cmd("set", "k", big) + cmd("set", "k", "v") + cmd("exec") + cmd("exists", "k"),
			want: "+OK\r\n" + large + "+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n:0\r\n",
		},
		{name: "value of megabytes", send: cmd("set", "k", strings.Repeat("x", 3<<20)) + cmd("ping"), want: large + "+PONG\r\n"},
		{name: "command too large", send: "*120001\r\n$3\r\ndel\r\n" + strings.Repeat("$5\r\nxxxxx\r\n", 120_000) + cmd("ping"), want: large + "+PONG\r\n"},
		{name: "too many arguments", send: cmd(append([]string{"del"}, make([]string, 300_000)...)...) + cmd("ping"), want: many + "+PONG\r\n"},
		{name: "bad bytes after a value too large", send: cmd("set", "k", big) + "*x\r\n", want: large + "-ERR Protocol error: invalid multibulk length\r\n", closed: true},
		{name: "bare del", send: "*1\r\n$3\r\ndel\r\nping\r\n", want: "-ERR wrong number of arguments for 'del' command\r\n+PONG\r\n"},
		{name: "quit", send: "ping\r\nquit\r\nping\r\n", want: "+PONG\r\n+OK\r\n", closed: true},
		{name: "a browser", send: "POST / HTTP/1.1\r\nHost: x\r\n\r\nset k v\r\n", want: "", closed: true},
		{name: "replies off", send: "client reply off\r\nset k v\r\nfoo\r\nclient reply on\r\nping\r\n", want: "+OK\r\n+PONG\r\n"},
		{name: "reply left out", send: "client reply skip\r\nset k v\r\nping\r\n", want: "+PONG\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, alone := start(t, Config{MaxValueBytes: 1000}), start(t, Config{MaxValueBytes: 1000, noLoops: true})
			for _, piece := range []int{len(tc.send), 7, 0} {
				s := s
				if piece == 0 {
					s, piece = alone, len(tc.send)
				}
				w := dial(t, s.Addr())
				sent := make(chan struct{})
				go func() { // the server may hang up in the middle, so errors are none
					defer close(sent)
					for b := []byte(tc.send); len(b) > 0; {
						n, err := w.conn.Write(b[:min(piece, len(b))])
						if err != nil {
							return
						}
						b = b[n:]
					}
					if !tc.closed {
						_, _ = w.conn.Write([]byte(cmd("echo", "that is all")))
					}
				}()
				want := tc.want
				if !tc.closed {
					want += "$11\r\nthat is all\r\n"
				}
				got := make([]byte, len(want))
				if n, err := io.ReadFull(w.r, got); err != nil || string(got) != want {
					t.Errorf("pieces of %d: %q, %v, want %q", piece, got[:n], err, want)
				}
				<-sent
				if tc.closed {
					w.closed()
				}
				if piece == len(tc.send) {
					dial(t, s.Addr()).do("flushall")
				}
				if len(tc.send) > 1<<20 {
					break // in small pieces it would take long and show nothing more
				}
			}
		})
	}
}

// TestScannerPieces feeds the same bytes in pieces of random sizes: what comes out must not depend on them.
func TestScannerPieces(t *testing.T) {
	lim := limits{args: 20, bulk: 50, frame: 200, commands: 3}
	words := []string{"", "a", "hello", strings.Repeat("x", 50), strings.Repeat("y", 51), "*1\r\n", "\r\n"}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var in, want []byte
		for range 30 {
			switch rnd.IntN(6) {
			case 0:
				in = append(in, "ping  'x y'\r\n"...)
				want = append(want, encode([]byte("ping"), []byte("x y"))...)
			case 1:
				in = append(in, []string{"\r\n", "*0\r\n", "*-1\r\n", "\n"}[rnd.IntN(4)]...)
			default:
				var args [][]byte
				over := false
				for range 1 + rnd.IntN(5) {
					w := words[rnd.IntN(len(words))]
					args = append(args, []byte(w))
					over = over || len(w) > lim.bulk
				}
				raw := encode(args...)
				size := len(raw)
				in = append(in, raw...)
				if over || size > lim.frame {
					raw = encode([]byte(tooLarge))
				}
				want = append(want, raw...)
			}
		}
		var s scanner
		var got []byte
		for rest := in; ; {
			out, err := s.next(lim)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got = append(got, out...); len(out) > 0 {
				continue
			}
			if len(rest) == 0 {
				break
			}
			n := copy(s.room(0), rest[:min(len(rest), 1+rnd.IntN(40))])
			s.received(n)
			rest = rest[n:]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %q, want %q", seed, got, want)
		}
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Password: "secret"})
	w := dial(t, s.Addr())
	steps := func(w *wire, pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			w.send(pairs[i] + "\r\n")
			if got := w.reply(); got != pairs[i+1] && !strings.HasPrefix(got, pairs[i+1]) {
				t.Errorf("%s: %q, want %q", pairs[i], got, pairs[i+1])
			}
		}
	}
	const no, wrong = "-NOAUTH Authentication required.\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	steps(w,
		"ping", no, "get k", no, "set k v", no, "multi", no, "info", no, "hello",
		"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used",
		"hello 3", "-NOAUTH HELLO must be called", "hello 3 auth default wrong", wrong, "auth wrong", wrong, "auth default wrong", wrong,
		"auth other secret", wrong, "auth", "-ERR wrong number", "get k", no,
		"auth secret", "+OK\r\n", "get k", "$-1\r\n", "auth wrong", wrong, "ping", "+PONG", "reset", "+RESET", "ping", no,
		"hello 3 auth default secret setname me", "%7", "get k", "_", "client getname", "$2\r\nme")

	w = dial(t, s.Addr())
	value := strings.Repeat("x", 100_000)
	w.send(cmd("auth", "default", "secret") + cmd("set", "k", value) + cmd("strlen", "k"))
	if got := w.reply() + w.reply() + w.reply(); got != "+OK\r\n+OK\r\n:100000\r\n" {
		t.Errorf("a large value behind AUTH: %q", got)
	}
	for send, want := range map[string]string{
		"*2\r\n$3\r\nget\r\n$20000\r\n": "-ERR Protocol error: unauthenticated bulk length\r\n",
		"*3\r\n$5\r\nhello\r\n$5000\r\n" + strings.Repeat("x", 5000) + "\r\n$5000\r\n": "-ERR Protocol error: unauthenticated command too long\r\n",
		"*" + strings.Repeat("0", 8191): "-ERR Protocol error: unauthenticated command too long\r\n",
		"*11\r\n":                       "-ERR Protocol error: unauthenticated multibulk length\r\n",
	} {
		w = dial(t, s.Addr())
		w.send(send)
		if got := w.reply(); got != want {
			t.Errorf("%q: %q, want %q", send, got, want)
		}
		w.closed()
	}
	w = dial(t, s.Addr())
	w.send("\r\n*0\r\n\r\nauth secret\r\nping\r\n") // empty lines count for nothing
	if got := w.reply() + w.reply(); got != "+OK\r\n+PONG\r\n" {
		t.Error(got)
	}
	w = dial(t, s.Addr())
	w.send("quit\r\n")
	if got := w.reply(); got != "+OK\r\n" {
		t.Error(got)
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

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"a*c", "abc", true},
		{"a*c", "abcb", false},
		{"*a*b*", "xxaxxbxx", true},
		{"h?llo", "hello", true},
		{"h?llo", "hllo", false},
		{"h[ae]llo", "hallo", true},
		{"h[^ae]llo", "hallo", false},
		{"h[a-c]llo", "hbllo", true},
		{"h[c-a]llo", "hbllo", true},
		{`h\*llo`, "h*llo", true},
		{`h\*llo`, "hello", false},
		{`[\]]`, "]", true},
		{"[", "[", false},
		{"[]", "a", false},
		{"[^]", "a", true},
		{"[a", "a", true},
		{`a\`, `a\`, true},
		{strings.Repeat("a*", 50) + "b", strings.Repeat("a", 1000), false},
	} {
		pattern, _ := compileGlob(t.Context(), []byte(tc.pattern))
		if got, err := match(pattern, tc.s); got != tc.want || err != nil {
			t.Errorf("match(%q, %q) = %v, %v", tc.pattern, tc.s, got, err)
		}
	}
}

// FuzzServer sends any bytes: the server must not fall over, and must go on to answer others.
// Run it with -fuzzminimizetime 1x: what a server covers is not the same in each run, and minimizing takes all the time.
func FuzzServer(f *testing.F) {
	for _, script := range resptest.Scripts() {
		f.Add([]byte(script))
	}
	f.Add([]byte(cmd("set", "k", "v") + cmd("multi") + cmd("get", "k") + cmd("exec")))
	f.Add([]byte("*1\r\n$9223372036854775807\r\n"))
	f.Add([]byte("*2\r\n$3\r\nget\r\n$-5\r\n"))
	f.Add([]byte("hello 3\r\nsadd s a b\r\nsmembers s\r\nsscan s 0\r\n"))
	s := start(f, Config{MaxValueBytes: 500, splitAt: 40, pruneIn: 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := dial(t, s.Addr())
		go func() {
			_, _ = w.conn.Write(raw)
			_, _ = w.conn.Write([]byte("\r\nquit\r\n"))
			if c, ok := w.conn.(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite()
			}
		}()
		if _, err := io.Copy(io.Discard, w.r); isTimeout(err) {
			t.Error("the connection hangs")
		}
		if got := dial(t, s.Addr()).do("ping"); got != "+PONG\r\n" {
			t.Errorf("another client is answered %q", got)
		}
	})
}

// FuzzQuick: what the quick way takes, the other takes too, and reads the same in it.
func FuzzQuick(f *testing.F) {
	f.Add([]byte(cmd("get", "k")))
	f.Add([]byte(cmd("set", "k", strings.Repeat("v", 100)) + cmd("get", "")))
	for _, odd := range []string{
		"*2\r\n$3\r\nget\r\n$01\r\nk\r\n", "*02\r\n$3\r\nget\r\n$1\r\nk\r\n", "*1\r\n$\r\n\r\n", "*\r\n", "*0\r\n", "*1\r\n$-0\r\n\r\n",
		"*1\r\n$00000004\r\nping\r\n", "*1\r\n$4\r\npingpong", "*1\r\n$4\nping\r\n", "*1\r\n$0\r\n\r\n", "*1\r\n$4\r\nping\r",
	} {
		f.Add([]byte(odd))
	}
	lim := limits{args: 20, bulk: 200, frame: 500, commands: 1}
	f.Fuzz(func(t *testing.T, raw []byte) {
		quick := scanner{buf: raw[:len(raw):len(raw)]}
		args, ok := quick.quick(lim, nil)
		if !ok {
			if len(args) != 0 || quick.start != 0 {
				t.Fatalf("%q is not taken, but %q of it is", raw, args)
			}
			return
		}
		slow := scanner{buf: raw[:len(raw):len(raw)]}
		frame, err := slow.next(lim)
		if err != nil || len(frame) != quick.start || slow.start != quick.start {
			t.Fatalf("of %q the quick way takes %d bytes, the other %d and %v", raw, quick.start, len(frame), err)
		}
		_, want, _, rest, err := redcon.ReadNextCommand(frame, nil)
		if err != nil || len(rest) != 0 || !slices.EqualFunc(args, want, bytes.Equal) {
			t.Fatalf("%q is read as %q, and as %q, %v", raw, args, want, err)
		}
	})
}

// FuzzSet reads any bytes as a stored set, and a set made of them back.
func FuzzSet(f *testing.F) {
	f.Add(encodeSet([]member{{name: []byte("a")}, {name: []byte("ab"), named: true}, {name: []byte("b"), named: true, gone: true}}))
	f.Add([]byte(magic + "s\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(magic + "s\x02\x00\x01a\xff\xff\xff\xff\x0f\x01"))
	f.Add([]byte(magic + "p" + magic))
	f.Add(top{partsID{1, 2, 3}, true}.stored())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if k, value := unwrap(wrap(raw)); k != plain || !bytes.Equal(value, raw) {
			t.Fatalf("a plain value reads back as %q", value)
		}
		switch k, body := unwrap(raw); k {
		case set:
			if all, err := decodeSet(body); err == nil {
				again, err := decodeSet(encodeSet(all)[len(magic)+1:])
				if err != nil || !slices.EqualFunc(all, again, sameMember) {
					t.Fatalf("%v reads back as %v, %v", all, again, err)
				}
			}
		case parts:
			if up, err := parseTop(body); err == nil && !bytes.Equal(up.stored(), raw) {
				t.Fatalf("%v reads back as %q", up, up.stored())
			}
		}
		var given []member
		for i, name := range sorted(bytes.Split(raw, []byte{0})) {
			given = append(given, member{name, i%2 == 0, i%3 == 0})
		}
		k, body := unwrap(encodeSet(given))
		if k != set {
			t.Fatal("a set is not read as one")
		}
		all, err := decodeSet(body)
		if err != nil || !slices.EqualFunc(all, given, sameMember) {
			t.Fatalf("%v reads back as %v, %v", given, all, err)
		}
		half := given[len(given)/2:]
		rest := exclude(given, half)
		with, added := include(rest, half)
		if added != len(half) || len(with) != len(given) || !slices.IsSortedFunc(with, byName) {
			t.Fatalf("%d without %d are %d, and with them again %d, %d of them new", len(given), len(half), len(rest), len(with), added)
		}
	})
}

// FuzzHash reads any bytes as a stored hash, and does with them what it would do with an ordered map.
func FuzzHash(f *testing.F) {
	whole, _, _ := putFields(nil, fieldsGiven([][]byte{[]byte("a"), []byte("1"), nil, nil, []byte("b"), []byte("2")}))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte(magic + "h"))
	f.Add([]byte(magic + "h\x02\x00"))
	f.Add([]byte(magic + "h\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(magic + "h\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01"))
	f.Add([]byte(magic + "h\x01\x02\x01a\x01b\x01a\x01c"))
	f.Add([]byte("a\x001\x00b\x002\x00a\x003"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if k, value := unwrap(wrap(raw)); k != plain || !bytes.Equal(value, raw) {
			t.Fatalf("a plain value reads back as %q", value)
		}
		given := bytes.Split(raw, []byte{0})
		if k, body := unwrap(raw); k == hash {
			n := 0
			var bad error
			for _, err := range fields(body) {
				if bad = err; err == nil {
					n++
				}
			}
			if count, err := fieldCount(body); bad == nil && (err != nil || count != n) {
				t.Fatalf("%d fields are counted as %d, %v", n, count, err)
			}
			if _, _, err := putFields(body, fieldsGiven(given)); (err == nil) != (bad == nil) {
				t.Fatalf("it is read with %v, and changed with %v", bad, err)
			}
			if _, _, err := dropFields(body, given); (err == nil) != (bad == nil) {
				t.Fatalf("it is read with %v, and changed with %v", bad, err)
			}
		}
		var names []string
		values := make(map[string]string)
		var body []byte
		for i := 0; i+1 < len(given); i += 2 { // one command for each
			name, value := string(given[i]), string(given[i+1])
			_, there := values[name]
			if !there {
				names = append(names, name)
			}
			values[name] = value
			stored, created, err := putFields(body, fieldsGiven(given[i:i+2]))
			if err != nil || (created == 1) == there {
				t.Fatalf("%q: %d new, %v", name, created, err)
			}
			k, now := unwrap(stored)
			if body = now; k != hash || IsSet(stored) {
				t.Fatal("a hash is not read as one")
			}
		}
		if all, _, err := putFields(nil, fieldsGiven(given)); len(names) > 0 && (err != nil || !bytes.Equal(all[len(magic)+1:], body)) {
			t.Fatalf("all at once: %q, %v, one by one: %q", all, err, body)
		}
		check := func(body []byte) {
			i := 0
			for f, err := range fields(body) {
				if err != nil || i == len(names) || string(f.name) != names[i] || string(f.value) != values[names[i]] {
					t.Fatalf("%q, field %d: %q, %v", body, i, f, err)
				}
				i++
			}
			if i != len(names) {
				t.Fatalf("%d fields, want %d", i, len(names))
			}
			got, err := valuesOf(body, given)
			for i, name := range given {
				one, oneErr := valueOf(body, name)
				want, ok := values[string(name)]
				if err != nil || oneErr != nil || (got[i] != nil) != ok || string(got[i]) != want || (one != nil) != ok || string(one) != want {
					t.Fatalf("%q: %q, %v, and %q, %v; want %q", name, got[i], err, one, oneErr, want)
				}
			}
		}
		check(body)
		if len(names) < 2 {
			return
		}
		gone := names[len(names)/2]
		rest, dropped, err := dropFields(body, [][]byte{[]byte(gone), []byte(gone)})
		if err != nil || dropped != 1 {
			t.Fatalf("%d dropped, %v", dropped, err)
		}
		names = slices.Delete(names, len(names)/2, len(names)/2+1)
		delete(values, gone)
		check(rest[len(magic)+1:])
	})
}

func sameMember(a, b member) bool {
	return bytes.Equal(a.name, b.name) && a.named == b.named && a.gone == b.gone
}
