package strategy

import (
	"context"
	"fmt"
	"sync"

	"github.com/huddle-cache/huddle/node"
)

var errOtherToken = fmt.Errorf("strategy: loaded session has another token: %w", ErrInvalid)

// found is what a look-up tells.
type found struct {
	hit     bool
	session CachedSession // of a hit
	// ordered tells that ticket may be used for a fill; without it the cache could not tell just now.
	ordered bool
	ticket  node.Ticket
}

// checkToken refuses a token that no session can have.
func checkToken(token string) error {
	switch {
	case token == "":
		return fmt.Errorf("strategy: empty token: %w", ErrInvalid)
	case len(token) > maxTokenBytes:
		return fmt.Errorf("strategy: token over %d bytes: %w", maxTokenBytes, ErrTooLarge)
	}
	return nil
}

// flights sees to it that a token is loaded once at a time. Its point beyond that: who waits for a load takes its
// result only if the load began after the wait did, so that nobody is given what was read before a deletion that was
// acknowledged before they asked.
type flights struct {
	mu    sync.Mutex
	clock uint64 // counts arrivals and departures
	ended uint64 // counts loads that are over
	open  map[string]*flight
}

type flight struct {
	began   uint64
	done    chan struct{}
	session CachedSession
	err     error
	void    bool // the load was given up by its caller; it says nothing
	stale   bool // the key was written, deleted or cut meanwhile (InMemory only; under its lock)
}

// arrive returns the time of arrival and the number of loads that are over.
func (f *flights) arrive() (arrival uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	return f.clock
}

func (f *flights) endedSoFar() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// enter joins the load of token that is under way, or begins one (leader). quiet tells that no load at all has ended
// since ended was asked for.
func (f *flights) enter(token string, ended uint64) (fl *flight, leader, quiet bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.open[token]; ok {
		return fl, false, false
	}
	f.clock++
	fl = &flight{began: f.clock, done: make(chan struct{}), void: true}
	if f.open == nil {
		f.open = make(map[string]*flight)
	}
	f.open[token] = fl
	return fl, true, f.ended == ended
}

func (f *flights) leave(token string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, token)
	f.ended++
	close(fl.done)
}

// loader is a cache that load can fill.
type loader interface {
	// find looks token up.
	find(ctx context.Context, token string) (found found, err error)
	// begin is called before each load that may be followed by fill, and returns what ends it.
	begin(fl *flight, token string) (end func())
	// fill stores what was loaded after found was returned. It returns ErrRevoked for a dead token, else nil.
	fill(ctx context.Context, fl *flight, token string, found found, session CachedSession) error
}

// load is Load for any loader.
func (f *flights) load(ctx context.Context, c loader, token string, load func(context.Context) (CachedSession, error)) (CachedSession, error) {
	arrival := f.arrive()
	for {
		ended := f.endedSoFar()
		found, err := c.find(ctx, token)
		if err != nil || found.hit {
			return found.session, err
		}
		fl, leader, quiet := f.enter(token, ended)
		if leader {
			return f.lead(ctx, c, fl, token, found, quiet, load)
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return CachedSession{}, ctx.Err()
		}
		if fl.began > arrival && !fl.void {
			return fl.session.Clone(), fl.err
		}
	}
}

// lead carries the load out.
func (f *flights) lead(ctx context.Context, c loader, fl *flight, token string, found found, quiet bool, load func(context.Context) (CachedSession, error)) (CachedSession, error) {
	defer f.leave(token, fl)
	if !quiet { // a load may have ended between the look-up and now
		again, err := c.find(ctx, token)
		if err != nil || again.hit {
			return again.session, err
		}
		found = again
	}
	defer c.begin(fl, token)()
	session, err := load(ctx)
	if err == nil && session.Token != token {
		err = errOtherToken
	}
	if err == nil {
		err = c.fill(ctx, fl, token, found, session)
	}
	if err != nil {
		session = CachedSession{}
	}
	// Waiters must not fail because the one they waited for was cancelled.
	fl.session, fl.err, fl.void = session.Clone(), err, err != nil && ctx.Err() != nil
	return session, err
}
