package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// hostChecked refuses, on a loopback listener, requests whose Host is not a name of this machine: a web page that had its own
// name resolve to 127.0.0.1 would otherwise be the same origin as this server. It also refuses changes that a browser
// sends on behalf of another site, and sets the headers that keep answers from being framed, cached or sniffed.
func (s *Server) hostChecked(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		if s.open && !localHost(r.Host) {
			fail(w, http.StatusForbidden, api.CodeForbidden, "the Host of the request is not this machine; use 127.0.0.1 or localhost")
			return
		}
		if err := cross.Check(r); err != nil {
			fail(w, http.StatusForbidden, api.CodeForbidden, "a change sent by another site is refused")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// localHost tells whether host, a Host header, is localhost or a loopback address.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// guarded lets a request through that may see keys and values and change them.
func (s *Server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.cfg.CheckToken == nil && !s.open:
			fail(w, http.StatusForbidden, api.CodeForbidden,
				"entries and changes are closed on an address outside loopback; start the node with --admin-token-file")
			return
		case s.cfg.CheckToken != nil:
			scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if !strings.EqualFold(scheme, "Bearer") || !s.cfg.CheckToken([]byte(given)) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="huddle"`)
				fail(w, http.StatusUnauthorized, api.CodeForbidden,
					"the admin token is missing or wrong; give it with --admin-token-file")
				return
			}
		}
		next(w, r)
	}
}
