package gossip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	recheck   = 10 * time.Second
	firstTry  = 200 * time.Millisecond
	lastTry   = 2 * time.Second
	joinsOnce = 8 // exchanges under way at a time
)

// finder looks for other processes: in quick succession until one is reached, and from then on now and then, for memberlist
// forgets the dead, and two parts that were cut off from each other for long would never look for each other again.
type finder struct {
	g       *Gossip
	joins   []Join
	self    string // where this process is, to others
	reached atomic.Bool

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	warned  map[string]string // what was last said of an address
	isLocal func(netip.Addr) bool
}

func newFinder(g *Gossip, joins []Join, self string) *finder {
	f := &finder{g: g, joins: joins, self: self, done: make(chan struct{}), warned: map[string]string{}, isLocal: isLocal}
	f.ctx, f.cancel = context.WithCancel(g.ctx)
	f.reached.Store(len(joins) == 0)
	return f
}

// stop ends the search and waits for that.
func (f *finder) stop() {
	f.cancel()
	<-f.done
}

func (f *finder) run() {
	defer close(f.done)
	pause := firstTry
	for {
		f.round()
		wait := pause
		if f.reached.Load() {
			wait = f.g.cfg.Recheck
		}
		if !sleep(f.ctx, wait/2+rand.N(wait/2+1)) { //nolint:gosec // spreads retries, nothing secret
			return
		}
		pause = min(pause*3/2, lastTry)
	}
}

// round looks everything up, and joins who is not alive here.
func (f *finder) round() {
	alive, lost := f.g.roll.addresses(time.Now())
	addrs, all := f.resolve()
	missing := slices.DeleteFunc(append(slices.Clone(addrs), lost...), func(a string) bool { return a == f.self || alive[a] })
	slices.Sort(missing)
	missing = slices.Compact(missing)
	joined := f.join(missing)
	if f.ctx.Err() != nil || f.reached.Load() {
		return
	}
	if len(f.g.roll.peers()) > 0 {
		f.reached.Store(true)
		return
	}
	// Whoever answered and brought nobody along was this process itself.
	own := func(a string) bool { return a == f.self || joined[a] && f.own(a) }
	f.reached.Store(all && len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a string) bool { return !own(a) }))
}

// resolve returns the addresses of all join addresses, and whether each could be looked up.
func (f *finder) resolve() (addrs []string, all bool) {
	all = true
	for _, j := range f.joins {
		found, err := j.resolve(f.ctx, f.g.cfg.Resolver)
		f.say(j.String(), err)
		all = all && err == nil
		addrs = append(addrs, found...)
	}
	return addrs, all
}

// join exchanges all that is known with the processes at the addresses, and returns at which that worked.
func (f *finder) join(addrs []string) map[string]bool {
	var mu sync.Mutex
	var wg sync.WaitGroup
	ok := map[string]bool{}
	slots := make(chan struct{}, joinsOnce)
	for _, addr := range addrs {
		slots <- struct{}{}
		if f.ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			_, err := f.g.list.Join([]string{addr})
			f.say(addr, err)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ok[addr] = true
			}
		})
	}
	wg.Wait()
	return ok
}

// own tells whether an address that is not the one advertised may still be this process's own.
func (f *finder) own(addr string) bool {
	ours, err := netip.ParseAddrPort(f.self)
	if err != nil {
		return false
	}
	theirs, err := netip.ParseAddrPort(addr)
	return err == nil && theirs.Port() == ours.Port() && f.isLocal(theirs.Addr())
}

// isLocal tells whether an address is one of this machine.
func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().WithZone("") == ip.Unmap()
	})
}

// say logs what is wrong with an address: aloud while nobody has been reached, and once per reason.
func (f *finder) say(where string, err error) {
	text := ""
	if err != nil {
		text = fmt.Sprint(err)
	}
	f.mu.Lock()
	before := f.warned[where]
	if text == "" {
		delete(f.warned, where)
	} else {
		if len(f.warned) > 4*maxLost {
			clear(f.warned)
		}
		f.warned[where] = text
	}
	f.mu.Unlock()
	if text == "" || text == before || f.ctx.Err() != nil {
		return
	}
	level := f.g.log.Debug
	if !f.reached.Load() {
		level = f.g.log.Warn
	}
	level("cannot join", "address", where, "error", text)
}
