package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// errNoSession is the database's word that there is no such session.
var errNoSession = errors.New("no such session")

// database stands for the one that all replicas share. It is what the cache spares: every look-up is counted, and slow.
type database struct {
	queries atomic.Int64

	mu       sync.Mutex
	roles    map[string]string // of users
	sessions map[string]string // token -> user
}

func newDatabase(roles map[string]string) *database {
	return &database{roles: roles, sessions: map[string]string{}}
}

// logIn makes a session and returns its token.
func (d *database) logIn(user string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.roles[user]; !ok {
		return "", fmt.Errorf("no user %q", user)
	}
	token := rand.Text()
	d.sessions[token] = user
	return token, nil
}

// session looks a session up.
func (d *database) session(ctx context.Context, token string) (account, error) {
	d.queries.Add(1)
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
		return account{}, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	user, ok := d.sessions[token]
	if !ok {
		return account{}, errNoSession
	}
	return account{User: user, Role: d.roles[user]}, nil
}

func (d *database) logOut(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, token)
}

func (d *database) logOutEverywhere(user string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for token, of := range d.sessions {
		if of == user {
			delete(d.sessions, token)
		}
	}
}

func (d *database) setRole(user, role string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.roles[user] = role
}
