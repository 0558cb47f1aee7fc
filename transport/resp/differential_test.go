package resp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scripts are lines sent to a real Redis and to us, on a fresh connection each; the replies have to be the same bytes.
// A line is split as an inline command, but sent encoded.
var scripts = map[string]string{
	"connection": `
ping
ping hi
ping a b
PiNg
echo x
echo
foo
foo a b c
foo "a\r\nb" "c\x00d" ""
"a\r\nb" c
foo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b
foo 11111111112222222222333333333344444444445555555555666666666677777777778888888888999999999900000000001111111111222 b c d
select 0
select abc
select 99
select
auth x
auth default x
auth other x
auth a b c
hello 4
hello abc
hello 1
hello 2 foo
hello 2 auth x
hello 2 setname
client
client foo
client getname
client setname "a b"
client setname me
client getname
client setname ""
client getname
client getname x
client no-evict on
client no-evict maybe
client reply on
client reply foo
command foo
config get save
config get nothing
config get
config
config set foo bar
config foo
reset
client getname
flushall x
flushall async
flushdb sync
flushdb a b
dbsize
dbsize x
randomkey
info a b nosuchsection
`,
	"strings": `
get
get a b
get k
set k
set k v
get k
set k v2 nx
set k v3 xx
set k v4 xx get
get k
set k2 v get
set k2 v nx get
set k3 v xx get
set k v nx xx
set k v xx nx
set k v ex
set k v ex 0
set k v ex -1
set k v ex abc
set k v ex 99999999999999999
set k v px 9223372036854775807
set k v ex 10 px 10
set k v ex 10 ex 20
ttl k
set k v keepttl
ttl k
set k v keepttl ex 10
set k v ex 10 keepttl
set k v persist
set k v foo
set k v exat 1
exists k
set k v pxat 0
set k v exat 1 nx
set k v ex 10 foo
set k v
ttl k
setex k 10 v
ttl k
setex k 0 v
setex k abc v
setex k -5 v
psetex k 10000 v
ttl k
psetex k 0 v
setnx k v
setnx knew v
getset k w
getset kk w
getset kk
getdel kk
getdel kk
getex k
getex k ex 100
ttl k
getex k persist
ttl k
getex k ex 0
getex k persist ex 10
getex k ex 10 persist
getex k foo
getex k keepttl
getex none ex 0
getex k exat 1
exists k
mset a 1 b 2 a 3
mget a b c a
mset a
mset a 1 b
mget
strlen a
strlen none
set big "\x00\x01\xff"
get big
strlen big
set empty ""
get empty
strlen empty
`,
	"numbers": `
incr n
incr n
incrby n 10
decrby n 3
decr n
incrby n abc
incrby n 1.5
incrby n 9223372036854775807
decrby n -9223372036854775808
set n 9223372036854775807
incr n
set n -9223372036854775808
decr n
incrby n -1
set n " 1"
incr n
set n 01
incr n
set n +1
incr n
set n -0
incr n
set n ""
incr n
set n 1 ex 100
incr n
ttl n
incrby n 0
sadd s a
incr s
incr
`,
	"keys": `
del
del a
unlink
mset a 1 b 2 c 3
del a a b none
unlink c
exists
mset a 1 b 2
exists a b a none
touch a b none
type a
type none
sadd s x
type s
type
expire a 100
ttl a
expire a 200 nx
expire a 50 gt
expire a 300 gt
ttl a
expire a 400 lt
expire a 100 lt
ttl a
expire b 100 xx
expire b 100 gt
expire b 100 lt
ttl b
expire b 100 nx xx
expire b 100 gt lt
expire b 100 foo
expire b abc
expire b 99999999999999999
EXPIRE b 9223372036854775807
pexpire b 9223372036854775807
expire none 10
expire none abc
persist a
persist a
persist none
ttl a
pttl a
pttl none
expiretime a
expiretime none
pexpiretime a
expireat a 99999999999
expireat a 1
exists a
expire b -1
exists b
expire b 0
set a 1
pexpire a 0
exists a
set a 1
pexpireat a 1
exists a
set a 1
expireat a 4102444800
expiretime a
expire a
`,
	"sets": `
sadd
sadd s
sadd s a b c a
sadd s a d
scard s
scard none
sismember s a
sismember s z
sismember none z
smismember s a z d
smismember none a b
smismember s
srem s a z
scard s
srem s
srem none a
smembers none
sadd one m
smembers one
srem one m
exists one
get s
set s2 v
sadd s2 a
srem s2 a
smembers s2
scard s2
sismember s2 a
smismember s2 a
sscan s2 0
sscan none 0
sscan none 0 foo
sscan s abc
sscan s 0 count 0
sscan s 0 count abc
sscan s 0 foo
sscan s 0 type string
sscan s 0 match nothing
sadd one m
sscan one 0
sscan one 0 match m
strlen s
getset s x
getdel s
getex s
getex s ex 0
mget s s2
incr s
set s x nx get
set s x get
set s x
get s
setnx s y
expire one 100
sadd one n
ttl one
srem one m n
ttl one
`,
	"scan": `
scan
scan abc
scan 0
scan 0 count
scan 0 count 0
scan 0 count abc
scan 0 foo bar
scan 0 match
set k v
scan 0
scan 0 match k* count 100
scan 0 match x*
scan 0 type string
scan 0 type STRING
scan 0 type set
scan 0 type nosuch
keys
keys *
keys k
keys ?
keys [a-z]
keys [^k]
keys \k
keys [\k]
keys x*
keys k*?
randomkey
dbsize
`,
	"transactions": `
exec
discard
multi
multi
set a 1
get a
incr a
exec
get a
multi
exec
multi
set a 5
discard
get a
multi
foo
set a 6
exec
get a
multi
get
exec
multi
watch a
exec
watch
watch a
set a 7
multi
set a 8
exec
get a
watch a b
multi
set a 9
set b 1
exec
watch a
set a 10
unwatch
multi
get a
exec
watch nokey
multi
set nokey 1
exec
watch nokey2
set nokey2 x
multi
set nokey2 y
exec
multi
set s str
sadd s x
incr s
del s
sadd s x
exec
multi
unwatch
ping
echo hi
select 0
hello 9
exec
multi
set a 1
reset
exec
watch a
multi
set a 2
exec
multi
client getname
auth x
exec
multi
quit
`,
}

