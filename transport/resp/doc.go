// Package resp is the Redis protocol front of a node: any Redis client, pointed at its port, keeps its sessions in the cluster.
// It speaks RESP2, and RESP3 to a client that asks for it with HELLO 3. What it serves is a Backend, which the caller supplies.
//
// README.md, beside this, lists the commands and all that differs from Redis, for those who use the port. What a Backend can do beside
// what it must decides some of it: without FillBackend WATCH of an absent key is as strict as in Redis; with UnsetBackend what a script
// removes can be set again, and the HDEL of the last field of a hash is not final; INFO counts in db0 what the backend says. The 5 s that a command
// has are Config.Timeout, and the flags named there the fields of Config and of the backend.
//
// # Service
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
