package resp

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
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
