// Package huddle is the root of a module that keeps sessions in the memory of the service they belong to.
//
// Every replica embeds a node; the nodes split the session tokens among themselves, keep copies of each other's entries,
// and answer reads from their own memory under leases, so that a revoked session is answered by none of them.
//
//   - package node is the embedded node: bytes in, bytes out.
//   - package strategy is the session cache made of it, with adapters for session libraries.
//   - cmd/huddle is the node as a process of its own, spoken to over the Redis protocol.
//
// This package holds no code. README.md says how to start, DESIGN.md how it works and why.
package huddle
