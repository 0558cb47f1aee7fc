package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/huddle-cache/huddle/cmd/internal/api"
)

// route is one method of one path.
type route struct {
	pattern string // of http.ServeMux
	takes   string // parameters; empty: none
	gives   string
	token   bool // asks for the token
	answer  http.HandlerFunc
	query   []string // the parameters by their names
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
	change := func(answer http.HandlerFunc) http.HandlerFunc { return unconditional(s.inFlight(answer)) }
	routes = []route{
		{"GET /{$}", "", "the status page", false, s.page, nil},
		{"GET /healthz", "", "200 while the process runs", false, alive, nil},
		{"GET /readyz", "", "200 in sync, else 503 and why", false, s.readyz, nil},
		{"GET /metrics", "", "metrics for Prometheus", false, measured, nil},
		{"GET /api/v1/{$}", "", "this list", false, list, nil},
		{"GET /api/v1/status", "total=1 counts the entries of the cluster", "the node, its counters and gauges", false, s.status, []string{"total"}},
		{"GET /api/v1/members", "", "the members of the node's view", false, s.members, nil},
		{"GET /api/v1/ring", "key=KEY adds where it lives", "the shares of the ring", false, s.ring, []string{"key"}},
		{"GET /api/v1/events", "after=N", "what happened since; text/event-stream if accepted", false, s.listEvents, []string{"after"}},

		{"GET /api/v1/entries", "cursor=N count=N", "a page of keys, and the next cursor: 0 at the end; keys_base64 if one is no UTF-8", true, s.inFlight(s.listEntries), []string{"cursor", "count"}},
		{"DELETE /api/v1/entries", "all=true must be given", "{\"ok\":true}; all entries are gone", true, change(s.clear), []string{"all"}},
		{"GET /api/v1/entries/{key...}", "", "the value; ETag, Huddle-Version, Huddle-Ttl, Huddle-Tags", true, s.inFlight(s.getEntry), nil},
		{"PUT /api/v1/entries/{key...}", "ttl=TIME tag=TAG..., the value as body", "{\"ok\":true}", true, s.putEntry, []string{"ttl", "tag"}},
		{"DELETE /api/v1/entries/{key...}", "revoke=true: for good", "{\"ok\":true,\"existed\":...}", true, s.inFlight(s.deleteEntry), []string{"revoke"}},
		{"PATCH /api/v1/entries/{key...}", "ttl=TIME", "{\"ok\":true,\"existed\":true}", true, change(s.touchEntry), []string{"ttl"}},
		{"POST /api/v1/entries/{key...}", "ttl=TIME", "as PATCH", true, change(s.touchEntry), []string{"ttl"}},
		{"POST /api/v1/revoke-user", "user=ID", "{\"ok\":true}; the user's sessions are gone", true, change(s.revokeUser), []string{"user"}},
		{"POST /api/v1/invalidate-tags", "tag=TAG...", "{\"ok\":true}; entries with one of the tags are gone", true, change(s.invalidateTags), []string{"tag"}},
		{"POST /api/v1/forget", "name=NODE", "{\"ok\":true}; a lost node is no longer counted", true, change(s.forget), []string{"name"}},
	}
	for i, r := range routes {
		if r.token {
			routes[i].answer = s.guarded(withQuery(r.query, r.answer))
		} else if strings.HasPrefix(r.pattern, "GET /api/") {
			routes[i].answer = withQuery(r.query, r.answer)
		}
	}
	return routes
}

// withQuery refuses parameters that there are not: who has written "Revoke=true" is not to believe that it was heard.
func withQuery(names []string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			invalid(w, "the parameters are not those of a query")
			return
		}
		for name, given := range values {
			switch {
			case !slices.Contains(names, name) && len(names) == 0:
				invalid(w, fmt.Sprintf("there is no parameter %q here, nor any other", name))
				return
			case !slices.Contains(names, name):
				invalid(w, fmt.Sprintf("there is no parameter %q here: there is %s", name, strings.Join(names, ", ")))
				return
			case len(given) > 1 && name != "tag":
				invalid(w, fmt.Sprintf("the parameter %q is given %d times", name, len(given)))
				return
			case given[0] == "" && name != "tag":
				invalid(w, fmt.Sprintf("the parameter %q has no value", name))
				return
			}
		}
		next(w, r)
	}
}

// unconditional refuses a condition: ignored, the change would be made that the client had forbidden.
func unconditional(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header["If-Match"] != nil || r.Header["If-None-Match"] != nil {
			invalid(w, "If-Match and If-None-Match are for a PUT or a DELETE of an entry; there is no condition here")
			return
		}
		next(w, r)
	}
}

// entries is where the keys are.
const entries = "/api/v1/entries/"

// router finds who answers. A key is what stands in the path, unescaped: "." and ".." and empty parts in it are no steps of a path, which
// http.ServeMux would take and have the client ask again, without the key for instance, which is to clear the cluster.
func router(routes []route) http.Handler {
	mux := http.NewServeMux()
	keyed := map[string]http.HandlerFunc{}
	for _, r := range routes {
		if method, isKeyed := strings.CutSuffix(r.pattern, " "+entries+"{key...}"); isKeyed {
			keyed[method] = r.answer
		} else {
			mux.HandleFunc(r.pattern, r.answer)
		}
	}
	keyed[http.MethodHead] = keyed[http.MethodGet]
	methods := strings.Join(slices.Sorted(maps.Keys(keyed)), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped, isKeyed := strings.CutPrefix(r.URL.EscapedPath(), entries)
		if !isKeyed {
			if r.Method != http.MethodGet && r.Method != http.MethodHead && path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
				fail(w, http.StatusNotFound, api.CodeInvalid, "there is no such path")
				return
			}
			if _, pattern := mux.Handler(r); pattern == "" {
				nobody(mux, w, r)
				return
			}
			mux.ServeHTTP(w, r)
			return
		}
		answer := keyed[r.Method]
		key, err := url.PathUnescape(escaped)
		switch {
		case answer == nil:
			w.Header().Set("Allow", methods)
			fail(w, http.StatusMethodNotAllowed, api.CodeInvalid, "an entry takes "+methods)
		case err != nil:
			invalid(w, "the key is not escaped as in a URL")
		default:
			r.SetPathValue("key", key)
			answer(w, r)
		}
	})
}

// nobody answers what no route of mux is for, in the form of all failures: with the methods that the path takes, or that there is none such.
func nobody(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var takes []string
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPost} {
		other := *r
		other.Method = method
		if _, pattern := mux.Handler(&other); pattern != "" {
			takes = append(takes, method)
		}
	}
	if len(takes) == 0 {
		fail(w, http.StatusNotFound, api.CodeInvalid, "there is no such path; GET /api/v1/ lists what there is")
		return
	}
	methods := strings.Join(takes, ", ")
	w.Header().Set("Allow", methods)
	fail(w, http.StatusMethodNotAllowed, api.CodeInvalid, "this path takes "+methods)
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
A PUT or DELETE with the header If-Match: "7", which is the ETag of a GET, or If-Match: * changes only what is still that, or is there;
a PUT with If-None-Match: * does not overwrite. Other changes know no condition, and refuse one. What is marked * asks for the header
"Authorization: Bearer TOKEN" if the node has an --admin-token-file; without one it is open on loopback, and closed elsewhere. A request
that failed is answered with a status of 400 or above and {"code":...,"error":...}, where code is absent, unsure, unavailable, unconfirmed,
too_large, invalid, condition, revoked, hashed, overload, closed, forbidden or internal.
`)
	return b.String()
}
