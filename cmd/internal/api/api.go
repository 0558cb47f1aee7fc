// Package api holds the JSON forms and header names of the admin HTTP interface, for its server and its clients.
package api

import (
	"github.com/huddle-cache/huddle/node"
)

// Headers of GET, PUT and PATCH /api/v1/entries/{key}.
const (
	HeaderVersion = "Huddle-Version" // decimal; grows with every write
	HeaderTTL     = "Huddle-Ttl"     // seconds that remain, decimal with fraction; absent: no end
	HeaderTags    = "Huddle-Tags"    // a JSON list
)

// Codes of Error, one for each error of package node that a caller may want to tell from others.
const (
	CodeAbsent      = "absent"
	CodeUnsure      = "unsure"
	CodeUnavailable = "unavailable"
	CodeUnconfirmed = "unconfirmed"
	CodeTooLarge    = "too_large"
	CodeInvalid     = "invalid"
	CodeCondition   = "condition"
	CodeRevoked     = "revoked"
	CodeHashed      = "hashed"
	CodeOverload    = "overload"
	CodeClosed      = "closed"
	CodeForbidden   = "forbidden"
	CodeInternal    = "internal"
)

// Status is the answer to GET /api/v1/status: the node, and its counters and gauges.
type Status struct {
	Name          string  `json:"name"`
	Addr          string  `json:"addr"`
	Cluster       string  `json:"cluster"`
	RESP          string  `json:"resp,omitempty"`
	Version       string  `json:"version"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Replicas      int     `json:"replicas"`
	// TotalEntries counts the entries of the whole cluster. It is there only with ?total=1 and while it can be counted.
	TotalEntries *int `json:"total_entries,omitempty"`
	node.Stats
}

// Members is the answer to GET /api/v1/members.
type Members struct {
	View    uint64        `json:"view"`
	Members []node.Member `json:"members"`
}

// Silent names the members that a node does not hear, and tells whether those left of a view of size members are no majority of
// it. Members that leave may be listed and in the view no more, so size is not their number.
func Silent(members []node.Member, size int) (names []string, noMajority bool) {
	for _, m := range members {
		if m.State == "silent" {
			names = append(names, m.Name)
		}
	}
	return names, size > 0 && size-len(names) < size/2+1
}

// Share is a member's part of the ring.
type Share struct {
	Name  string  `json:"name"`
	Addr  string  `json:"addr"`
	Share float64 `json:"share"` // 0 to 1
}

// Ring is the answer to GET /api/v1/ring. With ?key= it holds the placement of that key too.
type Ring struct {
	View       uint64  `json:"view"`
	Partitions int     `json:"partitions"`
	Replicas   int     `json:"replicas"`
	Shares     []Share `json:"shares"`
	*node.Placement
}

// Event is something that happened, numbered from 1 as this node saw it.
type Event struct {
	Seq uint64 `json:"seq"`
	node.Event
}

// Events is the answer to GET /api/v1/events, oldest first.
type Events struct {
	Events []Event `json:"events"`
}

// Keys is the answer to GET /api/v1/entries: one page of keys. Next is the cursor of the next page, 0 after the last. If one of the keys
// is no UTF-8, and so cannot be told from others in JSON, Bytes are all of them, in the same order.
type Keys struct {
	Keys  []string `json:"keys"`
	Bytes [][]byte `json:"keys_base64,omitempty"`
	Next  uint64   `json:"next,string"`
}

// Done is the answer to a change. Existed tells whether the entry was there, where that is known.
type Done struct {
	OK      bool  `json:"ok"`
	Existed *bool `json:"existed,omitempty"`
}

// Error is the answer to what failed. Text never holds a key.
type Error struct {
	Code string `json:"code"`
	Text string `json:"error"`
}

// Error makes Error an error.
func (e *Error) Error() string { return e.Text }
