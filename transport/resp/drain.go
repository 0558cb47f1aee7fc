package resp

import (
	"context"
	"errors"
	"os"
	"time"
)

const (
	// drainPause is how often Drain looks whether all have ended.
	drainPause = 5 * time.Millisecond
	// drainGlance is enough to receive what is there already.
	drainGlance = 100 * time.Microsecond
)

// Drain stops listening, and ends each connection once all that has come on it is answered and no transaction is open, so that clients find it
// closed between two commands and go elsewhere. It returns when all have ended, or with ctx. Close is still to be called.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	err := s.unlisten()
	s.mu.Lock()
	loops := s.loops
	for c := range s.clients {
		_ = c.SetReadDeadline(time.Now()) // of one with a goroutine of its own, which then looks; any other has no connection here
	}
	s.mu.Unlock()
	for _, l := range loops {
		l.drain()
	}
	for s.open() > 0 && sleep(ctx, drainPause) && s.ctx.Err() == nil {
	}
	if s.open() > 0 {
		err = errors.Join(err, ctx.Err())
	}
	return err
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// drain looks after the clients at rest; every other one is looked after before it comes to rest.
func (l *loop) drain() {
	l.mu.Lock()
	all := make([]*client, 0, len(l.clients))
	for _, c := range l.clients {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		if c.polled.take() {
			go l.work(c) // what has come meanwhile is answered first
		}
	}
}

// answered tells whether nothing is owed to a client of what it has sent.
func (c *client) answered() bool {
	return !c.frames.begun && c.frames.start == len(c.frames.buf) && len(c.out) == 0 && len(c.early.chunks) == 0 && !c.tx.open
}

// drainPatience is how long a goroutine waits for more of a client while the server is drained: not for a command that may not have been begun.
func (c *client) drainPatience() time.Duration {
	if c.answered() {
		return drainGlance
	}
	return drainPause
}

// owed tells whether reading has failed only because the server is drained, and there is more to be answered.
func (c *client) owed(err error) bool {
	return c.srv.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded) && !c.answered()
}
