package resp

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"
)

// client is one connection: the net.Conn that redcon reads commands from, and the state of the client. All of it belongs to the
// connection's goroutine, but for what is atomic and for Conn.Close.
type client struct {
	net.Conn
	srv     *Server
	id      int64
	started time.Time

	frames scanner
	ready  []byte // whole commands, to be handed to redcon
	out    []byte // replies not yet sent
	over   bool   // the present reply is over maxReplyBytes
	dead   bool   // sending failed
	held   int    // bytes of the buffer of frames that the server accounts for
	shook  bool   // the TLS handshake is done

	authed  bool
	loginBy time.Time // when a client that is not authed is cut off
	proto   int       // 2 or 3
	quit    bool
	silent  bool // CLIENT REPLY OFF
	skip    int  // replies to leave out: CLIENT REPLY SKIP
	name    atomic.Pointer[string]

	rest   []redcon.Command // commands of the batch that come after the present one
	ahead  []lookup         // answers to the reads at the start of rest
	made   []plannedWrite   // writes made for the commands at the start of rest
	ctx    context.Context  // of the present command; nil until it is needed
	cancel context.CancelFunc
	tx     transaction

	slowWrites int // of the last writes of a pipeline, one after the other
}

func newClient(s *Server, conn net.Conn) *client {
	if s.cfg.TLS != nil {
		conn = tls.Server(conn, s.cfg.TLS)
	}
	c := &client{
		Conn:    conn,
		srv:     s,
		id:      s.lastID.Add(1),
		started: time.Now(),
		proto:   2,
		authed:  s.cfg.Password == "",
	}
	c.name.Store(new(string))
	return c
}

// Read hands whole commands to redcon. Before it waits for the client it sends the replies collected, so that a batch of
// commands costs one write.
func (c *client) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// Write is called by redcon, which has nothing to say: replies are collected in c.out.
func (c *client) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.out = append(c.out, p...)
	c.flush()
	if c.dead {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// fill finds the next commands among the bytes received, or else receives more.
func (c *client) fill() error {
	lim := limits{args: maxArgs, bulk: c.srv.cfg.MaxValueBytes, frame: c.srv.cfg.maxCommandBytes(), commands: c.srv.cfg.MaxPipeline}
	if !c.authed {
		// One at a time, for the next may be AUTH.
		lim = limits{args: maxArgsNoAuth, bulk: maxBulkNoAuth, frame: 2 * maxArgsNoAuth * maxBulkNoAuth, commands: 1, strict: true}
	}
	ready, err := c.frames.next(lim)
	if err != nil {
		c.out = redcon.AppendError(c.out, "ERR Protocol error: "+err.Error())
		c.flush()
		c.srv.log.Debug("client broke the protocol", "client", c.id, "error", err)
		return io.EOF
	}
	if c.ready = ready; len(ready) > 0 {
		return nil
	}
	if c.flush(); c.dead {
		return net.ErrClosed
	}
	if err := c.handshake(); err != nil {
		return err
	}
	room, err := c.room()
	if err == nil {
		err = c.limitLogin()
	}
	if err != nil {
		return err
	}
	n, err := c.Conn.Read(room)
	c.frames.received(n)
	if n > 0 {
		return nil
	}
	return err
}

// limitLogin lets a client that owes the password wait no longer than Config says, however slowly it sends.
func (c *client) limitLogin() error {
	switch {
	case !c.authed && c.loginBy.IsZero():
		c.loginBy = time.Now().Add(c.srv.cfg.loginTime)
		return c.SetReadDeadline(c.loginBy)
	case c.authed && !c.loginBy.IsZero():
		c.loginBy = time.Time{}
		return c.SetReadDeadline(c.loginBy)
	}
	return nil
}

// room returns space to receive into. What all clients together have sent of commands that are not whole yet is bounded.
func (c *client) room() ([]byte, error) {
	const small = 64 << 10 // so much is allowed in any case
	room := c.frames.room()
	size := cap(c.frames.buf)
	if size <= small {
		size = 0
	}
	if size != c.held {
		all := c.srv.received.Add(int64(size - c.held))
		grown := size > c.held
		c.held = size
		if grown && all > c.srv.cfg.maxReceived {
			c.out = redcon.AppendError(c.out, "ERR huddle: too much is being sent to this node at once")
			c.flush()
			c.srv.log.Warn("a client is cut off: too much is being sent at once", "client", c.id)
			return nil, io.EOF
		}
	}
	return room, nil
}

func (c *client) handshake() error {
	if c.shook {
		return nil
	}
	c.shook = true
	conn, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.srv.ctx, c.srv.cfg.WriteTimeout)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// flush sends the replies collected. A client that does not take them in time is cut off.
func (c *client) flush() {
	const keep = 256 << 10
	if len(c.out) == 0 || c.dead {
		c.out = c.out[:0]
		return
	}
	err := c.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout))
	if err == nil {
		_, err = c.Conn.Write(c.out)
	}
	if err != nil {
		c.dead = true
		_ = c.Conn.Close()
		c.srv.log.Debug("client does not take its replies", "client", c.id, "error", err)
	}
	if c.out = c.out[:0]; cap(c.out) > keep {
		c.out = nil
	}
}

// run executes a batch of commands.
func (c *client) run(first redcon.Command, rest []redcon.Command) {
	const enough = 64 << 10 // bytes of replies after which they are sent before the batch is done
	for args := first.Args; ; {
		c.rest = rest
		before := len(c.out)
		c.dispatch(args)
		if c.over {
			c.over = false
			c.out = c.out[:before]
			c.writeError(errReplySize)
		}
		switch {
		case c.silent:
			c.out = c.out[:before]
		case c.skip > 0:
			if c.skip--; c.skip == 0 {
				c.out = c.out[:before]
			}
		}
		if len(c.out) > enough {
			c.flush()
		}
		if len(rest) == 0 || c.quit || c.dead {
			break
		}
		args, rest = rest[0].Args, rest[1:]
	}
	c.rest, c.ahead, c.made = nil, nil, nil
}

// context returns the context of the present command, made when it is first asked for.
func (c *client) context() context.Context {
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithTimeout(c.srv.ctx, c.srv.cfg.Timeout)
	}
	return c.ctx
}

func (c *client) endContext() {
	if c.ctx != nil {
		c.cancel()
		c.ctx, c.cancel = nil, nil
	}
}

// sleep pauses for d and tells whether ctx still runs.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
