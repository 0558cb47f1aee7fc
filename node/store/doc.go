// Package store holds the entries of one node: versioned, partitioned, bounded in bytes.
//
// A general cache library (maypok86/otter was the candidate) does not fit. The node merges by version, atomically with
// the lookup; lists a partition in key order to hand it over; wipes or confirms one partition; keeps values, near copies
// and tombstones under different rules, with tombstones that no value may push out; voids entries by cuts without visiting
// them; and must behave the same in every run of a simulation, where a library evicts in the background.
//
// Reading takes no lock: a partition's table (table.go) holds pointers to immutable entries, and what a reader has found
// stays what it was. Writers lock their partition, then for a few pointer operations the queue that spans all partitions.
//
// Eviction is SIEVE (Zhang et al., NSDI 2024): one list, one bit for each entry, which a hit sets only if it is not set, so
// that hits do not write to shared memory. It needs no ghost entries, as S3-FIFO and ARC do, and no counters beside the
// entries, as TinyLFU does, so that the bound in bytes is exact; and it comes out ahead of LRU on skewed reads. One list
// for the whole store, and not one for each partition, follows the load when partitions move. Near copies have a list
// of their own, from which victims come as long as they take more than an eighth of the room: they can be read again.
//
// Expiry is a timing wheel (wheel.go), driven by Sweep: nothing is sampled and nothing has to be read to be freed.
package store
