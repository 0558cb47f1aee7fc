package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/huddle-cache/huddle/cmd/internal/client"
)

// State is what a process does.
type State string

// States of a process.
const (
	Up     State = "up"
	Down   State = "down"
	Paused State = "paused"
)

// Node is one process of a cluster. Its methods are safe for concurrent use.
type Node struct {
	Name                string
	Listen, RESP, Admin string // host:port

	args     []string // the whole command line
	log      string
	launcher *launcher
	blocks   *blocks
	client   *client.Client

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	paused bool
}

// Client speaks to the node's admin interface.
func (n *Node) Client() *client.Client { return n.client }

// URL is the address of the status page.
func (n *Node) URL() string { return "http://" + n.Admin + "/" }

// State tells what the process does.
func (n *Node) State() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state()
}

func (n *Node) state() State {
	if n.cmd == nil {
		return Down
	}
	select {
	case <-n.exited:
		return Down
	default:
	}
	if n.paused {
		return Paused
	}
	return Up
}

// PID is the number of the process, 0 when it is down.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state() == Down {
		return 0
	}
	return n.cmd.Process.Pid
}

// Start starts the process, which must be down. It does not wait for it to be ready.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state() != Down {
		return fmt.Errorf("%s is %s", n.Name, n.state())
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(n.args[0], n.args[1:]...)
	cmd.Env = plainEnv(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	if err := n.launcher.do(cmd.Start); err != nil {
		return fmt.Errorf("%s cannot be started: %w", n.Name, err)
	}
	exited := make(chan struct{})
	n.cmd, n.exited, n.paused = cmd, exited, false
	go func() {
		_ = cmd.Wait() // how it ended shows in its log
		close(exited)
	}()
	return nil
}

// Relocate gives the node, which must be down, another address for its peers: another port of loopback. Its name, its other
// addresses and what it is told to join stay.
func (n *Node) Relocate() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state() != Down {
		return fmt.Errorf("%s is %s", n.Name, n.state())
	}
	host, _, err := net.SplitHostPort(n.Listen)
	if err != nil || host != loopback {
		return fmt.Errorf("%s listens on %s, and only ports of loopback are given out", n.Name, n.Listen)
	}
	b, err := n.blocks.take()
	if err != nil {
		return err
	}
	before := n.Listen
	n.Listen = b.addr(1)
	for i, arg := range n.args {
		if i > 0 && n.args[i-1] == "--listen" && arg == before {
			n.args[i] = n.Listen
		}
	}
	return nil
}

// plainEnv is env without our own variables: they would change the flags of the nodes.
func plainEnv(env []string) []string {
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "HUDDLE_") {
			out = append(out, kv)
		}
	}
	return out
}

// signal sends sig to the process if it has not ended, and returns the channel that tells of its end.
func (n *Node) signal(sig os.Signal) (exited <-chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return nil, nil
	}
	err = n.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return n.exited, err
}

// Kill ends the process as kill -9 does, and waits for its end. A process that is down stays so.
func (n *Node) Kill() {
	exited, err := n.signal(os.Kill)
	if exited != nil && err == nil {
		<-exited
	}
}

// Leave asks the process to leave its cluster, and waits for its end.
func (n *Node) Leave(ctx context.Context) error {
	exited, err := n.signal(syscall.SIGTERM)
	if exited == nil || err != nil {
		return err
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not left: %w", n.Name, ctx.Err())
	}
}

// Signal sends sig to the process, if it is there.
func (n *Node) Signal(sig os.Signal) error {
	_, err := n.signal(sig)
	return err
}

// Log is the whole log of the process.
func (n *Node) Log() string {
	data, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Pause stops the process where it is, as SIGSTOP does.
func (n *Node) Pause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state() != Up {
		return fmt.Errorf("%s is %s", n.Name, n.state())
	}
	if err := stopProcess(n.cmd.Process); err != nil {
		return err
	}
	n.paused = true
	return nil
}

// Resume lets a paused process go on. Another is left as it is.
func (n *Node) Resume() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.paused && n.state() == Paused {
		_ = continueProcess(n.cmd.Process) // one that has ended meanwhile needs none
	}
	n.paused = false
}

// LogTail is the last lines of the process's log.
func (n *Node) LogTail(lines int) string {
	all := strings.Split(strings.TrimSpace(n.Log()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
