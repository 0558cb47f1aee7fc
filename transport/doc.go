// Package transport carries what the nodes of a cluster say to each other: gossip (TCP, and UDP where there are no secrets) and peer
// RPC (gRPC over TCP) share one address.
//
// A pair of nodes has at most one session at a time: a gRPC stream on a TCP connection of its own, opened by the node with
// the smaller id. Within a session each direction is FIFO, without loss and without duplication; when it ends, that is said
// once (Handler.Down) and nothing more comes from it. What was under way is lost, and a message sent to a session that has
// ended is dropped: the caller learns of the end and asks again, it never has to look for gaps.
//
// With a key, RPC and gossip run over mutual TLS 1.3. Every process derives the same certificate authority from the key and the
// label of the cluster, and certifies itself.
package transport
