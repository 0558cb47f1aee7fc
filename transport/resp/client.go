package resp

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"
)

// client is one connection and the state of the client. All of it belongs to the goroutine that serves it, but for what is atomic
// and for Conn.Close.
type client struct {
	net.Conn         // closed when it is polled
	polled   *polled // nil: the client has a goroutine of its own
	srv      *Server
	id       int64
	started  time.Time

	frames scanner
	args   [][]byte   // the arguments of a batch of commands, which lie in the buffer of frames
	batch  [][][]byte // its commands
	out    []byte     // replies not yet sent
	sendBy time.Time  // the write deadline of Conn
	longer sync.Mutex // of sendWithin, which sendMade and receiveWhileStuck call; the client's own goroutine waits for both
	early  early      // what was received while replies had to wait
	over   error      // why the present reply cannot be given: errOver or errCrowded
	dead   bool       // sending failed
	held   int        // bytes of buffers that the server accounts for

	authed  bool
	guesses int           // passwords that were wrong
	owing   *list.Element // in Server.owing; under Server.mu
	leaves  bool          // it is being closed in favour of another; under Server.mu
	loginBy time.Time     // when a client that is not authed is cut off
	proto   int           // 2 or 3
	misled  *int64        // the database of a SELECT that was refused; nil: it uses database 0
	quit    bool
	silent  bool // CLIENT REPLY OFF
	skip    int  // replies to leave out: CLIENT REPLY SKIP
	name    atomic.Pointer[string]

	ran      uint64        // commands since they were last added to commands
	commands atomic.Uint64 // that it has run

	rest      [][][]byte     // commands of the batch that are still to be run
	ahead     []lookup       // answers to the reads at the start of rest
	aheadHeld claim          // their values, but for one that lies in local memory
	aheadMost int            // reads that are made together at most; 0: mostAhead
	made      []plannedWrite // writes made for the commands at the start of rest
	ctx       *bounded       // of the present command; nil until it is needed
	late      bool           // a command of the batch has needed all of its time
	tx        transaction

	before    int       // how much of out is of commands before the present one
	meanwhile meanwhile // sends that, if the present one takes time

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
		authed:  s.cfg.CheckPassword == nil,
	}
	c.aheadHeld.srv = s
	c.name.Store(new(string))
	return c
}

// outcome is what answering comes to.
type outcome int

const (
	idle   outcome = iota // all that has been received whole is answered
	waits                 // on a loop: what comes next may take time, and is for a goroutine
	begins                // on a loop: what comes next takes time, and the loop is to begin it
	gone                  // the client is to be cut off
)

// serve runs what a client sends that has a goroutine of its own, until it goes or is cut off.
func (c *client) serve() {
	if err := c.handshake(); err != nil {
		c.reportHandshake(err)
		return
	}
	for c.answer() != gone {
		room, err := c.room()
		if err == nil {
			err = c.limitLogin()
		}
		if c.srv.draining.Load() && err == nil {
			err = c.SetReadDeadline(time.Now().Add(c.drainPatience()))
		}
		if err != nil {
			return
		}
		n := c.early.take(room)
		if n == 0 {
			n, err = c.Conn.Read(room)
		}
		if c.frames.received(n); err != nil && n == 0 && !c.owed(err) {
			return
		}
	}
}

// answer runs what has been received whole. Replies are sent before more is waited for, so that a batch of commands costs one write.
func (c *client) answer() outcome {
	for {
		if len(c.rest) == 0 {
			whole, ok := c.next()
			if !ok {
				return gone
			}
			if len(whole) == 0 {
				break
			}
			c.rest = whole
		}
		c.run()
		c.count()
		switch {
		case c.quit:
			c.flush()
			return gone
		case c.dead:
			return gone
		case c.polled != nil && c.polled.begun.on:
			return begins
		case c.blocked() || len(c.rest) > 0:
			return waits
		}
	}
	c.flush()
	switch {
	case c.dead:
		return gone
	case c.blocked():
		return waits
	}
	return idle
}

// count adds the commands of a batch to those of the client. Each client counts its own, so that no two wait for each other, and once
// for a batch; who asks for all adds up.
func (c *client) count() {
	if c.ran > 0 {
		c.commands.Add(c.ran)
		c.ran = 0
	}
}

// onLoop tells whether it is a loop that serves the client just now: nothing may wait.
func (c *client) onLoop() bool { return c.polled != nil && c.polled.local }

// blocked tells whether the socket took less than all of the replies.
func (c *client) blocked() bool { return c.polled != nil && c.polled.blocked }

