package resptest

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

var quit = Command("quit")

// CompareBytes sends bytes to a Redis and to the server at the address ours, each on fresh connections, in RESP2 and in RESP3, and compares all
// that comes back until the connection is closed: what is said of bytes that are no proper command too.
func CompareBytes(t *testing.T, redis, ours string) {
	for _, proto := range []string{"2", "3"} {
		for _, raw := range byteSequences() {
			var got [2]string
			for i, addr := range []string{redis, ours} {
				c := dial(t, addr)
				c.do("flushall")
				c.do("hello", proto)
				c.send(raw)
				if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
					t.Error(err)
				}
				if !strings.HasSuffix(raw, quit) { // for then Redis does not send all of a large reply
					_ = c.Conn.(interface{ CloseWrite() error }).CloseWrite() // fails if the connection has been closed
				}
				all, err := io.ReadAll(c.r)
				if e, ok := err.(net.Error); ok && e.Timeout() { // else it was closed with bytes that were not taken
					t.Errorf("%q: %s does not close the connection", raw[:min(len(raw), 200)], addr)
				}
				got[i] = string(all)
			}
			if got[0] != got[1] {
				same := 0
				for same < min(len(got[0]), len(got[1])) && got[0][same] == got[1][same] {
					same++
				}
				cut := func(s string) string { return s[:min(len(s), 200)] }
				t.Errorf("RESP%s, %q: after %d bytes %q, Redis: %q", proto, cut(raw), same, cut(got[1][same:]), cut(got[0][same:]))
			}
		}
	}
}

