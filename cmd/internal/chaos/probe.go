package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/cluster"
)

// Probers.
const (
	probeEvery = 10 * time.Millisecond
	redialWait = 100 * time.Millisecond
	drainWait  = 3 * time.Second
)

// prober reads without ever waiting for an answer before it asks again. So when a node is paused, questions asked while it
// sleeps, after others have written, are the first things it sees on waking: the moment at which it may believe that its leases
// still run.
type prober struct {
	load *load
	node *cluster.Node
}

// question is a GET under way.
type question struct {
	h      *history
	invoke time.Duration
}

// run asks until ctx ends.
func (p *prober) run(ctx context.Context) {
	for ctx.Err() == nil {
		if conn, err := net.DialTimeout("tcp", p.node.RESP, time.Second); err == nil {
			p.talk(ctx, conn)
		}
		select {
		case <-ctx.Done():
		case <-time.After(redialWait):
		}
	}
}

// talk asks on one connection until ctx ends or the connection breaks. Questions left open then are without an answer.
func (p *prober) talk(ctx context.Context, conn net.Conn) {
	asked := make(chan question, 10_000)
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.answers(conn, asked)
	}()
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
			continue
		case <-ticker.C:
		}
		h := p.load.pick(rand.IntN(slots))
		q := question{h: h, invoke: p.load.now()}
		select {
		case asked <- q:
		default: // it has been silent for long
			h.end(nil)
			continue
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := fmt.Fprintf(conn, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(h.key), h.key); err != nil {
			break
		}
	}
	close(asked)
	_ = conn.SetReadDeadline(time.Now().Add(drainWait))
	select {
	case <-read:
	case <-time.After(drainWait):
	}
	_ = conn.Close()
	<-read
}

// answers reads the answers in the order of the questions.
func (p *prober) answers(conn net.Conn, asked <-chan question) {
	in := bufio.NewReader(conn)
	broken := false
	for q := range asked {
		if broken {
			q.h.end(nil)
			continue
		}
		value, err := readReply(in)
		var said *replyError
		switch {
		case errors.As(err, &said):
			p.load.unanswered.Add(1)
			q.h.end(nil)
		case err != nil:
			broken = true
			_ = conn.Close() // the asker notices
			q.h.end(nil)
		default:
			p.load.probed.Add(1)
			q.h.end(&Op{Kind: Get, Value: value, Node: p.node.Name, Invoke: q.invoke, Return: p.load.now()})
		}
	}
}

// replyError is an error that the node sent.
type replyError struct{ text string }

// Error makes replyError an error.
func (e *replyError) Error() string { return e.text }

// readReply reads the answer to a GET; an absent value is empty.
func readReply(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case line == "$-1" || line == "_":
		return "", nil
	case strings.HasPrefix(line, "-"):
		return "", &replyError{line[1:]}
	case strings.HasPrefix(line, "$"):
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 || n > 1<<20 {
			return "", fmt.Errorf("an odd length %q", line)
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(in, data); err != nil {
			return "", err
		}
		return string(data[:n]), nil
	}
	return "", fmt.Errorf("an odd answer %q", line)
}