// next returns the commands that have been received whole; none means that more has to be received. Their arguments lie in the
// buffer that is received into: what is kept longer than the batch has to be copied. False: the client broke the protocol.
func (c *client) next() ([][][]byte, bool) {
	lim := limits{args: maxArgs, bulk: c.srv.cfg.MaxValueBytes, frame: c.srv.cfg.maxCommandBytes(), commands: c.srv.cfg.MaxPipeline}
	if !c.authed {
		// One at a time, for the next may be AUTH.
		lim = limits{args: maxArgsNoAuth, bulk: maxCommandNoAuth, frame: maxCommandNoAuth, commands: 1, strict: true}
	}
	c.args, c.batch = c.args[:0], c.batch[:0]
	for len(c.batch) < lim.commands {
		n := len(c.args)
		args, ok := c.frames.quick(lim, c.args)
		if !ok {
			break
		}
		c.args, c.batch = args, append(c.batch, args[n:len(args):len(args)])
	}
	if len(c.batch) > 0 {
		return c.counted()
	}
	frames, err := c.frames.next(lim)
	for whole := true; whole && len(frames) > 0 && err == nil; {
		n := len(c.args)
		var args [][]byte
		if whole, args, _, frames, err = redcon.ReadNextCommand(frames, c.args[n:]); whole && err == nil {
			c.args = append(c.args[:n], args...)
			c.batch = append(c.batch, c.args[n:len(c.args):len(c.args)])
		}
	}
	if err != nil {
		c.out = redcon.AppendError(c.out, "ERR Protocol error: "+err.Error())
		c.flush()
		c.srv.log.Debug("client broke the protocol", "client", c.id, "error", err)
		return nil, false
	}
	return c.counted()
}