// byteSequences are what a client may send on one connection, one sequence each.
func byteSequences() []string {
	var every strings.Builder
	for b := range 256 {
		every.WriteByte(byte(b))
	}
	all, large := every.String(), strings.Repeat("v", 900_000)
	pipeline := func(lines ...string) string {
		var s strings.Builder
		for _, line := range lines {
			args := strings.Fields(line)
			for i, arg := range args {
				args[i] = strings.NewReplacer("ALL", all, "LARGE", large, "EMPTY", "", "CRLF", "\r\n").Replace(arg)
			}
			s.WriteString(Command(args...))
		}
		return s.String() + quit
	}
	return []string{
		// Lines as typed by hand.
		"PING\n",
		"   ping   \r\n\tping\r\n\r\n\r\nping\r\n",
		"echo " + strings.Repeat("x", 60_000) + "\r\n",
		"echo \"a\\x41\\n\\q\"\r\necho 'a\\'b\\n'\r\necho \"\"\r\n",
		"echo \"a\"b\r\nping\r\n",
		"echo \xff\xfe\r\nset \xff\x01 1\r\nget \xff\x01\r\n",
		strings.Repeat("x", 70_000),
		// What is no command, and what is an odd one.
		"*0\r\nping\r\n",
		"*-1\r\nping\r\n",
		"*1\r\n$-1\r\nping\r\n",
		"*x\r\n",
		"*01\r\n$4\r\nping\r\n",
		"*+1\r\n$4\r\nping\r\n",
		"*1 \r\n$4\r\nping\r\n",
		"*1\r\n:1\r\n",
		"*1\r\n$x\r\n",
		"*1\r\n$04\r\nping\r\n",
		"*1\r\n$536870913\r\n",
		"*1\r\n$4\r\nPING\r\n*1\r\n$0\r\n\r\nping\r\n",
		"*2\r\n$3\r\nget\r\n$1\r\n", // not whole
		// Any bytes, and many.
		pipeline("set ALL ALL", "get ALL", "type ALL", "strlen ALL", "keys *", "exists ALL", "scan 0 count 1000", "getdel ALL"),
		pipeline("set large LARGE", "get large", "strlen large", "getset large x"),
		pipeline("hset h ALL ALL EMPTY EMPTY", "hgetall h", "hget h EMPTY", "hstrlen h ALL", "hdel h EMPTY", "hkeys h"),
		pipeline("hset h a LARGE", "hstrlen h a", "hget h a", "hset h a EMPTY", "hget h a"),
		pipeline("sadd s ALL EMPTY CRLF", "sismember s EMPTY", "scard s", "srem s EMPTY", "srem s ALL CRLF", "exists s"),
		pipeline("get "+strings.Repeat("a", 900), "set "+strings.Repeat("a", 900)+" v", "ping"),
		// In one pipeline each command sees those before it.
		pipeline("set k 1", "del k", "get k", "set k 2", "get k", "set k 3 get", "getdel k", "get k", "exists k"),
		pipeline("set k 1", "set k 2 nx", "get k", "set k 3 xx", "get k", "del k", "set k 4 xx", "get k", "setnx k 5", "get k"),
		pipeline("mset a 1 b 2", "get a", "mget a b c", "incr a", "get a", "hset a f v", "del a", "hset a f v", "hget a f"),
		// Transactions, as they end.
		pipeline("multi", "set a 1", "incr a", "hset a f v", "get a", "del a", "exec", "get a"),
		pipeline("multi", "nosuch", "set a 1", "exec", "get a"),
		pipeline("multi", "get", "exec", "exec"),
		pipeline("multi", "multi", "watch a", "set a 1", "exec", "get a"),
		pipeline("multi", "reset", "exec"),
		pipeline("multi", "set a 1", "discard", "get a", "discard"),
		pipeline("multi", "set a 1"),
		pipeline("watch a", "set a 1", "multi", "get a", "exec"),
		pipeline("watch a", "set a 1", "unwatch", "multi", "get a", "exec"),
		pipeline("set a 1", "watch a", "del a", "multi", "set b 1", "exec", "get b"),
		pipeline("set a 1", "watch a", "expire a 100", "multi", "set b 1", "exec", "get b"),
		pipeline("watch a b a", "multi", "set a 7", "set a 8", "get a", "set b 1 nx", "set b 2 nx", "exec"),
		pipeline("set a x", "watch a", "multi", "incr a", "set a 2", "incr a", "exec"),
		pipeline("watch a", "multi", "mset a 1 b 2", "del a", "exec", "mget a b"),
		// Replies that are left out.
		pipeline("client reply off", "ping", "client reply on", "ping"),
		pipeline("client reply skip", "ping", "ping"),
		pipeline("client reply skip", "client reply skip", "ping", "ping", "ping"),
		pipeline("client reply skip", "multi", "ping", "exec"),
		// Which TTLs outlive a write.
		pipeline("set t v ex 100", "set t v2", "ttl t", "set t v ex 100", "getset t x", "ttl t", "set t v ex 100", "set t v keepttl", "ttl t",
			"mset t z", "ttl t", "setex t 100 v", "setnx t v", "ttl t", "getex t persist", "ttl t", "getex t ex 50 ex 60", "ttl t"),
		pipeline("incr n", "expire n 100", "incr n", "ttl n", "hset h a b", "expire h 100", "hset h c d", "hincrby h n 1", "hdel h a", "ttl h",
			"rename h h2", "ttl h2", "sadd s a", "expire s 100", "sadd s b", "srem s a", "ttl s", "set s v", "ttl s"),
		pipeline("set t v exat 1", "get t", "set t v", "expire t 0", "exists t", "set t v", "pexpireat t 1", "exists t", "set t v", "getex t exat 1", "exists t",
			"set t v", "expire t -1 nx", "exists t", "set t v", "set t w get exat 1", "get t"),
		// Answers of an absent key.
		pipeline("mget a b", "hmget a f", "hgetall a", "hkeys a", "smembers a", "smismember a x y", "ttl a", "set a 1 nx get", "del a", "hscan a 0", "sscan a 0",
			"scan 0", "randomkey", "client getname", "getset a 1", "getdel a", "multi", "exec", "script exists a", "type a", "keys *", "persist a"),
	}
}
