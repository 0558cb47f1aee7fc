package resptest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// magic is what begins a set or a hash in its stored form; see package resp.
const magic = "\x00huddle\x01"

// generator makes random commands that Redis and package resp should answer alike.
type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) key() string {
	return g.one("a", "b", "c", "k1", "k2", "s1", "s2", "n", "h1", "h2")
}

// hash is mostly the key of a hash.
func (g generator) hash() string { return g.one("h1", "h2", "h1", "h2", g.key()) }

// field is the name of a field of a hash.
func (g generator) field() string { return g.one("f1", "f2", "f3", "f4", "n", "", "\xff\r\n", magic) }

func (g generator) pair() []string { return []string{g.field(), g.one(g.value(), g.number())} }

// fieldCommand is a command on a hash.
func (g generator) fieldCommand() []string {
	join := func(rest []string, first ...string) []string { return append(first, rest...) }
	switch g.IntN(12) {
	case 0, 1, 2:
		args := []string{g.one("hset", "hmset", "HSet", "hmSET"), g.hash()}
		for range 1 + g.IntN(4) {
			args = append(args, g.pair()...)
		}
		return args[:len(args)-g.IntN(20)/19] // now and then without the last value
	case 3:
		return join(g.pair(), "hsetnx", g.hash())
	case 4:
		return []string{g.one("hget", "hexists", "hstrlen"), g.hash(), g.field()}
	case 5:
		return join(g.some(g.field, 4), "hmget", g.hash())
	case 6, 7:
		return []string{g.one("hgetall", "hgetall", "hkeys", "hvals", "hlen"), g.hash()}
	case 8:
		return join(g.some(g.field, 3), "hdel", g.hash())
	case 9:
		return []string{"hincrby", g.hash(), g.one("n", "n", g.field()), g.number()}
	case 10:
		options := [][]string{nil, {"match", g.one("*", "f*", "[0-9f]?", "?", "nothing")}, {"count", g.one("1", "100", "0", "x")}, {"type", "x"}, {"foo"}}[g.IntN(5)]
		return join(options, "hscan", g.hash(), g.one("0", "0", "0", "x"))
	default:
		return []string{g.one("rename", "renamenx"), g.one(g.hash(), g.key()), g.one(g.hash(), g.key())}
	}
}

func (g generator) value() string {
	return g.one("x", "", "10", "-3", "hello world", "\x00\r\n\xff", strings.Repeat("y", g.IntN(300)), magic+"s\x01", magic)
}

func (g generator) number() string {
	return g.one("1", "5", "-2", "0", "abc", "9223372036854775807", "-9223372036854775808", "1.5", "", "007")
}

// odd is a key of any bytes. It is never the member of a set, for such a member may leave its set when the key has ended.
func (g generator) odd() string { return g.one("-", "\x00\r\n", magic+"p", magic+"s\x02") }

// seconds are far from each other, so that a comparison of TTLs never depends on the time the test takes.
func (g generator) seconds() string { return g.one("600", "6000", "60000", "0", "-1", "abc", "600000") }

// time is a time of day in seconds, or none: in the past, or after the year 2100. It is hardly ever the same twice: package resp keeps
// the time that remains, and so would not find the same time a second time.
func (g generator) time() string {
	return g.one("1", fmt.Sprint(4102444800+int64(g.IntN(1e7))), "0", "-1", "x")
}

func (g generator) some(f func() string, most int) []string {
	var s []string
	for range 1 + g.IntN(most) {
		s = append(s, f())
	}
	return s
}

