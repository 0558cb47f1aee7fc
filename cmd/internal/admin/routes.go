package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// route is one method of one path.
type route struct {
	pattern string // of http.ServeMux
	takes   string // parameters; empty: none
	gives   string
	token   bool // asks for the token
	answer  http.HandlerFunc
}

// routes is the whole interface. What GET /api/v1/ and the comment of this package tell is made from it.
func (s *Server) routes() []route {
	alive := func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "alive") }
	measured := http.NotFound
	if s.cfg.Metrics != nil {
		measured = s.cfg.Metrics.ServeHTTP
	}
	var routes []route
	list := func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, strings.TrimSuffix(describe(routes), "\n"))
	}
	routes = []route{
		{"GET /{$}", "", "the status page", false, s.page},
		{"GET /healthz", "", "200 while the process runs", false, alive},
		{"GET /readyz", "", "200 in sync, else 503 and why", false, s.readyz},
		{"GET /metrics", "", "metrics for Prometheus", false, measured},
		{"GET /api/v1/{$}", "", "this list", false, list},
		{"GET /api/v1/status", "total=1 counts the entries of the cluster", "the node, its counters and gauges", false, s.status},
		{"GET /api/v1/members", "", "the members of the node's view", false, s.members},
		{"GET /api/v1/ring", "key=KEY adds where it lives", "the shares of the ring", false, s.ring},
		{"GET /api/v1/events", "after=N", "what happened since; text/event-stream if accepted", false, s.listEvents},

		{"GET /api/v1/entries", "cursor=N count=N", "a page of keys, and the next cursor: 0 at the end", true, s.listEntries},
		{"DELETE /api/v1/entries", "", "{\"ok\":true}; all entries are gone", true, s.clear},
		{"GET /api/v1/entries/{key...}", "", "the value; Huddle-Version, Huddle-Ttl, Huddle-Tags", true, s.getEntry},
		{"PUT /api/v1/entries/{key...}", "ttl=TIME tag=TAG..., the value as body", "{\"ok\":true}", true, s.putEntry},
		{"DELETE /api/v1/entries/{key...}", "revoke=true: for good", "{\"ok\":true,\"existed\":...}", true, s.deleteEntry},
		{"PATCH /api/v1/entries/{key...}", "ttl=TIME", "{\"ok\":true,\"existed\":true}", true, s.touchEntry},
		{"POST /api/v1/entries/{key...}", "ttl=TIME", "as PATCH", true, s.touchEntry},
		{"POST /api/v1/revoke-user", "user=ID", "{\"ok\":true}; the user's sessions are gone", true, s.revokeUser},
		{"POST /api/v1/invalidate-tags", "tag=TAG...", "{\"ok\":true}; entries with one of the tags are gone", true, s.invalidateTags},
		{"POST /api/v1/forget", "name=NODE", "{\"ok\":true}; a lost node is no longer counted", true, s.forget},
	}
	for i, r := range routes {
		if r.token {
			routes[i].answer = s.guarded(s.inFlight(r.answer))
		}
	}
	return routes
}

// describe tells of the routes in a table, and of what all of them have in common.
func describe(routes []route) string {
	var b strings.Builder
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{$}", "", "{key...}", "KEY").Replace(path)
		token := " "
		if r.token {
			token = "*"
		}
		fmt.Fprintf(&b, "%s %-6s %-24s %-41s %s\n", token, method, path, r.takes, r.gives)
	}
	b.WriteString(`
Parameters are those of a query: ?ttl=30m&tag=a&tag=b. KEY and they are escaped as in any URL. TIME is 30m, or seconds; 0: no end.
A PUT with the header "If-None-Match: *" does not overwrite. What is marked * asks for the header "Authorization: Bearer TOKEN"
if the node has an --admin-token-file; without one it is open on loopback, and closed elsewhere. A request that failed is answered
with a status of 400 or above and {"code":...,"error":...}, where code is absent, unsure, unavailable, unconfirmed,
too_large, invalid, condition, revoked, hashed, overload, closed, forbidden or internal.
`)
	return b.String()
}
