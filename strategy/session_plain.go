package strategy

import (
	"encoding/json"
	"math"
	"strconv"
)

// plainSession returns the JSON of a session no part of which came from JSON, in one pass: most of those that a service makes when somebody logs
// in. It is what encoding/json would make of it. False: MarshalJSON's general way has to write it.
func plainSession(s *CachedSession) ([]byte, bool) {
	size := 256 + len(s.Token) + len(s.AuthenticationStrategy)
	if s.doc.text != "" || math.IsNaN(s.CacheExpiry) || math.IsInf(s.CacheExpiry, 0) {
		return nil, false
	}
	if u := s.User; u != nil {
		if u.doc.text != "" {
			return nil, false
		}
		size += 96 + len(u.Identifier)
		for i := range u.ChannelPermissions {
			c := &u.ChannelPermissions[i]
			if c.doc.text != "" {
				return nil, false
			}
			size += 80 + len(c.Token) + len(c.Code)
			for _, p := range c.Permissions {
				size += len(p) + 3
			}
		}
	}
	p := plain{out: make([]byte, 0, size)}
	p.out = append(p.out, `{"cacheExpiry":`...)
	p.number(s.CacheExpiry)
	p.id(`,"id":`, s.ID, true)
	p.text(`,"token":`, s.Token)
	p.out = appendDate(append(p.out, `,"expires":`...), s.Expires)
	p.id(`,"activeOrderId":`, s.ActiveOrderID, false)
	p.id(`,"activeChannelId":`, s.ActiveChannelID, false)
	if s.AuthenticationStrategy != "" {
		p.text(`,"authenticationStrategy":`, s.AuthenticationStrategy)
	}
	if s.User != nil {
		p.user(s.User)
	}
	return append(p.out, '}'), true
}

// plain builds the text.
type plain struct{ out []byte }

func (p *plain) user(u *CachedSessionUser) {
	p.id(`,"user":{"id":`, u.ID, true)
	p.text(`,"identifier":`, u.Identifier)
	p.out = strconv.AppendBool(append(p.out, `,"verified":`...), u.Verified)
	p.out = append(p.out, `,"channelPermissions":[`...)
	for i := range u.ChannelPermissions {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		p.channel(&u.ChannelPermissions[i])
	}
	p.out = append(p.out, "]}"...)
}

func (p *plain) channel(c *ChannelPermissions) {
	p.id(`{"id":`, c.ID, true)
	p.text(`,"token":`, c.Token)
	p.text(`,"code":`, c.Code)
	p.out = append(p.out, `,"permissions":[`...)
	for i, permission := range c.Permissions {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		p.string(permission)
	}
	p.out = append(p.out, "]}"...)
}

func (p *plain) text(name, s string) {
	p.out = append(p.out, name...)
	p.string(s)
}

// id writes an ID; one that is none only if it is required.
func (p *plain) id(name string, id ID, required bool) {
	if id.IsZero() && !required {
		return
	}
	p.out = append(p.out, name...)
	switch id.kind {
	case idText:
		p.string(id.text)
	case idNumber:
		p.out = append(p.out, id.text...)
	default:
		p.out = append(p.out, "null"...)
	}
}

func (p *plain) number(f float64) {
	if n := int64(f); float64(n) == f && n > -1<<53 && n < 1<<53 && (n != 0 || !math.Signbit(f)) {
		p.out = strconv.AppendInt(p.out, n, 10)
		return
	}
	text, _ := json.Marshal(f) // it is finite
	p.out = append(p.out, text...)
}

func (p *plain) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			p.out = append(p.out, quoted...)
			return
		}
	}
	p.out = append(append(append(p.out, '"'), s...), '"')
}
