package resp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func clientSubs() []sub {
	return []sub{
		{"setinfo", 4, clientSetInfo},
		{"setname", 3, func(c *client, args [][]byte) {
			if msg := checkName(args[2]); msg != "" {
				c.writeError(msg)
				return
			}
			name := string(args[2])
			c.name.Store(&name)
			c.writeOK()
		}},
		{"getname", 2, func(c *client, _ [][]byte) {
			if name := *c.name.Load(); name != "" {
				c.writeBulkString(name)
			} else {
				c.writeNull()
			}
		}},
		{"id", 2, func(c *client, _ [][]byte) { c.writeInt(c.id) }},
		{"info", 2, func(c *client, _ [][]byte) { c.writeText(c.describe() + "\n") }},
		{"list", -2, clientList},
		{"no-evict", 3, clientSwitch},
		{"no-touch", 3, clientSwitch},
		{"reply", 3, clientReply},
	}
}

func clientSetInfo(c *client, args [][]byte) {
	switch {
	case !equalFold(args[2], "lib-name") && !equalFold(args[2], "lib-ver"):
		c.writeError("ERR Unrecognized option '" + cString(args[2], 128) + "'")
	case !validName(args[3]):
		c.writeError("ERR " + strings.ToLower(string(args[2])) + " cannot contain spaces, newlines or special characters.")
	default:
		c.writeOK()
	}
}

func clientSwitch(c *client, args [][]byte) {
	if !equalFold(args[2], "on") && !equalFold(args[2], "off") {
		c.writeError(errSyntax)
		return
	}
	c.writeOK()
}

func clientReply(c *client, args [][]byte) {
	switch {
	case equalFold(args[2], "on"):
		c.silent, c.skip = false, 0
		c.writeOK()
	case equalFold(args[2], "off"):
		c.silent = true
	case equalFold(args[2], "skip"):
		if !c.silent {
			c.skip = 2 // this command, which says nothing, and the next
		}
	default:
		c.writeError(errSyntax)
	}
}

const (
	errName     = "ERR Client names cannot contain spaces, newlines or special characters."
	errNameSize = "ERR Client names cannot be longer than 256 bytes."
	maxName     = 256
)

// checkName returns what is wrong with the name of a client, if anything.
func checkName(b []byte) string {
	switch {
	case !validName(b):
		return errName
	case len(b) > maxName:
		return errNameSize
	}
	return ""
}

func validName(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

// describe is the line of a client in CLIENT LIST. What is not told is there as of a client at rest: redis-py fails if a field is missing.
func (c *client) describe() string {
	return fmt.Sprintf("id=%d addr=%s laddr=%s name=%s age=%d idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 "+
		"multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=NULL user=default redir=-1",
		c.id, c.RemoteAddr(), c.LocalAddr(), *c.name.Load(), int(time.Since(c.started).Seconds()))
}

// clientList serves CLIENT LIST, of all, of those of a type (all clients are normal ones), or of those with some ids.
func clientList(c *client, args [][]byte) {
	s := c.srv
	s.mu.Lock()
	clients := slices.Collect(maps.Keys(s.clients))
	s.mu.Unlock()
	slices.SortFunc(clients, func(a, b *client) int { return int(a.id - b.id) })
	switch {
	case len(args) == 2:
	case len(args) == 4 && equalFold(args[2], "type"):
		switch strings.ToLower(string(args[3])) {
		case "normal":
		case "master", "replica", "slave", "pubsub":
			clients = nil
		default:
			c.writeError("ERR Unknown client type '" + cString(args[3], 128) + "'")
			return
		}
	case len(args) > 3 && equalFold(args[2], "id"):
		wanted := make(map[int64]bool)
		for _, arg := range args[3:] {
			id, ok := parseInt(arg)
			if !ok {
				c.writeError("ERR Invalid client ID")
				return
			}
			wanted[id] = true
		}
		clients = slices.DeleteFunc(clients, func(c *client) bool { return !wanted[c.id] })
	default:
		c.writeError(errSyntax)
		return
	}
	var b strings.Builder
	for _, c := range clients {
		b.WriteString(c.describe() + "\n")
	}
	c.writeText(b.String())
}
