package resptest

// Scripts returns lines of commands by what they are about. Each is for a fresh connection, and Redis and package resp answer all of
// them with the same bytes.
func Scripts() map[string]string {
	return map[string]string{
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
select
command info nope
command info nope nix
cluster
cluster slots
cluster shards
CLUSTER nodes
cluster info
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
client list x
client list type
client list type x
client list type pubsub
client list type normal x
client list id
client list id x
client list id 999999 888888
command foo
command list x
command list filterby
command list filterby x y
command list filterby pattern MG*
command list filterby pattern nosuch
command list filterby pattern a b
command list filterby module x
command getkeys
command getkeys get
command getkeys GET a
command getkeys get a b
command getkeys mset a 1 b 2
command getkeys mset a 1 b
command getkeys del a b
command getkeys hset h a 1
command getkeys hmget h a b
command getkeys rename a b
command getkeys renamenx a
command getkeys hscan h 0
command getkeys set k v ex 10
command getkeys sscan k 0
command getkeys scan 0
command getkeys ping x
command getkeys nosuch x
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
		"hashes": `
hset
hset h
hset h a
hset h a 1 b
hset h a 1
hset h a 1 b 2 c 3
hset h b two d 4
hset h e 1 e 2
hget h e
hgetall h
hkeys h
hvals h
hlen h
hset h b 2
hgetall h
hmset
hmset h a
hmset h a 1 b
hmset h f 6 a one
HMSET h f 7 g ""
HSet h i 1
hget h a
hget h g
hget h none
hget none a
hget h
hget h a b
hmget h a none g a
hmget none a b
hmget h
hexists h a
hexists h none
hexists none a
hexists h
hstrlen h a
hstrlen h g
hstrlen h none
hstrlen none a
hstrlen h
hlen none
hlen
hgetall none
hkeys none
hvals none
hgetall
hkeys h x
hvals
hsetnx h a other
hsetnx h new 1
hsetnx fresh a 1
hsetnx h a
hget h a
hget fresh a
hdel h
hdel h none
hdel none a
hdel h a a none b
hgetall h
hset h a again
hkeys h
hdel fresh a
exists fresh
type fresh
type h
hincrby h n 5
hincrby h n -7
hincrby h n 0
hincrby h n abc
hincrby h n 1.5
hincrby h n
hincrby h g 1
hincrby h a 1
hset h a 9223372036854775807
hincrby h a 1
hincrby h a -1
hset h a -9223372036854775808
hincrby h a -1
hset h a 007
hincrby h a 1
hincrby counter n 3
hgetall counter
hincrby none n abc
exists none
hscan
hscan h
hscan h x
hscan h 0
hscan h 0 match ?
hscan h 0 match *e* count 1
hscan h 0 match nothing
hscan h 0 count 0
hscan h 0 count x
hscan h 0 foo
hscan h 0 type string
hscan none 0
hscan none 0 foo
hscan none x
hset bin "\x00\r\n" "\xff\x00" "" ""
hgetall bin
hget bin ""
hexists bin ""
hdel bin ""
hkeys bin
scan 0 type hash match h
scan 0 type HASH match cou*
scan 0 type string
dbsize
`,
		"hash types": `
hset h a 1
get h
set h x get
set h x nx get
set h x nx
getset h x
getdel h
getex h
getex h ex 0
getex h persist
mget h none
incr h
decrby h 5
strlen h
sadd h a
srem h a
smembers h
sismember h a
smismember h a b
scard h
sscan h 0
sadd s a
set k v
hset s a 1
hset k a 1
hset k a
hmset k a 1
hsetnx s a 1
hsetnx k a 1
hget s a
hget k a
hmget s a b
hmget k a
hgetall s
hgetall k
hkeys k
hvals s
hlen k
hlen s
hexists k a
hstrlen k a
hdel k a
hdel s a
hincrby k a 1
hincrby k a x
hincrby s a 1
hscan k 0
hscan s 0
hscan k x
setnx h x
hgetall h
expire h 100
hset h b 2
ttl h
hdel h a
ttl h
hincrby h n 1
ttl h
persist h
ttl h
pexpire h 100000
ttl h
expireat h 4102444800
expiretime h
touch h
exists h h
unlink h
exists h
hset h a 1
expire h 100
hdel h a
hset h a 1
ttl h
expire h -1
hgetall h
hset h a 1
set h string
get h
set h2 x
del h2
hset h2 a 1
setex h2 100 y
get h2
`,
		"rename": `
rename
rename a
rename a b c
renamenx a
rename none b
renamenx none b
rename none none
renamenx none none
set a 1
rename a a
renamenx a a
rename a b
exists a
get b
set a 2 ex 100
renamenx a b
get b
get a
rename a b
get b
ttl b
set c 3
rename c b
ttl b
get b
renamenx b d
exists b
get d
hset h x 1 y 2
expire h 100
rename h d
type d
hgetall d
ttl d
exists h
hset d z 3
sadd s m
rename s d
type d
smembers d
renamenx d t
sadd t m
scard t
set same v
set same2 v ex 100
rename same same2
ttl same2
get same2
set same v
renamenx same same2
multi
set a 1
rename a b
get b
rename a b
rename nosuch b
renamenx b c
exec
watch c
rename c e
multi
get e
exec
watch e f
multi
rename e f
get f
exec
watch g
set f moved
rename f g
multi
get g
exec
`,
		"options and errors of what clients of sessions send": `
set s v ex 100
set s v EX 100 get
set s v get ex 100
set n v nx get
set n v2 nx get
set n v2 xx get
set n v3 nx xx
set n v3 keepttl ex 10
set n v3 ex 10 keepttl
set n v ex 10 px 10
set n v ex 10 ex 20
set n v persist
set n v ex
set n v ex abc
set n v ex 0
set n v px -1
set n v exat 0
set n v exat -5
set n v ex 9223372036854775807
set n v px 9223372036854775807
set n v ex 9223372036854775
set n v ex 9223372036854776
set n v EXAT 99999999999999999
set n v ifeq x
set n
setex n 10
setex n 0 v
setex n -1 v
setex n 1.5 v
setex n 9223372036854775807 v
psetex n 0 v
psetex n 9223372036854775807 v
setnx n v
setnx nn v
getex nn
getex nn ex 10 px 10
getex nn ex 0
getex nn ex abc
getex nn persist ex 10
getex nn ex 10 persist
getex nn exat 1
getex nn
getex none ex 0
getex none ex abc
getex none ex 10
getex none foo
getex
getdel none
getdel n x
getset n x
sadd st a b c
getdel st
getex st ex 10
getset st x
set st v get
get st
type s
expire s 100 nx
expire s 100 xx
expire s 200 gt
ttl s
expire s 100 gt
expire s 100 lt
expire s 100 nx xx
expire s 100 gt lt
expire s 100 foo
expire s abc
expire s 9223372036854775807
expire s -9223372036854775808
expire s 300 xx gt
set s v
expire s 10 gt
expire s 10 lt
ttl s
expire s 10 NX NX
expire none 10
expire none abc
expire none 9223372036854775807
expire none 10 foo
expireat s abc
pexpire s 9223372036854775807
pexpireat s 9223372036854775807
set s v
expireat s 9223372036854775807
EXPIREAT s 9223372036854776
ttl none
pttl none
expiretime none
persist none
persist s
persist s
hset h a 1 b 2 c 3
hset h b 5 d 4
hgetall h
hmset h a 9 e 1
hgetall h
hdel h a
hset h a 1
hgetall h
hset h x 1 x 2
hgetall h
hset h a
hmset h a
hset h
hkeys h
hvals h
hget h
hget s a
hset s a b
hincrby h a 1
hincrby h zz abc
hincrby h a 9223372036854775807
hset h str abc
hincrby h str 1
hsetnx h a 1
hsetnx h new 1
hdel h none
hmget h a none b
hmget none a b
hstrlen h a
hexists h a
hlen h
hscan h 0 match a* count 100
hscan h 0 novalues
hscan h 0 count 0
hscan h 0 count abc
hscan h abc
sadd st a
sadd st z z z
srem st none
srem st a z
scard st
scard none
smismember st a b none
smismember none a
sismember st b
sismember s b
smembers none
smembers s
srem s a
sadd s a
smembers st x
sscan st 0 match b
sscan st abc
sscan none abc
sscan none 0 foo
scan 0 match n?n count 100
scan 0 count 100 type hash
scan 0 count 100 type list
scan 0 count 100 type nosuch
scan 0 match
scan 0 count
scan 0 foo bar
scan abc
scan 0 count -1
scan 18446744073709551616
scan 0 match x match none count 1000
keys none*
type h
type none
exists s s none
del
del none
unlink none none
touch s
rename none x
rename s s
renamenx s s
dbsize x
incr s
incrby s abc
decrby s 1
set s 5
incrby s 9223372036854775807
decrby s -9223372036854775808
set s " 5"
incr s
set s 05
incr s
set s ""
incr s
set s -0
incr s
strlen s
strlen h
mget s h none
mset a
mset a 1 b
mset a 1 b 2 a 3
get a
evalsha abc 0
evalsha ffffffffffffffffffffffffffffffffffffffff 0
evalsha ffffffffffffffffffffffffffffffffffffffff x
evalsha ffffffffffffffffffffffffffffffffffffffff -1
evalsha ffffffffffffffffffffffffffffffffffffffff 2 a
script exists abc ffffffffffffffffffffffffffffffffffffffff
script load
script flush foo
script
eval "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end" 1 a 3
eval "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end" 1 h 3
eval "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end" 1 a
ping a b
echo
echo a b
hello x
hello 4
hello 1
hello 3 foo
hello 3 auth
hello 3 setname
hello 3 setname "a b"
auth
auth a
auth a b
auth default x
auth a b c
select
select x
select 0
multi
multi
get s
foo
exec
multi
set
exec
multi
watch a
set a 1
exec
multi
incr h
get a
exec
exec
discard
multi
discard
watch
unwatch
multi
exec
multi
hgetall h
scard st
get none
exec
client getname
client setname "a b"
client setname abc
client getname
client setname ""
client getname
client foo
client
client id x
client no-evict on
client no-evict foo
client reply foo
command count x
config get
config get nosuch
config get save
config set maxmemory
config
readonly x
time x
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
exec a
multi
set gone 1
exec a
exec
get gone
watch gone
set gone 1
exec a b
multi
exec
multi
discard a
exec
multi a
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
client foo
set a 1
exec
multi
client id x
exec
multi
config get
exec
multi
command count x
exec
multi
script foo
exec
multi
client list foo
script exists 0000000000000000000000000000000000000000
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
hset h a 1
hset h a 2 b 3
hincrby h a 5
hset h a
hmget h a b c
hgetall h
hdel h a b
exists h
exec
hset h a 1
watch h
hset h a 1
multi
hget h a
exec
hdel h none
watch h
hsetnx h a 2
multi
hget h a
exec
watch h
hget h a
multi
hset h a 2
exec
hgetall h
watch h
del h
multi
hset h a 3
exec
set still here
watch still
getex still persist
getex still
persist still
touch still
setnx still x
set still x nx
expire still 100 gt
multi
get still
exec
set still here ex 100
watch still
getex still persist
multi
get still
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
}
