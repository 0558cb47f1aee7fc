// Package ring decides which members of a cluster own which keys.
//
// A key belongs to a partition (a hash of the key, modulo the number of
// partitions), and a partition to an ordered list of members: its owner and
// the members that hold copies. [Build] computes that list for every partition
// from nothing but the members' names, the number of copies and [Params], so
// that nodes which agree on these agree on the owners without a word.
//
// # Placement
//
// The owner of a partition is the one that consistent hashing with bounded
// loads gives it (Mirrokni, Thorup and Zadimoghaddam, 2016), as
// github.com/buraksezer/consistent v1.0.0 carries it out with xxHash64. Write
// owner(M) for that choice among the members M. Then the list of a partition is
//
//	r0 = owner(M),  r1 = owner(M without r0),  r2 = owner(M without r0 and r1), ...
//
// When r0 dies, the ring of the members that are left gives the partition to
// r1, which already holds its entries. Other successor rules, such as "the next
// member on the circle", lack this property: the load bound often hands the
// partition to someone else.
//
// The price is one ring for every set of members that is left out: N+1 rings
// for N members and two copies. The library builds a ring from scratch and
// hashes and sorts all virtual nodes anew; this package sorts them once and
// walks past those of the members left out. The result is the library's, which
// the tests hold it to, partition by partition; the library is the reference
// and this package a faster way to its answer.
//
// Everything here is pure: no clock, no randomness, no state. All functions and
// all methods of a [Table] may be called from several goroutines at once.
package ring
