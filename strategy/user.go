package strategy

import (
	"bytes"
	"strings"
	"unsafe"
)

// SessionUserID returns the text of the user's ID, as RevokeUser takes it, if value is the JSON of a session with a user; "" if it is
// anything else. It reads the ID as CachedSession does, and looks at no other field, so that the user is found as well in a session
// that CachedSession refuses. It neither keeps nor changes value, and may be called from any goroutine.
func SessionUserID(value []byte) string {
	if !mayHaveUser(value) {
		return ""
	}
	q := quick{text: unsafe.String(unsafe.SliceData(value), len(value))} // nobody changes it during the call
	if id, ok := q.userOnly(); ok {
		return strings.Clone(id.text)
	}
	_, session, err := readDocument(string(value))
	if err != nil {
		return ""
	}
	raw, _ := session.get("user")
	_, user, err := readDocument(string(raw))
	if err != nil {
		return ""
	}
	var id ID
	if user.decode("id", &id) != nil {
		return ""
	}
	return id.text
}

// mayHaveUser tells at little cost whether a field named user can be in value: the name stands there, or an escape of one of its letters.
func mayHaveUser(value []byte) bool {
	value = bytes.TrimLeft(value, spaces)
	return len(value) > 0 && value[0] == '{' &&
		(bytes.Contains(value, []byte(`"user"`)) || bytes.Contains(value, []byte(`\u007`)) || bytes.Contains(value, []byte(`\u0065`)))
}

// userOnly reads the ID of a session's user, and passes over the rest.
func (q *quick) userOnly() (id ID, ok bool) {
	o, user := q.object(), object{}
	for {
		name, more, ok := o.next(q)
		switch {
		case !ok:
			return ID{}, false
		case !more:
			q.space()
			return id, q.i == len(q.text)
		case name == "user" && user.begun:
			return ID{}, false // it comes twice
		case name == "user" && q.peek() == '{':
			user = q.object()
			id, ok = q.idOnly(&user)
		case name == "user":
			user.begun = true
			ok = q.skip(mostNested)
		default:
			ok = q.skip(mostNested)
		}
		if !ok {
			return ID{}, false
		}
	}
}

// idOnly reads the field id of an object, and passes over the rest.
func (q *quick) idOnly(o *object) (id ID, ok bool) {
	for {
		name, more, ok := o.next(q)
		if !ok || !more {
			return id, ok
		}
		if name == "id" {
			id, ok = q.id(o, 0)
		} else {
			ok = q.skip(mostNested)
		}
		if !ok {
			return ID{}, false
		}
	}
}
