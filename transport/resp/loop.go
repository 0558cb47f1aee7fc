package resp

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

var errSlowReader = errors.New("not taken in time")

// loop serves many clients from one goroutine. It receives, answers what can be answered without waiting, and sends. Reads and plain writes
// that another node has to answer it begins for all of a turn together, and goes on with their clients when they have ended. A client
// whose next command is of another sort and may take time, or that does not take its replies, gets a goroutine until that is over. So
// a read of what lies in local memory costs no change of goroutines, and a client at rest has none.
//
// A client belongs to the loop or to a goroutine, one at a time, and only its owner touches it. News of a client that has a goroutine are
// noted in its state, and the goroutine looks after them before it gives the client back.
type loop struct {
	srv  *Server
	poll *poller

	ready []*client // to be served in the next turn
	last  []*client // room for the turn after that
	keys  [PrefetchMost]string

	ops    []Op         // to be begun
	places []place      // of their outcomes
	begun  atomic.Int32 // clients that wait for some
	awake  atomic.Bool  // it runs, and looks at ended before it waits

	mu      sync.Mutex
	clients map[int]*client // by socket
	ended   []*client       // whose operations have
	over    bool            // the loop takes no client any more
}

// polled is what a client of a loop has beside what every client has.
type polled struct {
	loop    *loop
	sock    socket
	state   atomic.Uint32
	local   bool  // it is the loop that serves the client just now
	hup     bool  // there will be no more news: what is there now has to be read to its end
	heard   heard // what the loop has received in this turn
	begun   begun
	again   bool          // what was begun for the next command has to be asked again, by a goroutine
	turn    int           // commands that the loop has run for the client in this turn
	blocked bool          // the socket takes no more for now; what is left is in client.out
	stirred chan struct{} // there are news, also for who waits until it can send; made when first waited for, under loop.mu
	login   *time.Timer   // ends with the time that the password may take
	one     [1]lookup     // room for client.ahead
}

// Values of polled.state.
const (
	resting uint32 = iota // the loop may take it
	busy                  // somebody serves it
	news                  // somebody serves it, and there are news
)

// startLoops starts n loops, or none where there is no poller.
func (s *Server) startLoops(n int) {
	for range n {
		p, err := newPoller()
		if err != nil {
			s.log.Debug("each client gets a goroutine", "reason", err)
			return
		}
		l := &loop{srv: s, poll: p, clients: make(map[int]*client)}
		s.loops = append(s.loops, l)
		s.serving.Go(l.run)
	}
}

// adopt takes over a client that has been admitted, unless its connection is not a plain socket.
func (s *Server) adopt(c *client) bool {
	if len(s.loops) == 0 {
		return false
	}
	sock, err := detach(c.Conn)
	if err != nil {
		return false
	}
	l := s.loops[int(c.id)%len(s.loops)]
	p := &polled{loop: l, sock: sock}
	p.state.Store(busy)
	s.mu.Lock()
	c.polled = p // under the lock, for Close may be about to hang up on it
	s.mu.Unlock()
	l.mu.Lock()
	l.clients[int(sock)] = c
	l.mu.Unlock()
	if err := l.poll.add(int(sock)); err != nil {
		s.log.Warn("cannot watch a client", "client", c.id, "error", err)
		s.ended(c)
		return true
	}
	if s.draining.Load() {
		go l.work(c) // what has come already is answered first
		return true
	}
	l.rest(c)
	return true
}

func (l *loop) run() {
	l.poll.run(l.news, l.turn)
	l.returned()
	l.mu.Lock()
	l.over = true
	left := make([]*client, 0, len(l.clients))
	for _, c := range l.clients {
		left = append(left, c)
	}
	l.ready = append(l.ready, l.ended...)
	l.mu.Unlock()
	for _, c := range l.ready {
		l.srv.ended(c)
	}
	for _, c := range left {
		if c.polled.state.CompareAndSwap(resting, busy) || c.polled.begun.waiting.CompareAndSwap(true, false) {
			l.srv.ended(c)
		}
	}
}

// news is called for every socket that has some. Those of a socket that was closed since may be taken for those of another that
// has its number: the worst that comes of it is a read that finds nothing.
func (l *loop) news(fd int, what uint32) {
	l.mu.Lock()
	c := l.clients[fd]
	var stirred chan struct{}
	if c != nil {
		stirred = c.polled.stirred
	}
	l.mu.Unlock()
	if stirred != nil {
		select {
		case stirred <- struct{}{}:
		default:
		}
	}
	if c != nil && c.polled.take() {
		c.polled.hup = c.polled.hup || what&pollHup != 0
		l.ready = append(l.ready, c)
	}
}