func (g generator) command() []string {
	join := func(first string, rest ...string) []string { return append([]string{first}, rest...) }
	switch g.IntN(38) {
	case 0, 1:
		return []string{"get", g.key()}
	case 2, 3:
		args := []string{"set", g.key(), g.value()}
		for range g.IntN(4) {
			switch option := g.one("nx", "xx", "get", "keepttl", "ex", "px", "exat", "pxat", "Nx", "persist"); option {
			case "ex":
				args = append(args, option, g.seconds())
			case "px":
				args = append(args, option, g.one("6000000", "0", "x"))
			case "exat":
				args = append(args, option, g.time())
			case "pxat":
				args = append(args, option, g.time()+"000")
			default:
				args = append(args, option)
			}
		}
		return args
	case 4:
		return join(g.one("del", "unlink", "exists", "touch", "mget"), g.some(g.key, 4)...)
	case 5:
		return join("mset", g.some(func() string { return g.one(g.key(), g.odd()) }, 6)...)
	case 6:
		return []string{g.one("incr", "decr"), g.one("n", g.key())}
	case 7:
		return []string{g.one("incrby", "decrby"), g.one("n", g.key()), g.number()}
	case 8, 9:
		return join("sadd", append([]string{g.one("s1", "s2", g.key())}, g.some(g.value, 5)...)...)
	case 10:
		return join("srem", append([]string{g.one("s1", "s2", g.key())}, g.some(g.value, 5)...)...)
	case 11:
		return []string{g.one("smembers", "scard"), g.one("s1", "s2", g.key())}
	case 12:
		return join("smismember", append([]string{g.one("s1", "s2", g.key())}, g.some(g.value, 5)...)...)
	case 13:
		return []string{"sismember", g.one("s1", g.key()), g.value()}
	case 14:
		return []string{g.one("ttl", "pttl", "expiretime", "pexpiretime", "type", "strlen", "persist"), g.key()}
	case 15:
		// GT compares milliseconds in Redis, so that a TTL given twice within one is not greater: here it is never the same.
		option := g.one("", "nx", "xx", "gt", "lt")
		if option == "" {
			return []string{"expire", g.key(), g.seconds()}
		}
		return []string{"expire", g.key(), fmt.Sprint(700 + g.IntN(1e6)), option}
	case 16:
		return [][]string{{"pexpire", g.key(), g.one("6000000", "-5", "x")}, {"pexpireat", g.key(), g.time() + "000"}}[g.IntN(2)]
	case 17:
		return []string{g.one("getset", "setnx"), g.key(), g.value()}
	case 18:
		return []string{"getdel", g.key()}
	case 19:
		return append([]string{"getex", g.key()}, [][]string{nil, {"persist"}, {"ex", g.seconds()}, {"px", "6000000"}, {"exat", g.time()}, {"pxat", g.time() + "000"}, {"keepttl"}}[g.IntN(7)]...)
	case 20:
		return [][]string{{"setex", g.key(), g.seconds(), g.value()}, {"psetex", g.key(), g.one("6000000", "0", "-1", "abc"), g.value()}}[g.IntN(2)]
	case 21:
		return []string{"keys", g.one("*", "k?", "[a-c]", "[^a-c]*", "s[1", "\\a", "*1", "k[12]", "?", "*?*", "[b-a]", "*[0-9]", "nothing")}
	case 22:
		return []string{"sscan", g.one("s1", "s2"), "0", "match", g.one("*", "y*", "[0-9]*", "?"), "count", "10000"}
	case 23:
		return []string{"dbsize"}
	case 24:
		return append([]string{"scan", "0", "match", g.one("*", "k*", "[a-ch]*", "nothing"), "count", "100000"},
			[][]string{nil, {"type", g.one("string", "set", "hash", "list")}}[g.IntN(2)]...)
	case 25:
		options := [][]string{nil, {"nx"}, {"gt"}, {"lt", "xx"}, {"foo"}}[g.IntN(5)]
		return append([]string{"expireat", g.key(), g.time()}, options...)
	case 26: // too few or too many arguments, in any case of letters
		return append([]string{g.one("get", "SET", "Del", "expire", "sadd", "incr", "mget", "smembers", "nosuch", "scan", "persist", "hset", "hget", "hgetall", "rename")}, g.some(g.key, 3)...)
	case 27:
		return []string{g.one("echo", "ping"), g.value()}
	case 28:
		return []string{g.one("multi", "exec", "discard", "unwatch", "exec", "discard", "flushall")}
	case 29:
		return []string{"watch", g.key()}
	default:
		return g.fieldCommand()
	}
}
