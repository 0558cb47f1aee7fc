package strategy

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// quick reads sessions written as JavaScript and this package write them, in one pass and without a copy: what it returns lies in
// text. Whatever is unusual (an escape in a string that it reads, a repeated name, a wrong type, an error) it gives up, and encoding/json
// has to look at it: what quick accepts means the same to both. Spaces between tokens are allowed.
type quick struct {
	text string
	i    int
}

// mostNested bounds how deep the values nest that quick passes over.
const mostNested = 16

// quickSession reads a session that is all of text. False: it is not for quick.
func quickSession(text string) (s CachedSession, ok bool) {
	q := quick{text: text}
	if s, ok = q.session(); !ok {
		return CachedSession{}, false
	}
	q.space()
	return s, q.i == len(text)
}

func (q *quick) session() (s CachedSession, ok bool) {
	o := q.object()
	for {
		name, more, ok := o.next(q)
		if !ok || !more {
			s.doc.text = q.text[o.start:q.i]
			return s, ok
		}
		switch name {
		case "cacheExpiry":
			s.CacheExpiry, ok = q.number(&o, 0)
		case "id":
			s.ID, ok = q.id(&o, 1)
		case "token":
			s.Token, ok = q.optional(&o, 2)
		case "expires":
			s.Expires, ok = q.date(&o, 3)
		case "activeOrderId":
			s.ActiveOrderID, ok = q.id(&o, 4)
		case "activeChannelId":
			s.ActiveChannelID, ok = q.id(&o, 5)
		case "authenticationStrategy":
			s.AuthenticationStrategy, ok = q.optional(&o, 6)
		case "user":
			s.User, ok = q.user(&o, 7)
		default:
			ok = q.skip(mostNested)
		}
		if !ok {
			return s, false
		}
	}
}

func (q *quick) user(in *object, bit uint) (*CachedSessionUser, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return nil, ok
	}
	u := new(CachedSessionUser)
	o := q.object()
	for {
		name, more, ok := o.next(q)
		if !ok || !more {
			u.doc.text = q.text[o.start:q.i]
			return u, ok
		}
		switch name {
		case "id":
			u.ID, ok = q.id(&o, 0)
		case "identifier":
			u.Identifier, ok = q.optional(&o, 1)
		case "verified":
			u.Verified, ok = q.bool(&o, 2)
		case "channelPermissions":
			u.ChannelPermissions, ok = q.channels(&o, 3)
		default:
			ok = q.skip(mostNested)
		}
		if !ok {
			return nil, false
		}
	}
}

func (q *quick) channels(in *object, bit uint) ([]ChannelPermissions, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return nil, ok
	}
	channels := []ChannelPermissions{}
	for a := q.array(); ; {
		more, ok := a.next(q)
		if !ok || !more {
			return channels, ok
		}
		if cap(channels) == 0 {
			channels = make([]ChannelPermissions, 0, 1) // most users have one
		}
		c, ok := q.channel()
		if !ok {
			return nil, false
		}
		channels = append(channels, c)
	}
}

func (q *quick) channel() (c ChannelPermissions, ok bool) {
	o := q.object()
	for {
		name, more, ok := o.next(q)
		if !ok || !more {
			c.doc.text = q.text[o.start:q.i]
			return c, ok
		}
		switch name {
		case "id":
			c.ID, ok = q.id(&o, 0)
		case "token":
			c.Token, ok = q.optional(&o, 1)
		case "code":
			c.Code, ok = q.optional(&o, 2)
		case "permissions":
			c.Permissions, ok = q.strings(&o, 3)
		default:
			ok = q.skip(mostNested)
		}
		if !ok {
			return c, false
		}
	}
}

// strings reads an array of strings, none of them null.
func (q *quick) strings(in *object, bit uint) ([]string, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return nil, ok
	}
	var room [32]string
	all := room[:0]
	for a := q.array(); ; {
		more, ok := a.next(q)
		if !ok {
			return nil, false
		}
		if !more {
			out := make([]string, len(all))
			copy(out, all)
			return out, true
		}
		s, ok := q.string()
		if !ok {
			return nil, false
		}
		all = append(all, s)
	}
}

// The readers of fields below take the object and a bit of their own in it: a name that comes twice is not for quick. null is
// the zero value.

func (q *quick) null(in *object, bit uint) (null, ok bool) {
	if in.seen&(1<<bit) != 0 {
		return false, false
	}
	in.seen |= 1 << bit
	return q.literal("null"), true
}

func (q *quick) optional(in *object, bit uint) (string, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return "", ok
	}
	return q.string()
}

func (q *quick) bool(in *object, bit uint) (bool, bool) {
	null, ok := q.null(in, bit)
	if null || !ok {
		return false, ok
	}
	if q.literal("true") {
		return true, true
	}
	return false, q.literal("false")
}

func (q *quick) id(in *object, bit uint) (ID, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return ID{}, ok
	}
	if q.peek() == '"' {
		text, ok := q.string()
		return ID{text, idText}, ok
	}
	text, ok := q.digits()
	return ID{text, idNumber}, ok
}

