package resp

import (
	"context"
	"sync"
)

// keyLocks let one command at a time change a key by reading it and writing it back on condition: those of one front would else only
// make each other try again. Commands at other nodes are not held up by it.
type keyLocks struct {
	mu    sync.Mutex
	byKey map[string]*keyLock
}

type keyLock struct {
	free  chan struct{} // holds one value while nobody has the lock
	users int           // who have it or wait for it
}

// lock waits for a key, at most until ctx ends. It returns the function that lets the next one have it.
func (l *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.byKey == nil {
		l.byKey = make(map[string]*keyLock)
	}
	k := l.byKey[key]
	if k == nil {
		k = &keyLock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		l.byKey[key] = k
	}
	k.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.byKey, key)
		}
	}
	select {
	case <-k.free:
		return func() {
			k.free <- struct{}{}
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
