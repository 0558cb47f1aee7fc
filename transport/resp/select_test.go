package resp

import (
	"strings"
	"sync/atomic"
	"testing"
)

// What a client sends after a SELECT that was refused is meant for another database: nothing of it is carried out, however it comes.
func TestNothingIsDoneForAnotherDatabase(t *testing.T) {
	const rangeError = "-ERR DB index is out of range: huddle has database 0 only\r\n"
	const refused = "-ERR huddle: not carried out, because SELECT 1 was refused before: there is database 0 only. Use another cluster for other data, or SELECT 0\r\n"
	many := manyFake{fastFake{newFake()}, new(atomic.Int64)}
	for name, cfg := range map[string]Config{
		"loops, begun":     {Backend: laterFake{FastBackend: neverFast{newFake()}}},
		"loops, in memory": {Backend: laterFake{FastBackend: fastFake{newFake()}}},
		"loops, many":      {Backend: many},
		"goroutines":       {Backend: neverFast{newFake()}, noLoops: true},
	} {
		t.Run(name, func(t *testing.T) {
			var log lines
			cfg.Logger, cfg.Password = log.logger(), "secret"
			s := start(t, cfg)
			other := dial(t, s.Addr())
			other.do("auth", "secret")
			other.do("set", "k", "session")
			other.do("sadd", "s", "member")
			w := dial(t, s.Addr())
			if got := w.do("auth", "secret") + w.do("select", "1"); got != "+OK\r\n"+rangeError {
				t.Fatal(got)
			}
			for name, cmd := range s.commands {
				if cmd.keyless || cmd.run == nil {
					continue
				}
				args, arity := []string{name}, cmd.arity
				if cmd.subs != nil {
					args, arity = append(args, cmd.subs[0].name), cmd.subs[0].arity
				}
				for len(args) < max(arity, -arity) {
					args = append(args, "k")
				}
				if got := w.do(args...); got != refused {
					t.Errorf("%q: %q", args, got)
				}
			}
			pipeline := cmd("set", "k", "x") + cmd("set", "k2", "x") + cmd("del", "k") + cmd("get", "k") + cmd("get", "s") + cmd("flushdb") + cmd("flushall")
			w.send(pipeline)
			for i := range 7 {
				if got := w.reply(); got != refused {
					t.Errorf("reply %d of a pipeline: %q", i, got)
				}
			}
			// Neither a login nor another protocol is another database.
			if got := w.do("auth", "secret") + w.do("select", "abc") + w.do("ping"); got != "+OK\r\n-"+errNotInt+"\r\n+PONG\r\n" {
				t.Error(got)
			}
			if got := w.do("hello", "3", "auth", "default", "secret"); got[0] != '%' {
				t.Error(got)
			}
			if got := w.do("flushdb"); got != refused {
				t.Error(got)
			}
			w.do("multi")
			w.do("set", "k", "x")
			w.do("ping")
			w.do("flushall")
			if got := w.do("exec"); got != "*3\r\n"+refused+"+PONG\r\n"+refused {
				t.Error(got)
			}
			if got := other.do("get", "k") + other.do("dbsize"); got != "$7\r\nsession\r\n:2\r\n" {
				t.Errorf("what was there: %q", got)
			}

			// The way back.
			if got := w.do("select", "0") + w.do("get", "k"); got != "+OK\r\n$7\r\nsession\r\n" {
				t.Error(got)
			}
			w.do("multi")
			w.do("select", "1")
			w.do("flushdb")
			w.do("select", "0")
			w.do("get", "k")
			if got := w.do("exec"); got != "*4\r\n"+rangeError+refused+"+OK\r\n$7\r\nsession\r\n" {
				t.Error(got)
			}
			w.send(cmd("select", "1") + cmd("flushall") + cmd("reset") + cmd("auth", "secret") + cmd("get", "k"))
			for _, want := range []string{rangeError, refused, "+RESET\r\n", "+OK\r\n", "$7\r\nsession\r\n"} {
				if got := w.reply(); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
			for _, n := range []string{"-1", "99"} {
				if got := w.do("select", n) + w.do("flushdb"); got != rangeError+strings.Replace(refused, "SELECT 1", "SELECT "+n, 1) {
					t.Error(got)
				}
			}
			if n := strings.Count(log.text(), "selects another database"); n != 1 {
				t.Errorf("it is logged %d times", n)
			}
		})
	}
}
