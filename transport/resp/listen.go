package resp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// listen opens a TCP port or a socket file.
func listen(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return net.Listen("tcp", addr)
	}
	return listenUnix(path)
}

// listenUnix makes the socket in a directory that nobody else can enter, sets its mode, and only then moves it to its place: at no
// time can another user connect. The move also replaces a socket that a dead process has left behind.
func listenUnix(path string) (net.Listener, error) {
	parent := filepath.Dir(path)
	switch {
	case len(path) > maxSocketPath:
		return nil, fmt.Errorf("the path of the socket has %d bytes, and no client can name more than %d", len(path), maxSocketPath)
	case len(parent) > maxSocketPath-len(hiddenSocket):
		return nil, fmt.Errorf("the path of the socket's directory has %d bytes, at most %d are possible", len(parent), maxSocketPath-len(hiddenSocket))
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, noSocket(parent, err)
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("%s exists and is no socket", path)
	default:
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%s: %w", path, syscall.EADDRINUSE)
		}
	}
	dir, err := os.MkdirTemp(parent, ".r")
	if err != nil {
		return nil, noSocket(parent, err)
	}
	defer os.RemoveAll(dir)
	hidden := filepath.Join(dir, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, noSocket(parent, err)
	}
	ln.SetUnlinkOnClose(false)
	err = os.Chmod(hidden, 0o600)
	file, statErr := os.Lstat(hidden)
	if err = errors.Join(err, statErr); err == nil {
		err = os.Rename(hidden, path)
	}
	if err != nil {
		_ = ln.Close()
		return nil, noSocket(parent, err)
	}
	return &unixListener{UnixListener: ln, path: path, file: file}, nil
}

const (
	// maxSocketPath is what the address of a socket has room for, but for the zero byte at its end.
	maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1
	// hiddenSocket is as long as what the socket is called in its directory at first.
	hiddenSocket = "/.r4294967295/s"
)

// noSocket says why there can be no socket in a directory, without the name that it would have had at first.
func noSocket(dir string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("cannot make a socket in %s: %w", dir, err)
}

// unixListener knows where its socket was moved to.
type unixListener struct {
	*net.UnixListener
	path string
	file fs.FileInfo // of the socket
}

func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the socket if it is still the one that was made here: another process that started at the same time may have put its own
// in the place. It does so first, for as long as the socket is open no other file has its inode.
func (l *unixListener) Close() error {
	var err error
	if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.file) {
		err = os.Remove(l.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.UnixListener.Close())
}

// accept lets in no more than MaxConns connections, each to be served by a loop or else a goroutine of its own, until Close.
func (s *Server) accept() {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if s.ctx.Err() != nil || s.draining.Load() {
				return
			}
			s.log.Warn("cannot accept a client", "error", err, "pause", pause)
			if !sleep(s.ctx, pause) {
				return
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = shortest
		c := newClient(s, conn)
		switch full, closed := s.admit(c); {
		case closed:
			_ = conn.Close()
			return
		case full:
			s.report(conn.RemoteAddr(), "too many clients", "limit", s.cfg.MaxConns)
			refuse(conn, s.cfg.TLS)
			continue
		}
		s.served.Add(1)
		s.log.Debug("client connected", "client", c.id, "addr", conn.RemoteAddr().String())
		if s.adopt(c) {
			continue
		}
		go func() {
			defer s.ended(c)
			c.serve()
		}()
	}
}

// refuse tells a client that there are too many, if that can be done without waiting for it.
func refuse(conn net.Conn, tlsConfig *tls.Config) {
	if tlsConfig == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n")) // the answer is a courtesy
	}
	_ = conn.Close()
}
