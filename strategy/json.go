package strategy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// isoMillis is the form JavaScript gives a Date in JSON.
const isoMillis = "2006-01-02T15:04:05.000Z07:00"

// ParseSession reads the JSON of a session. Names are matched exactly. Its errors never contain the input.
func ParseSession(data []byte) (CachedSession, error) {
	var s CachedSession
	err := s.UnmarshalJSON(data)
	return s, err
}

// UnmarshalJSON reads what Vendure writes.
func (s *CachedSession) UnmarshalJSON(data []byte) error {
	r, err := readObject(data)
	if err != nil {
		return fmt.Errorf("strategy: session: %w", err)
	}
	var out CachedSession
	r.field("cacheExpiry", &out.CacheExpiry)
	r.field("id", &out.ID)
	r.field("token", &out.Token)
	var expires string
	if r.field("expires", &expires) {
		if out.Expires, err = parseDate(expires); err != nil {
			r.fail("expires", err)
		}
	}
	r.field("activeOrderId", &out.ActiveOrderID)
	r.field("activeChannelId", &out.ActiveChannelID)
	if r.field("authenticationStrategy", &out.AuthenticationStrategy) && out.AuthenticationStrategy == "" {
		r.fields["authenticationStrategy"] = json.RawMessage(`""`) // empty is not absent
	}
	var user CachedSessionUser
	if r.field("user", &user) {
		out.User = &user
	}
	if r.err != nil {
		return fmt.Errorf("strategy: session: %w", r.err)
	}
	out.Extra = r.rest()
	*s = out
	return nil
}

// MarshalJSON writes what Vendure reads: named fields first, then Extra sorted by name. A named field that is set wins
// over one of the same name in Extra.
func (s CachedSession) MarshalJSON() ([]byte, error) {
	w := objectWriter{extra: s.Extra}
	w.number("cacheExpiry", s.CacheExpiry)
	w.optional("id", s.ID, !s.ID.IsZero())
	w.required("token", s.Token)
	if err := checkYear(s.Expires); err != nil {
		w.fail("expires", err)
	}
	w.optional("expires", s.Expires.UTC().Format(isoMillis), !s.Expires.IsZero())
	w.optional("activeOrderId", s.ActiveOrderID, !s.ActiveOrderID.IsZero())
	w.optional("activeChannelId", s.ActiveChannelID, !s.ActiveChannelID.IsZero())
	w.optional("authenticationStrategy", s.AuthenticationStrategy, s.AuthenticationStrategy != "")
	w.optional("user", s.User, s.User != nil)
	return w.finish()
}

// parseDate reads a Date, which has milliseconds. The zero time is refused, because in Go it stands for none.
func parseDate(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("not an ISO 8601 time")
	}
	t = t.UTC().Truncate(time.Millisecond)
	if t.IsZero() {
		return time.Time{}, errYear
	}
	return t, checkYear(t)
}

var errYear = errors.New("year out of range")

// checkYear refuses years that do not have four digits in UTC.
func checkYear(t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return errYear
	}
	return nil
}

// UnmarshalJSON reads what Vendure writes.
func (u *CachedSessionUser) UnmarshalJSON(data []byte) error {
	r, err := readObject(data)
	if err != nil {
		return err
	}
	var out CachedSessionUser
	r.field("id", &out.ID)
	r.field("identifier", &out.Identifier)
	r.field("verified", &out.Verified)
	r.field("channelPermissions", &out.ChannelPermissions)
	out.Extra = r.rest()
	*u = out
	return r.err
}

// MarshalJSON writes what Vendure reads; nil ChannelPermissions become an empty list.
func (u CachedSessionUser) MarshalJSON() ([]byte, error) {
	w := objectWriter{extra: u.Extra}
	w.optional("id", u.ID, !u.ID.IsZero())
	w.required("identifier", u.Identifier)
	w.required("verified", u.Verified)
	w.list("channelPermissions", u.ChannelPermissions, u.ChannelPermissions == nil)
	return w.finish()
}

// UnmarshalJSON reads what Vendure writes.
func (c *ChannelPermissions) UnmarshalJSON(data []byte) error {
	r, err := readObject(data)
	if err != nil {
		return err
	}
	var out ChannelPermissions
	r.field("id", &out.ID)
	r.field("token", &out.Token)
	r.field("code", &out.Code)
	r.field("permissions", &out.Permissions)
	out.Extra = r.rest()
	*c = out
	return r.err
}

// MarshalJSON writes what Vendure reads; nil Permissions become an empty list.
func (c ChannelPermissions) MarshalJSON() ([]byte, error) {
	w := objectWriter{extra: c.Extra}
	w.optional("id", c.ID, !c.ID.IsZero())
	w.required("token", c.Token)
	w.required("code", c.Code)
	w.list("permissions", c.Permissions, c.Permissions == nil)
	return w.finish()
}

// objectReader takes named fields out of a JSON object and keeps the rest.
type objectReader struct {
	fields map[string]json.RawMessage
	err    error // the first one
}

var errNotObject = errors.New("not a JSON object")

func readObject(data []byte) (*objectReader, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return nil, errNotObject
	}
	return &objectReader{fields: fields}, nil
}

// field reads a field into to and tells whether it was there. A null counts as not there and stays in the rest.
func (r *objectReader) field(name string, to any) bool {
	raw, ok := r.fields[name]
	if !ok || string(bytes.TrimSpace(raw)) == "null" {
		return false
	}
	delete(r.fields, name)
	if err := json.Unmarshal(raw, to); err != nil {
		// The decoder's own text may quote the input, which holds secrets.
		r.fail(name, errors.New("unexpected form"))
		return false
	}
	return true
}

func (r *objectReader) fail(name string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("field %s: %w", name, err)
	}
}

func (r *objectReader) rest() map[string]json.RawMessage {
	if len(r.fields) == 0 {
		return nil
	}
	return r.fields
}

// objectWriter writes a JSON object field by field.
type objectWriter struct {
	extra   map[string]json.RawMessage
	written []string
	buf     bytes.Buffer
	err     error // the first one
}

func (w *objectWriter) number(name string, n float64) {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		w.fail(name, errors.New("not a finite number"))
		return
	}
	w.optional(name, n, n != 0 || w.extra[name] == nil)
}

func (w *objectWriter) required(name string, v any) {
	zero := v == "" || v == false
	w.optional(name, v, !zero || w.extra[name] == nil)
}

func (w *objectWriter) list(name string, v any, absent bool) {
	switch {
	case !absent:
		w.optional(name, v, true)
	case w.extra[name] == nil:
		w.optional(name, []string{}, true)
	}
}

func (w *objectWriter) optional(name string, v any, present bool) {
	if !present || w.err != nil {
		return
	}
	value, err := encode(v)
	if err != nil {
		w.fail(name, err)
		return
	}
	key, err := encode(name)
	if err != nil {
		w.fail(name, err)
		return
	}
	if w.buf.Len() == 0 {
		w.buf.WriteByte('{')
	} else {
		w.buf.WriteByte(',')
	}
	w.buf.Write(key)
	w.buf.WriteByte(':')
	w.buf.Write(value)
	w.written = append(w.written, name)
}

func (w *objectWriter) fail(name string, err error) {
	if w.err == nil {
		w.err = fmt.Errorf("field %s: %w", name, err)
	}
}

func (w *objectWriter) finish() ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(w.extra)) {
		if !slices.Contains(w.written, name) {
			w.optional(name, w.extra[name], true)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	w.buf.WriteByte('}')
	return w.buf.Bytes(), nil
}

// encode is json.Marshal without the escapes for HTML, which JavaScript does not write either.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