func TestSameAsRedis(t *testing.T) {
	addr := redis(t)
	for _, proto := range []string{"2", "3"} {
		for name, script := range scripts {
			t.Run(name+"/RESP"+proto, func(t *testing.T) {
				theirs, ours := dial(t, addr), dial(t, start(t, Config{}).Addr())
				theirs.do("flushall")
				if proto == "3" {
					theirs.do("hello", "3")
					ours.do("hello", "3")
				}
				for line := range strings.Lines(script) {
					args, err := splitInline([]byte(strings.TrimSpace(line)))
					if err != nil {
						t.Fatal(err)
					}
					if len(args) == 0 {
						continue
					}
					raw := string(encode(args...))
					theirs.send(raw)
					ours.send(raw)
					if want, got := theirs.reply(), ours.reply(); got != want {
						t.Errorf("%s: %q, Redis: %q", strings.TrimSpace(line), got, want)
					}
				}
			})
		}
	}
}

// TestRandomSameAsRedis sends the same random commands to Redis and to us.
func TestRandomSameAsRedis(t *testing.T) {
	addr := redis(t)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			theirs, ours := dial(t, addr), dial(t, start(t, Config{}).Addr())
			theirs.do("flushall")
			g := generator{rand.New(rand.NewPCG(seed, 1))}
			if seed%2 == 1 {
				theirs.do("hello", "3")
				ours.do("hello", "3")
			}
			for i := range 2500 {
				args := g.command()
				raw := cmd(args...)
				theirs.send(raw)
				ours.send(raw)
				want, got := normal(args, theirs.reply()), normal(args, ours.reply())
				if want != got {
					t.Fatalf("command %d, %q: %q, Redis: %q", i, args, got, want)
				}
			}
		})
	}
}

