package strategy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// memoryLoader is the loader that an InMemory is.
type memoryLoader InMemory

func (l *memoryLoader) find(ctx context.Context, token string) (found, error) {
	m := (*InMemory)(l)
	session, hit, err := m.Get(ctx, token)
	if err == nil && !hit {
		err = m.checkAlive(token)
	}
	return found{hit: hit, session: session, ordered: true}, err
}

func (l *memoryLoader) begin(fl *flight, token string) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filling[token] = fl
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.filling, token)
	}
}

func (l *memoryLoader) fill(_ context.Context, fl *flight, token string, _ found, session CachedSession) error {
	m := (*InMemory)(l)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(time.Now())
	if _, dead := m.revoked[token]; dead {
		return fmt.Errorf("strategy: load session: %w", ErrRevoked)
	}
	if fl.stale {
		return nil
	}
	if err := m.put(session); err != nil && !errors.Is(err, ErrTooLarge) {
		return err
	}
	return nil
}

// checkAlive spares the load of a token that is dead.
func (m *InMemory) checkAlive(token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, dead := m.revoked[token]; dead {
		return fmt.Errorf("strategy: load session: %w", ErrRevoked)
	}
	return nil
}
