// Package admin is the HTTP interface for operators: the status page, health, metrics, and the interface that the commands of the
// binary speak. GET /api/v1/ tells what there is, made from the table in routes.go:
//
//	  GET    /                                                                  the status page
//	  GET    /healthz                                                           200 while the process runs
//	  GET    /readyz                                                            200 in sync, else 503 and why
//	  GET    /metrics                                                           metrics for Prometheus
//	  GET    /api/v1/                                                           this list
//	  GET    /api/v1/status           total=1 counts the entries of the cluster the node, its counters and gauges
//	  GET    /api/v1/members                                                    the members of the node's view
//	  GET    /api/v1/ring             key=KEY adds where it lives               the shares of the ring
//	  GET    /api/v1/events           after=N                                   what happened since; text/event-stream if accepted
//	* GET    /api/v1/entries          cursor=N count=N                          a page of keys, and the next cursor: 0 at the end; keys_base64 if one is no UTF-8
//	* DELETE /api/v1/entries          all=true must be given                    {"ok":true}; all entries are gone
//	* GET    /api/v1/entries/KEY                                                the value; ETag, Huddle-Version, Huddle-Ttl, Huddle-Tags
//	* PUT    /api/v1/entries/KEY      ttl=TIME tag=TAG..., the value as body    {"ok":true}
//	* DELETE /api/v1/entries/KEY      revoke=true: for good                     {"ok":true,"existed":...}
//	* PATCH  /api/v1/entries/KEY      ttl=TIME                                  {"ok":true,"existed":true}
//	* POST   /api/v1/entries/KEY      ttl=TIME                                  as PATCH
//	* POST   /api/v1/revoke-user      user=ID                                   {"ok":true}; the user's sessions are gone
//	* POST   /api/v1/invalidate-tags  tag=TAG...                                {"ok":true}; entries with one of the tags are gone
//	* POST   /api/v1/forget           name=NODE                                 {"ok":true}; a lost node is no longer counted
//
//	Parameters are those of a query: ?ttl=30m&tag=a&tag=b. KEY and they are escaped as in any URL. TIME is 30m, or seconds; 0: no end.
//	A PUT or DELETE with the header If-Match: "7", which is the ETag of a GET, or If-Match: * changes only what is still that, or is there;
//	a PUT with If-None-Match: * does not overwrite. Other changes know no condition, and refuse one. What is marked * asks for the header
//	"Authorization: Bearer TOKEN" if the node has an --admin-token-file; without one it is open on loopback, and closed elsewhere. A request
//	that failed is answered with a status of 400 or above and {"code":...,"error":...}, where code is absent, unsure, unavailable, unconfirmed,
//	too_large, invalid, condition, revoked, hashed, overload, closed, forbidden or internal.
package admin
