package gossip

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
	warned  map[complaint]time.Time // when it was last made
	now     func() time.Time
	isLocal func(netip.Addr) bool
}

// complaint is what is wrong with an address, which is looked up before it is joined.
type complaint struct{ step, where, text string }

const (
	lookingUp = "look up"
	joining   = "join"
)

func newFinder(g *Gossip, joins []Join, self string) *finder {
	f := &finder{g: g, joins: joins, self: self, done: make(chan struct{}), warned: map[complaint]time.Time{}, now: time.Now, isLocal: isLocal}
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
		f.say(lookingUp, j.String(), err)
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
			f.say(joining, addr, err)
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

// trouble is the last complaint that still stands, or "".
func (f *finder) trouble() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var last complaint
	var when time.Time
	for c, at := range f.warned {
		if at.After(when) || at.Equal(when) && c.where < last.where {
			last, when = c, at
		}
	}
	if when.IsZero() {
		return ""
	}
	return last.where + ": " + last.text
}

// say logs what is wrong with an address: aloud while nobody has been reached, and once a minute for each reason.
func (f *finder) say(step, where string, err error) {
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		maps.DeleteFunc(f.warned, func(c complaint, _ time.Time) bool { return c.step == step && c.where == where })
		return
	}
	text := explain(err)
	kind, _, _ := strings.Cut(text, " (") // what follows is how it was noticed, now so and now so
	if c := (complaint{step, where, kind}); f.ctx.Err() != nil || !f.first(c) {
		return
	}
	level := f.g.log.Debug
	if !f.reached.Load() {
		level = f.g.log.Warn
	}
	level("cannot join", "address", where, "error", text)
}

// first tells whether this has not been said of late.
func (f *finder) first(c complaint) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if at, ok := f.warned[c]; ok && now.Sub(at) < warnWindow {
		return false
	}
	if len(f.warned) > 4*maxLost {
		clear(f.warned)
	}
	f.warned[c] = now
	return true
}

// explain is what an error comes down to: on one line, the same each time, and with what it may mean. memberlist lists its
// errors, and names the address once more.
func explain(err error) string {
	var list interface{ WrappedErrors() []error }
	if errors.As(err, &list) && len(list.WrappedErrors()) > 0 {
		err = list.WrappedErrors()[0]
	}
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "failed to join "); ok {
		if _, cause, ok := strings.Cut(rest, ": "); ok {
			text = cause
		}
	}
	for _, end := range []string{io.EOF.Error(), syscall.ECONNRESET.Error(), syscall.EPIPE.Error()} {
		if strings.HasSuffix(text, end) {
			return "the other side hung up: has it another cluster label, or a key that this node lacks?"
		}
	}
	words := strings.Fields(text)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return strings.Contains(w, "->") }), " ") // the ports change
}