// take makes the caller the owner, or leaves word that there are news.
func (p *polled) take() bool {
	for {
		switch state := p.state.Load(); {
		case state == resting && p.state.CompareAndSwap(resting, busy):
			return true
		case state != resting && p.state.CompareAndSwap(state, news):
			return false
		}
	}
}

// turn serves the clients that are ready, and tells whether there are more again. First it receives from some of them, so that the
// backend can be told the keys of all these.
func (l *loop) turn() (busy bool) {
	l.awake.Store(true)
	l.returned()
	all := l.ready
	l.ready, l.last = l.last[:0], all
	for some := range slices.Chunk(all, PrefetchMost) {
		keys := l.keys[:0]
		for _, c := range some {
			c.polled.local = true
			if len(c.rest) > 0 {
				continue // what it waited for has ended
			}
			c.polled.heard = c.receive()
			if len(c.rest) == 1 {
				keys = appendKey(keys, c.rest[0])
			}
		}
		l.hint(keys)
		for _, c := range some {
			l.serve(c)
		}
		l.begin()
	}
	clear(all)
	if len(l.ready) > 0 {
		return true
	}
	l.awake.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ended) > 0 // who came after would have seen it asleep
}

// serve answers what has been received.
func (l *loop) serve(c *client) {
	p := c.polled
	outcome := gone
	if p.turn = 0; !p.heard.end {
		outcome = c.answer()
	}
	p.again = false
	if p.local = false; outcome != gone && c.tooLate() {
		outcome = gone
	}
	switch {
	case outcome == gone:
		l.finish(c)
	case outcome == begins: // it is back when that has ended
	case outcome == waits:
		go l.work(c)
	case p.heard.full, p.heard.some && p.hup:
		l.ready = append(l.ready, c)
	case p.state.CompareAndSwap(news, busy): // while it waited
		p.hup = true // that may have been among the news
		l.ready = append(l.ready, c)
	default:
		l.rest(c)
	}
}

// mayGoOn bounds what the loop does for one client in a turn: with more to do it gets a goroutine, and holds up no other.
func (p *polled) mayGoOn() bool {
	const most = 512
	p.turn++
	return p.turn <= most
}

// heard is what receiving comes to.
type heard struct {
	some bool // there was something
	full bool // there may be more
	end  bool // the client is gone, or to be cut off
}

// receive receives once, and reads the commands.
func (c *client) receive() heard {
	room, err := c.room()
	if err != nil {
		return heard{end: true}
	}
	n := c.early.take(room)
	if n == 0 {
		n, err = c.polled.sock.read(room)
	}
	if err != nil {
		return heard{end: true}
	}
	if n == 0 {
		c.polled.hup = false // or else there would have been its end
	}
	c.frames.received(n)
	whole, ok := c.next()
	c.rest = whole
	return heard{some: n > 0, full: n == len(room), end: !ok}
}

// hint tells the backend the keys that it will be asked for next.
func (l *loop) hint(keys []string) {
	if l.srv.prefetch != nil && len(keys) > 1 {
		l.srv.prefetch.Prefetch(keys)
	}
	clear(keys) // they lie in the buffers of clients
}

// hintOf is hint for commands of one client.
func (l *loop) hintOf(commands [][][]byte) {
	keys := l.keys[:0]
	for _, args := range commands[:min(len(commands), PrefetchMost)] {
		keys = appendKey(keys, args)
	}
	l.hint(keys)
}

// appendKey appends the key of what looks like a read.
func appendKey(keys []string, args [][]byte) []string {
	if len(args) != 2 {
		return keys
	}
	return append(keys, unsafe.String(unsafe.SliceData(args[1]), len(args[1])))
}

// work serves a client from a goroutine of its own, from the middle of a batch on, until all it has sent is answered.
func (l *loop) work(c *client) {
	if c.blocked() {
		c.flush()
	}
	outcome := c.answer()
	for outcome != gone {
		h := c.receive()
		if h.end {
			outcome = gone
			break
		}
		if !h.some {
			break
		}
		if outcome = c.answer(); c.tooLate() {
			outcome = gone
		}
	}
	if outcome == gone {
		l.srv.ended(c)
		return
	}
	l.rest(c)
}

