//go:build !linux

package resp

import (
	"errors"
	"net"
)

// poller is for Linux alone. Elsewhere each connection has a goroutine of its own.
type poller struct{}

const pollHup = 1

func newPoller() (*poller, error)                  { return nil, errors.ErrUnsupported }
func (*poller) run(func(int, uint32), func() bool) {}
func (*poller) close()                             {}
func (*poller) wake()                              {}
func (*poller) add(int) error                      { return errors.ErrUnsupported }
func (*poller) watchWrites(int, bool) error        { return errors.ErrUnsupported }

type socket int

func detach(net.Conn) (socket, error)    { return -1, errors.ErrUnsupported }
func (socket) read([]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (socket) write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (socket) shutdown() error           { return errors.ErrUnsupported }
func (socket) close() error              { return errors.ErrUnsupported }
