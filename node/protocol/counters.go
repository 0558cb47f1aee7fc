package protocol

import (
	"sync/atomic"
	"unsafe"
)

// Counters count since the start. They are read with Load. Each read is one of Hits, Remote, Misses and Unsure; NearHits are among the Hits.
type Counters struct {
	Hits, NearHits                                                          Striped
	Remote, Misses, Unsure, Sets, Deletes, Cuts, Unconfirmed, Views, Pulled atomic.Uint64
	// PulledEntries counts entries pulled; Late deletions and cuts that were confirmed after their caller had given up, GivenUp those that were not.
	PulledEntries, Late, GivenUp atomic.Uint64
}

// Striped is a counter that cores do not fight over: each of its parts has a cache line of its own, and a goroutine keeps to one.
type Striped struct {
	parts [16]struct {
		n atomic.Uint64
		_ [56]byte
	}
}

func (c *Striped) add() {
	var here byte // where the stack of the goroutine is tells one from another
	at := uintptr(unsafe.Pointer(&here)) >> 11
	c.parts[(at^at>>4)%uintptr(len(c.parts))].n.Add(1)
}

// Load is the sum of the parts.
func (c *Striped) Load() uint64 {
	sum := uint64(0)
	for i := range c.parts {
		sum += c.parts[i].n.Load()
	}
	return sum
}