// normal takes out of a reply what may differ: the order of members and keys, and the running of clocks.
func normal(args []string, reply string) string {
	switch strings.ToLower(args[0]) {
	case "smembers", "keys", "sscan", "scan":
		lines := strings.SplitAfter(reply, "\r\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	case "ttl", "pttl", "expiretime", "pexpiretime":
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(reply, ":")), 10, 64)
		if err == nil && n > 0 {
			per := int64(60) // seconds; the random TTLs lie far apart
			if args[0][0] == 'p' {
				per = 60_000
			}
			return fmt.Sprint("about ", (n+per/2)/per)
		}
	case "exec":
		lines := strings.Split(reply, "\r\n")
		for i, line := range lines {
			if n, err := strconv.ParseInt(strings.TrimPrefix(line, ":"), 10, 64); err == nil && n > 500 {
				lines[i] = ":much" // perhaps a TTL
			}
		}
		slices.Sort(lines) // KEYS and SMEMBERS may be among the commands
		return strings.Join(lines, "\r\n")
	}
	return reply
}

type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) key() string { return g.one("a", "b", "c", "k1", "k2", "s1", "s2", "n") }

func (g generator) value() string {
	return g.one("x", "", "10", "-3", "hello world", "\x00\r\n\xff", strings.Repeat("y", g.IntN(300)), magic+"s\x01", magic)
}

func (g generator) number() string {
	return g.one("1", "5", "-2", "0", "abc", "9223372036854775807", "-9223372036854775808", "1.5", "", "007")
}

// seconds are far from each other, so that a comparison of TTLs never depends on the time the test takes.
func (g generator) seconds() string { return g.one("600", "6000", "60000", "0", "-1", "abc", "600000") }

func (g generator) some(f func() string, most int) []string {
	var s []string
	for range 1 + g.IntN(most) {
		s = append(s, f())
	}
	return s
}

func (g generator) command() []string {
	join := func(first string, rest ...string) []string { return append([]string{first}, rest...) }
	switch g.IntN(26) {
	case 0, 1:
		return []string{"get", g.key()}
	case 2, 3:
		args := []string{"set", g.key(), g.value()}
		for range g.IntN(4) {
			switch option := g.one("nx", "xx", "get", "keepttl", "ex", "px"); option {
			case "ex":
				args = append(args, option, g.seconds())
			case "px":
				args = append(args, option, g.one("6000000", "0", "x"))
			default:
				args = append(args, option)
			}
		}
		return args
	case 4:
		return join(g.one("del", "unlink", "exists", "touch", "mget"), g.some(g.key, 4)...)
	case 5:
		return join("mset", g.some(func() string { return g.one(g.key(), g.value()) }, 6)...)
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
		return append([]string{"expire", g.key(), g.seconds()}, g.some(func() string { return g.one("nx", "xx", "gt", "lt") }, 1)[:g.IntN(2)]...)
	case 16:
		return []string{"pexpire", g.key(), g.one("6000000", "-5", "x")}
	case 17:
		return []string{g.one("getset", "setnx"), g.key(), g.value()}
	case 18:
		return []string{"getdel", g.key()}
	case 19:
		return append([]string{"getex", g.key()}, [][]string{nil, {"persist"}, {"ex", g.seconds()}, {"px", "6000000"}, {"exat", "1"}}[g.IntN(5)]...)
	case 20:
		return []string{"setex", g.key(), g.seconds(), g.value()}
	case 21:
		return []string{"keys", g.one("*", "k?", "[a-c]", "[^a-c]*", "s[1", "\\a", "*1", "k[12]", "?", "*?*", "[b-a]", "*[0-9]", "nothing")}
	case 22:
		return []string{"sscan", g.one("s1", "s2"), "0", "match", g.one("*", "y*", "[0-9]*", "?"), "count", "10000"}
	case 23:
		return []string{"dbsize"}
	case 24:
		return []string{g.one("multi", "exec", "discard", "unwatch", "exec", "discard", "flushall")}
	default:
		return []string{"watch", g.key()}
	}
}
