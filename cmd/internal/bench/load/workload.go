package load

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Workload is a mix of calls.
type Workload int

// The workloads.
const (
	// Read is Gets only.
	Read Workload = iota
	// ReadMostly is 95 % Gets and 5 % Sets.
	ReadMostly
	// WriteHeavy is half Gets, half Sets.
	WriteHeavy
	// Write is Sets only.
	Write
	// Login brings ever new sessions: a Set, then two Gets of it, each through the next node.
	Login
	// Logout ends one session after the other: a Delete, a Get that must find nothing, and a Set that logs the user in again
	// under another token, each through the next node.
	Logout
)

var workloadNames = [...]string{"read", "read-mostly", "write-heavy", "write", "login", "logout"}

// String is the workload's name.
func (w Workload) String() string { return workloadNames[w] }

// ParseWorkload finds a workload by its name.
func ParseWorkload(name string) (Workload, error) {
	for i, n := range workloadNames {
		if n == name {
			return Workload(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no workload: there are %s", name, strings.Join(workloadNames[:], ", "))
}

// Spoils tells that the workload leaves fewer keys than it found.
func (w Workload) Spoils() bool { return w == Logout }

// Keys are the keys of a run, and the order they are drawn in. They are safe for concurrent use.
type Keys struct {
	prefix string
	names  []string
	order  []uint32 // indexes of names, as drawn

	mu     sync.Mutex
	others map[string]bool // set by runs beside names
}

// draws is how many draws are made in advance: what a draw costs is not to be measured.
const draws = 1 << 20

// NewKeys returns n keys that begin with prefix, drawn with Zipf's law of the given exponent, above 1, or all alike for 0.
// The same arguments give the same keys and draws.
func NewKeys(prefix string, n int, skew float64, seed uint64) *Keys {
	k := &Keys{prefix: prefix, names: make([]string, n), order: make([]uint32, draws)}
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range k.names {
		k.names[i] = fmt.Sprintf("%s%08x%016x%08x", prefix, i, r.Uint64(), r.Uint32()) // as long as a token is
	}
	if skew > 0 {
		// Ranks are dealt at random. Were the first keys those that are asked for most, a cache that is filled in the order of the names would
		// have them side by side in memory, as none has that lives.
		ranked := r.Perm(n)
		z := rand.NewZipf(r, skew, 1, uint64(n-1))
		for i := range k.order {
			k.order[i] = uint32(ranked[z.Uint64()])
		}
		return k
	}
	for i := range k.order {
		k.order[i] = r.Uint32N(uint32(n))
	}
	return k
}

// Names are the keys.
func (k *Keys) Names() []string { return k.names }

// Others are the keys that runs have set beside Names, and may have left behind: the sessions of log-ins, and those of users who have
// logged in again.
func (k *Keys) Others() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Keys(k.others))
}

func (k *Keys) leave(keys []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.others == nil {
		k.others = make(map[string]bool)
	}
	for _, key := range keys {
		k.others[key] = true
	}
}

// Only returns the keys for which keep is true, with the same draws among them as far as they are left.
func (k *Keys) Only(keep func(key string) bool) *Keys {
	out := &Keys{prefix: k.prefix}
	place := make(map[uint32]uint32)
	for i, name := range k.names {
		if keep(name) {
			place[uint32(i)] = uint32(len(out.names))
			out.names = append(out.names, name)
		}
	}
	for _, i := range k.order {
		if at, ok := place[i]; ok {
			out.order = append(out.order, at)
		}
	}
	return out
}

// drawn returns the draws of one caller, one at a time. The text of what is drawn is in the processor's cache then, as the token of a
// request is that has just been read: to bring it there is no part of the call.
func (k *Keys) drawn() func() string {
	at := rand.IntN(len(k.order))
	return func() string {
		if at++; at == len(k.order) {
			at = 0
		}
		name := k.names[k.order[at]]
		runtime.KeepAlive(strings.IndexByte(name, 0)) // reads all of it
		return name
	}
}

// steps returns what caller i of n does, again and again, and what then tells which keys it has left behind beside those of k.
func (w Workload) steps(k *Keys, i, n int) (step func(context.Context, *caller), left func() []string) {
	draw := k.drawn()
	mixed := func(reads int) func(context.Context, *caller) { // of 100
		dice := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		return func(ctx context.Context, c *caller) {
			if dice.IntN(100) < reads {
				c.get(ctx, draw())
			} else {
				c.set(ctx, draw())
			}
		}
	}
	left = func() []string { return nil }
	switch w {
	case Read:
		step = func(ctx context.Context, c *caller) { c.get(ctx, draw()) }
	case ReadMostly:
		step = mixed(95)
	case WriteHeavy:
		step = mixed(50)
	case Write:
		step = func(ctx context.Context, c *caller) { c.set(ctx, draw()) }
	case Login:
		return logins(k, i, n)
	default:
		return logouts(k, i, n)
	}
	return step, left
}

// logins are of as many sessions as there are keys, then of the same again: memory stays bounded.
func logins(k *Keys, i, n int) (step func(context.Context, *caller), left func() []string) {
	most, number := max(1, len(k.names)/n), 0
	session := func(number int) string { return k.prefix + "login:" + strconv.Itoa(i) + ":" + strconv.Itoa(number) }
	step = func(ctx context.Context, c *caller) {
		key := session(number % most)
		number++
		c.set(ctx, key)
		c.get(ctx, key)
		c.get(ctx, key)
	}
	left = func() (keys []string) {
		for number := range min(number, most) {
			keys = append(keys, session(number))
		}
		return keys
	}
	return step, left
}

// logouts go through the caller's share of the keys; a user who has logged in again has another token.
func logouts(k *Keys, i, n int) (step func(context.Context, *caller), left func() []string) {
	at, round := i, 0
	token := func(at, round int) string {
		name := k.names[at%len(k.names)]
		if round == 0 {
			return name
		}
		return name + ":" + strconv.Itoa(i) + ":" + strconv.Itoa(round)
	}
	key := ""
	step = func(ctx context.Context, c *caller) {
		again := token(at, round+1)
		key = token(at, round)
		if at += n; at >= len(k.names) {
			at, round = i, round+1
		}
		c.delete(ctx, key)
		c.get(ctx, key)
		c.set(ctx, again)
	}
	left = func() (keys []string) {
		if key != "" {
			keys = append(keys, key) // its delete may have been cut short
		}
		for slot := i; slot == i || slot < len(k.names); slot += n {
			if slot < at {
				keys = append(keys, token(slot, round+1))
			} else if round > 0 {
				keys = append(keys, token(slot, round))
			}
		}
		return keys
	}
	return step, left
}
