// Package resp is the Redis protocol front of a node: any Redis client, pointed at its port, keeps its sessions in the cluster.
// It speaks RESP2, and RESP3 to a client that asks for it with HELLO 3. What it serves is a Backend, which the caller supplies.
//
// # Commands
//
// Connection: PING ECHO HELLO AUTH SELECT CLIENT COMMAND INFO CONFIG QUIT RESET READONLY READWRITE TIME.
// Strings: GET SET SETEX PSETEX SETNX GETSET GETEX GETDEL MGET MSET STRLEN INCR DECR INCRBY DECRBY.
// Hashes: HSET HMSET HSETNX HGET HMGET HGETALL HDEL HEXISTS HLEN HKEYS HVALS HSTRLEN HINCRBY HSCAN.
// Keys: DEL UNLINK EXISTS TOUCH TYPE RENAME RENAMENX EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST TTL PTTL EXPIRETIME PEXPIRETIME SCAN KEYS
// DBSIZE RANDOMKEY FLUSHDB FLUSHALL.
// Sets: SADD SREM SMEMBERS SISMEMBER SMISMEMBER SCARD SSCAN.
// Transactions: MULTI EXEC DISCARD WATCH UNWATCH.
// Locks: EVAL EVALSHA SCRIPT.
//
// # Differences from Redis
//
//   - There is one database: SELECT takes 0 alone. After another, what names keys, lists or clears them is refused on that connection until
//     SELECT 0 or RESET, for it is meant for another database. FLUSHDB and FLUSHALL clear the whole cluster, whatever ASYNC or SYNC says.
//   - A key set without an expiry gets the default TTL of the node, if that has one. A TTL is held to 100 years.
//   - TTLs travel as time remaining, so PEXPIRETIME may be some milliseconds off what PEXPIREAT was given, and EXPIRE GT with the very
//     time that a key has may answer 1. DBSIZE never counts what has ended; Redis may for a moment.
//   - The empty key is refused, by the node.
//   - A read that the node cannot answer with certainty just now waits up to Config.Timeout and then fails with TRYAGAIN; with
//     Config.WhenUnsure "miss" it is answered as absent. A write without a majority fails with CLUSTERDOWN, one that was not
//     confirmed in time with UNCONFIRMED (it may still take effect), one of a revoked key with REVOKED, one too many with BUSY.
//   - The commands of one EXEC run one after the other, and none of the same connection comes between; but SETs and DELs of one key each that
//     stand next to each other, of keys that differ and are not watched, are made at the same time. Once a command has run out of time
//     (Config.Timeout) those after it are not carried out, and are answered so; but DEL, UNLINK and FLUSHDB are. Commands of others may come between:
//     EXEC is neither isolated nor all-or-nothing. WATCH compares the versions of the watched keys when EXEC starts, and the
//     first write to a watched key inside the EXEC is made on condition that it is still of that version. So WATCH, GET, MULTI,
//     SET, EXEC of one key loses no update. If that condition fails before anything was written, EXEC answers null, as Redis
//     does; later, the command itself answers EXECABORT.
//   - WATCH of an absent key is stricter than in Redis, if the backend is a FillBackend: the first write to it inside the EXEC fails
//     when the key was set, deleted or cleared since, though it be absent again, or was absent when it was deleted; and sometimes
//     when nothing happened, such as after a change of owners. So what was read from a database because of a miss may be stored with
//     WATCH, GET, (the database), MULTI, SET, EXEC: a null says that it may be out of date.
//   - SADD, SREM and HDEL write also what they find done already, so that their answer is confirmed; to WATCH that is a change of the key.
//   - MGET, MSET, EXISTS and DEL of several keys are not one step for an onlooker: the keys are worked on at the same time. An
//     error of one key does not keep the others from being done. Reads next to each other in one pipeline are made at once too.
//   - INCR, HSET, SADD, GETSET and their like read the entry and write it back if it is unchanged, and try again if not.
//   - There is no Lua. EVAL, EVALSHA and SCRIPT LOAD, EXISTS and FLUSH know the scripts by which clients take, extend and release locks: see
//     lockscripts.go. EVALSHA knows some of them before they are sent. A script that sees to several keys is refused with more than one. If
//     the backend is an UnsetBackend, what a script removes can be set again.
//   - A hash is one entry, and with all its fields bounded by Config.MaxValueBytes; a field that changes costs the writing of all. The
//     order of its fields is that of a small hash in Redis, whatever its size, and HSCAN returns all fields in its first answer. If the
//     backend is an UnsetBackend, the HDEL of the last field is not final.
//   - RENAME writes the new key, and then removes the old one if it is unchanged; else it does both again. An onlooker can see both; after an
//     error both may be there. If the old key was deleted meanwhile, the new one is put back to what it was: see rename.go. A set
//     in parts is refused.
//   - Sets are made for the tags of sessions. A member that is the name of a key leaves the set by and by after that key has ended, so
//     that a set of sessions does not grow with all the sessions there ever were; see setprune.go. Set the key first, then add it.
//     A member that never was a key stays. SCARD therefore says less than in Redis, and SREM of such a member may answer 0.
//   - A set gets no default TTL: it ends when it is told to.
//   - A set above 4 KiB is kept in parts, so that adding a member costs the writing of one part. It is one key for all commands
//     but these: DBSIZE counts the parts; WATCH notices when the set is deleted or expires, not each change of a member. SMEMBERS may
//     show some of what is added or taken out while it reads, and not the rest. Keys that begin with \x00huddle\x02 name
//     parts: they are refused, and not listed.
//   - Commands on sets are never answered by guess: WhenUnsure "miss" does not apply to them. SSCAN returns all members in its first answer.
//   - SCAN returns whole partitions, so often more than COUNT keys. RANDOMKEY picks among the first thousand or so keys of a scan.
//   - READONLY and READWRITE answer OK. CLIENT knows SETINFO, SETNAME, GETNAME, ID, INFO, LIST, NO-EVICT, NO-TOUCH and REPLY.
//     CONFIG knows GET of a few parameters. COMMAND knows COUNT, DOCS (empty), GETKEYS, INFO and LIST; no command has a category. AUTH
//     knows the user "default" alone. INFO counts in db0 what the backend says.
//   - CLUSTER answers that cluster support is disabled. Where clients expect scripts, Pub/Sub or client-side caching, the error says, behind
//     Redis's text for what is unknown, that there is none.
//   - A command with an argument over the size limit, or with more than 131,072 arguments, is answered with an error, and the
//     connection goes on. Redis would end it, or take it.
//   - A bulk string must end in CR LF, a first line too; Redis does not look.
//   - SCAN takes no negative cursor. A pattern has at most 1 KiB, and matching ends with Config.Timeout. The pattern ** matches the empty key, which it does not in Redis 7.0.
//
// Connections are served at the same time, the commands of one connection in order. Replies of a pipeline are sent together, but
// do not wait for a command after them that takes more than a millisecond. Once one of a pipeline has needed all of its time, which is then
// what the cluster does to each, those after it are given little: a deletion that has been begun goes on by itself. On
// Linux, connections without TLS share a few loops that answer what needs no waiting; see loop.go.
//
// # Files
//
//   - Connections: server.go and listen.go admit them; client.go is one of them, scanner.go reads its commands and reply.go writes the answers;
//     drain.go ends them between two commands. loop.go serves many from one goroutine (poll_linux.go), later.go goes on with those that waited
//     for other nodes. early.go, meanwhile.go: receiving while one sends, sending while one waits. memory.go bounds what all of them hold.
//   - Commands: table.go lists them, dispatch.go chooses and refuses, subcommand.go does so for those of two words. connection.go, login.go, clientcmd.go,
//     describe.go, info.go: of the connection and the server. strings.go, hashes.go, sets.go, keyspace.go, expiry.go, rename.go: of keys. transaction.go: MULTI
//     and WATCH. eval.go, scripts.go, lockscripts.go: the scripts that there are.
//   - Entries: backend.go is what is asked. lookup.go reads one, readahead.go several of a pipeline at once, and writeahead.go writes several;
//     change.go writes and deletes under the conditions of WATCH, one command at a time for a key (keylock.go). hashcode.go, setcode.go: how hashes and sets lie in
//     entries; setparts.go, setprune.go and sweep.go: large sets. failure.go: what errors are told as. context.go: the time that a command has.
package resp
