package resp

import (
	"net"
	"time"

	"github.com/huddle-cache/huddle/transport/internal/seldom"
)

// reportInterval is how often one thing that a client can bring about at will is logged of one source address.
const reportInterval = time.Minute

// report logs a warning about the client at addr, unless the same was logged of its source lately. what holds nothing that differs from
// one time to the next.
func (s *Server) report(addr net.Addr, what string, attrs ...any) {
	remote := ""
	if addr != nil {
		remote = addr.String()
	}
	first, more := s.reports.First(seldom.Source(remote), what, time.Now())
	if more {
		s.log.Warn("warnings about clients of more sources than are told apart; the others are not logged for a while", "told_apart", seldom.Most)
	}
	if first {
		s.log.Warn(what, append([]any{"addr", remote}, attrs...)...)
	}
}

func (c *client) report(what string, attrs ...any) {
	c.srv.report(c.RemoteAddr(), what, append([]any{"client", c.id}, attrs...)...)
}