// rest gives a client back to the loop. Who calls it does not own the client any more.
func (l *loop) rest(c *client) {
	if c.tooLate() {
		l.srv.ended(c)
		return
	}
	if c.held > 0 {
		if c.frames.start == len(c.frames.buf) {
			c.frames.room(c.mayKeep(128<<10, firstBuffer)) // gives a large buffer back
		}
		_ = c.account() // it receives nothing just now
	}
	p := c.polled
	switch {
	case l.srv.draining.Load() && c.answered() && p.state.Load() != news:
		l.srv.ended(c)
	case !p.state.CompareAndSwap(busy, resting):
		p.state.Store(busy)
		go l.work(c)
	case l.srv.ctx.Err() != nil && p.state.CompareAndSwap(resting, busy): // the loop may have looked for clients at rest before
		l.srv.ended(c)
	}
}

// tooLate tells whether a client owes the password for longer than Config allows, and sees to it that this is noticed.
func (c *client) tooLate() bool {
	switch {
	case c.authed:
		if c.loginBy = (time.Time{}); c.polled.login != nil {
			c.polled.login.Stop()
			c.polled.login = nil
		}
	case c.loginBy.IsZero():
		c.loginBy = time.Now().Add(c.srv.cfg.loginTime)
		p := c.polled
		p.login = time.AfterFunc(c.srv.cfg.loginTime, func() {
			if p.take() {
				p.loop.rest(c)
			}
		})
	default:
		return !time.Now().Before(c.loginBy)
	}
	return false
}

// finish ends a client on the loop, once it has its last replies.
func (l *loop) finish(c *client) {
	if len(c.out) == 0 || c.dead {
		l.srv.ended(c)
		return
	}
	go func() {
		c.flush()
		l.srv.ended(c)
	}()
}

// forget is called when a client is about to end.
func (l *loop) forget(c *client) {
	c.endMeanwhile() // or it might send to another that has the number of the socket
	if c.polled.login != nil {
		c.polled.login.Stop() // it would keep the client in memory
	}
	l.mu.Lock()
	delete(l.clients, int(c.polled.sock))
	l.mu.Unlock()
	_ = c.polled.sock.close() // nobody has its number any more
}

// hangUp shuts the socket of c down. That is news, also for who waits until it takes more.
func (p *polled) hangUp(c *client) {
	p.loop.mu.Lock()
	defer p.loop.mu.Unlock()
	if p.loop.clients[int(p.sock)] == c { // else it is closed, and another may have its number
		_ = p.sock.shutdown() // fails only if the client has hung up
	}
}

// send sends the replies of c: on the loop as much as goes now, which is what it returns, on a goroutine all.
func (p *polled) send(c *client) (sent int, err error) {
	p.blocked = false
	sent, err = p.sock.write(c.out)
	if err != nil || sent == len(c.out) {
		return sent, err
	}
	if p.local {
		p.blocked = true
		return sent, nil
	}
	return p.wait(c, sent)
}

// wait sends what is left of the replies of c as the socket takes it, and receives meanwhile.
func (p *polled) wait(c *client, sent int) (int, error) {
	p.loop.mu.Lock()
	if p.stirred == nil {
		p.stirred = make(chan struct{}, 1)
	}
	p.loop.mu.Unlock()
	// Once is enough: all that is tried below is tried until the socket has no more, which makes what comes then news.
	if err := p.loop.poll.watchWrites(int(p.sock), true); err != nil {
		return sent, err
	}
	timeout := c.patience()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		h, more := c.receiveEarly(p.sock.read)
		if more {
			timer.Reset(timeout)
		}
		n, err := p.sock.write(c.out[sent:])
		if sent += n; err != nil {
			return sent, err
		}
		if sent == len(c.out) {
			return sent, p.loop.poll.watchWrites(int(p.sock), false)
		}
		var again <-chan time.Time
		switch h {
		case heardSome:
			continue
		case crowded:
			again = time.After(crowdedPause)
		}
		select {
		case <-p.stirred:
		case <-again:
		case <-timer.C:
			return sent, errSlowReader
		case <-p.loop.srv.ctx.Done():
			return sent, p.loop.srv.ctx.Err()
		}
	}
}