// counted returns the batch, unless there is no room for it.
func (c *client) counted() ([][][]byte, bool) {
	if c.account() {
		c.cutOff()
		return nil, false
	}
	return c.batch, true
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

// room returns space to receive into. Who owes the password has no more of it than one command may take.
func (c *client) room() ([]byte, error) {
	if !c.authed && len(c.frames.buf)-c.frames.start >= maxCommandNoAuth {
		c.out = redcon.AppendError(c.out, "ERR Protocol error: unauthenticated command too long")
		c.flush()
		return nil, io.EOF
	}
	room := c.frames.room(c.mayKeep(128<<10, firstBuffer))
	if c.account() {
		c.cutOff()
		return nil, io.EOF
	}
	return room, nil
}

func (c *client) handshake() error {
	conn, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.srv.ctx, c.srv.cfg.WriteTimeout)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// reportHandshake tells why a client is cut off that speaks no TLS, or another, or does not accept the certificate. Of one that only
// went away, as probes do, there is nothing to tell.
func (c *client) reportHandshake(err error) {
	var alert *net.OpError
	var broken net.Error
	switch {
	case errors.As(err, &tls.RecordHeaderError{}):
		c.report("a client does not speak TLS, which is all that is spoken here, and is cut off")
	case errors.As(err, &alert) && alert.Op == "remote error",
		!errors.As(err, &broken) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && c.srv.ctx.Err() == nil:
		c.report("a client and this port find no way to speak TLS", "error", err)
	}
}

// flush sends the replies collected; on a loop, as many as go at once. A client that does not take them in time is cut off.
func (c *client) flush() {
	if len(c.out) == 0 || c.dead {
		c.out = c.out[:0]
		return
	}
	sent, err := c.send()
	if err != nil {
		c.cannotSend(err, len(c.out)-sent)
	}
	if c.blocked() && !c.dead {
		c.out = c.out[:copy(c.out, c.out[sent:])]
		return
	}
	if c.out = c.out[:0]; cap(c.out) > c.mayKeep(256<<10, 4<<10) {
		c.out = nil
	}
}

// cannotSend cuts off a client to which so many bytes of replies cannot be sent.
func (c *client) cannotSend(err error, left int) {
	c.dead = true
	_ = c.Conn.Close()
	if errors.Is(err, errSlowReader) || errors.Is(err, os.ErrDeadlineExceeded) {
		c.report("a client is cut off: it does not take its replies", "bytes", left, "received_meanwhile", c.early.size)
	} else {
		c.srv.log.Debug("cannot send replies", "client", c.id, "error", err)
	}
}

func (c *client) send() (sent int, err error) {
	if c.polled != nil {
		return c.polled.send(c)
	}
	timeout, now := c.srv.cfg.WriteTimeout, time.Now()
	// To set a deadline takes a good part of what sending takes, so each is used for half as long again.
	most := timeout + timeout/2
	if len(c.out) > smallBuffers {
		if timeout = c.patience(); timeout < c.srv.cfg.WriteTimeout {
			most = timeout
		}
	}
	if left := c.sendBy.Sub(now); left < timeout || left > most {
		c.sendBy = now.Add(most)
		err = c.SetWriteDeadline(c.sendBy)
	}
	if err == nil {
		c.besideWrite(func() { sent, err = c.Conn.Write(c.out) })
	}
	return sent, err
}

// sendWithin sets the write deadline, for now and what is sent in the next half of WriteTimeout.
func (c *client) sendWithin() error {
	c.longer.Lock()
	defer c.longer.Unlock()
	c.sendBy = time.Now().Add(c.srv.cfg.WriteTimeout + c.srv.cfg.WriteTimeout/2)
	return c.SetWriteDeadline(c.sendBy)
}

// run executes the commands of rest; on a loop, as far as none has to wait.
func (c *client) run() {
	enough := 64 << 10 // bytes of replies after which they are sent before the batch is done
	if !c.authed || !c.srv.mayBuffer(0) {
		enough = 2 << 10
	}
	for n := 0; len(c.rest) > 0 && !c.quit && !c.dead; n++ {
		if n%PrefetchMost == 0 && len(c.rest) > 1 && c.onLoop() {
			c.polled.loop.hintOf(c.rest)
		}
		args := c.rest[0]
		cmd := c.srv.find(args[0])
		if c.onLoop() {
			switch {
			case !c.polled.mayGoOn():
				return
			case len(c.made) == 0 && !c.atOnce(cmd, args):
				if !c.polled.again && len(c.ahead) == 0 {
					c.begin(cmd, args)
				}
				return
			}
		}
		c.rest = c.rest[1:]
		c.before = len(c.out)
		c.dispatch(cmd, args)
		if c.over != nil {
			c.tooMuch()
		}
		switch {
		case c.silent:
			c.out = c.out[:c.before]
		case c.skip > 0:
			if c.skip--; c.skip == 0 {
				c.out = c.out[:c.before]
			}
		}
		c.endMeanwhile()
		if c.polled != nil && len(c.ahead) == 0 {
			c.ahead, c.polled.one[0] = nil, lookup{} // or else it would keep what it has read alive
		}
		if len(c.out) > enough {
			if c.flush(); c.blocked() {
				return
			}
		}
	}
	c.forgetAhead()
	c.rest, c.made, c.late = nil, nil, false
	// A buffer that has been replaced is not to be kept alive by the arguments of the past.
	clear(c.args)
	clear(c.batch)
	if cap(c.args)+cap(c.batch) > c.mayKeep(2<<10, 128) {
		c.args, c.batch = nil, nil
	}
}

// atOnce tells whether a command is answered without waiting. What a read comes to is kept for it.
func (c *client) atOnce(cmd *command, args [][]byte) bool {
	switch {
	case cmd == nil:
		return false // it may be worth a line in the log
	case cmd.run == nil || !cmd.fits(len(args)) || !c.authed && !cmd.open || cmd.namesPart(args):
		return true // an error
	case c.tx.open && !cmd.direct:
		return true // put into the queue
	case c.astray(cmd):
		return true // an error
	case cmd.reads && len(c.ahead) > 0:
		return !c.takesLong(cmd, args)
	case cmd.reads:
		l, ok := c.srv.now(args[1])
		c.polled.one[0] = l
		c.ahead = c.polled.one[:1]
		if !ok {
			c.ahead = nil
		}
		return ok && !c.takesLong(cmd, args)
	}
	return cmd.atOnce
}

// takesLong tells whether a read whose answer is at hand would hold up a loop: it goes through a large hash, or asks for many fields.
func (c *client) takesLong(cmd *command, args [][]byte) bool {
	const large, many = 64 << 10, 256
	return cmd.walks && (len(c.ahead[0].entry.Value) > large || len(args) > many)
}

// context returns the context of the present command, made when it is first asked for.
func (c *client) context() context.Context {
	if c.ctx == nil {
		c.ctx = newBounded(c.srv.ctx, c.timeout())
		c.sendMeanwhile()
	}
	return c.ctx
}

func (c *client) endContext() {
	if c.ctx != nil {
		if c.ctx.late() {
			c.noteLate()
		}
		c.ctx.end()
		c.ctx = nil
	}
}

// timeout is what a command may take. There may be thousands in a batch: once one has used up its time, those after it get less.
func (c *client) timeout() time.Duration {
	if c.late {
		return min(c.srv.cfg.Timeout, lateTimeout)
	}
	return c.srv.cfg.Timeout
}

// noteLate notes that a command has used up its time. In an EXEC nothing is begun any more then but deletions, which go on by themselves.
func (c *client) noteLate() { c.late, c.tx.late = true, c.tx.running }

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
