// Package strategy keeps sessions in a cache that all replicas of a service share.
//
// [SessionCache] is the Go form of Vendure's SessionCacheStrategy, and [CachedSession] has exactly its JSON, so that a
// session written by a Vendure process reads in Go and back. There are two implementations: [InMemory] for a service of
// one instance, and [PeerToPeer], which shares the sessions through the node embedded in each replica. [Typed] does the
// same for any other session type.
//
// These are caches in front of a database. A miss costs a query, so they take "not sure just now" as a miss: a failed
// read is never a failed request. [SCSStore] and [FiberStorage] are something else: stores of record, where a miss logs
// somebody out. They wait for certainty within the caller's deadline and then fail loudly with [ErrUnsure]. Adapters for
// gorilla/sessions, gin-contrib/sessions and eko/gocache are modules of their own in the folders below.
//
// What holds for all of them: once Set, Delete, Clear or RevokeUser has returned nil, no Get that begins later, on any
// replica, returns an older session. A deleted token stays dead for the retention, whatever late Set arrives, except in
// gocachestore and in stores with [WithReusableKeys], whose keys may be set anew.
package strategy