func (q *quick) number(in *object, bit uint) (float64, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return 0, ok
	}
	text, ok := q.digits()
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

func (q *quick) date(in *object, bit uint) (time.Time, bool) {
	if null, ok := q.null(in, bit); null || !ok {
		return time.Time{}, ok
	}
	text, ok := q.string()
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, text)
	return t.UTC(), err == nil
}

// object is where quick stands in one.
type object struct {
	start int
	seen  uint
	begun bool
}

func (q *quick) object() object {
	q.space()
	return object{start: q.i}
}

// next moves on to the value of the next field; more is false at the end of the object.
func (o *object) next(q *quick) (name string, more, ok bool) {
	switch {
	case !o.begun:
		o.begun = true
		if !q.take('{') {
			return "", false, false
		}
		if q.take('}') {
			return "", false, true
		}
	case q.take('}'):
		return "", false, true
	case !q.take(','):
		return "", false, false
	}
	if name, ok = q.string(); !ok || !q.take(':') {
		return "", false, false
	}
	return name, true, true
}

// array is where quick stands in one.
type array struct{ begun bool }

func (q *quick) array() array { return array{} }

// next moves on to the next element; more is false at the end.
func (a *array) next(q *quick) (more, ok bool) {
	if !a.begun {
		a.begun = true
		if !q.take('[') {
			return false, false
		}
		return !q.take(']'), true
	}
	if q.take(']') {
		return false, true
	}
	return true, q.take(',')
}

func (q *quick) space() {
	for q.i < len(q.text) {
		switch q.text[q.i] {
		case ' ', '\t', '\n', '\r':
			q.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is no space; 0 at the end.
func (q *quick) peek() byte {
	if q.i < len(q.text) && q.text[q.i] > ' ' {
		return q.text[q.i]
	}
	if q.space(); q.i < len(q.text) {
		return q.text[q.i]
	}
	return 0
}

func (q *quick) take(c byte) bool {
	if q.peek() != c {
		return false
	}
	q.i++
	return true
}

func (q *quick) literal(s string) bool {
	if q.peek() != s[0] || len(q.text)-q.i < len(s) || q.text[q.i:q.i+len(s)] != s {
		return false
	}
	q.i += len(s)
	return true
}

// string reads a string without escapes.
func (q *quick) string() (string, bool) {
	if !q.take('"') {
		return "", false
	}
	ascii := true
	for i := q.i; i < len(q.text); i++ {
		switch c := q.text[i]; {
		case c == '"':
			s := q.text[q.i:i]
			q.i = i + 1
			return s, ascii || utf8.ValidString(s)
		case c == '\\' || c < ' ':
			return "", false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", false
}

// skipString passes over a string, escapes among it.
func (q *quick) skipString() bool {
	start := q.i
	for i := start + 1; i < len(q.text); i++ {
		switch c := q.text[i]; {
		case c == '"':
			q.i = i + 1
			return utf8.ValidString(q.text[start:q.i])
		case c < ' ':
			return false
		case c == '\\':
			if i++; i == len(q.text) {
				return false
			}
			switch q.text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i == len(q.text) || !hex(q.text[i]) {
						return false
					}
				}
			default:
				return false
			}
		}
	}
	return false
}

func hex(c byte) bool { return c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'f' }

// digits reads a number and returns its text.
func (q *quick) digits() (string, bool) {
	q.peek()
	start := q.i
	q.byte('-')
	if first := q.i; !q.run() || q.text[first] == '0' && q.i > first+1 {
		return "", false
	}
	if q.byte('.') && !q.run() {
		return "", false
	}
	if q.byte('e') || q.byte('E') {
		if !q.byte('+') {
			q.byte('-')
		}
		if !q.run() {
			return "", false
		}
	}
	return q.text[start:q.i], true
}

// byte takes c if it stands here.
func (q *quick) byte(c byte) bool {
	if q.i < len(q.text) && q.text[q.i] == c {
		q.i++
		return true
	}
	return false
}

// run takes digits, one at least.
func (q *quick) run() bool {
	start := q.i
	for q.i < len(q.text) && q.text[q.i]-'0' <= 9 {
		q.i++
	}
	return q.i > start
}

// skip passes over any value.
func (q *quick) skip(depth int) bool {
	if depth == 0 {
		return false
	}
	switch c := q.peek(); c {
	case '{':
		for o := q.object(); ; {
			if _, more, ok := o.next(q); !ok || !more {
				return ok
			}
			if !q.skip(depth - 1) {
				return false
			}
		}
	case '[':
		for a := q.array(); ; {
			if more, ok := a.next(q); !ok || !more {
				return ok
			}
			if !q.skip(depth - 1) {
				return false
			}
		}
	case '"':
		return q.skipString()
	case 't':
		return q.literal("true")
	case 'f':
		return q.literal("false")
	case 'n':
		return q.literal("null")
	default:
		_, ok := q.digits()
		return ok
	}
}
