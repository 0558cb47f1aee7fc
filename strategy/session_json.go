package strategy

import (
	"encoding/json"
	"fmt"
	"slices"
)

func sessionFields(name string) bool {
	switch name {
	case "cacheExpiry", "id", "token", "expires", "activeOrderId", "activeChannelId", "authenticationStrategy", "user":
		return true
	}
	return false
}

func userFields(name string) bool {
	switch name {
	case "id", "identifier", "verified", "channelPermissions":
		return true
	}
	return false
}

func channelFields(name string) bool {
	switch name {
	case "id", "token", "code", "permissions":
		return true
	}
	return false
}

// MarshalJSON writes the session with Vendure's names. It fails with ErrInvalid for a CacheExpiry that is not finite.
func (s CachedSession) MarshalJSON() ([]byte, error) {
	if text, ok := plainSession(&s); ok {
		return text, nil
	}
	return s.marshalAny()
}

// marshalAny is MarshalJSON for sessions that may have come from JSON.
func (s CachedSession) marshalAny() ([]byte, error) {
	w := newWriter(s.doc)
	scalar(w, "cacheExpiry", s.CacheExpiry, true)
	scalar(w, "id", s.ID, true)
	scalar(w, "token", s.Token, true)
	put(w, "expires", date(s.Expires), s.Expires.IsZero(), true, sameDate)
	scalar(w, "activeOrderId", s.ActiveOrderID, false)
	scalar(w, "activeChannelId", s.ActiveChannelID, false)
	scalar(w, "authenticationStrategy", s.AuthenticationStrategy, false)
	put(w, "user", s.User, s.User == nil, false, func(a, b *CachedSessionUser) bool { return a == nil && b == nil })
	return w.finish(sessionFields)
}

// UnmarshalJSON replaces the session by the one in data. Dates are read leniently; names are exact. The error is
// ErrInvalid and quotes nothing of data.
func (s *CachedSession) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	session, _, err := decodeSession(string(data))
	if err != nil {
		return err
	}
	*s = session
	return nil
}

// decodeSession returns the session that text holds, whose memory it shares, and whether it takes no memory for texts beside it.
func decodeSession(text string) (s CachedSession, within bool, err error) {
	if s, ok := quickSession(text); ok {
		return s, true, nil
	}
	s, err = decodeAny(text)
	return s, false, err
}

// decodeAny is decodeSession for whatever encoding/json reads.
func decodeAny(text string) (CachedSession, error) {
	doc, fields, err := readDocument(text)
	if err != nil {
		return CachedSession{}, err
	}
	s := CachedSession{doc: doc}
	for _, f := range []struct {
		name string
		into any
	}{
		{"cacheExpiry", &s.CacheExpiry},
		{"id", &s.ID},
		{"token", &s.Token},
		{"expires", (*date)(&s.Expires)},
		{"activeOrderId", &s.ActiveOrderID},
		{"activeChannelId", &s.ActiveChannelID},
		{"authenticationStrategy", &s.AuthenticationStrategy},
		{"user", &s.User},
	} {
		if err := fields.decode(f.name, f.into); err != nil {
			return CachedSession{}, err
		}
	}
	return s, nil
}

// MarshalJSON writes the user with Vendure's names.
func (u CachedSessionUser) MarshalJSON() ([]byte, error) {
	w := newWriter(u.doc)
	scalar(w, "id", u.ID, true)
	scalar(w, "identifier", u.Identifier, true)
	scalar(w, "verified", u.Verified, true)
	channels := u.ChannelPermissions
	_, had := w.was.get("channelPermissions")
	if channels == nil && (had || !w.read) {
		channels = []ChannelPermissions{} // written as [] unless it was read as null
	}
	put(w, "channelPermissions", channels, u.ChannelPermissions == nil, true,
		func(old, _ []ChannelPermissions) bool { return old == nil && u.ChannelPermissions == nil })
	return w.finish(userFields)
}

// UnmarshalJSON replaces the user by the one in data.
func (u *CachedSessionUser) UnmarshalJSON(data []byte) error {
	doc, fields, err := readDocument(string(data))
	if err != nil {
		return err
	}
	user := CachedSessionUser{doc: doc}
	for _, err := range []error{
		fields.decode("id", &user.ID),
		fields.decode("identifier", &user.Identifier),
		fields.decode("verified", &user.Verified),
		fields.decode("channelPermissions", &user.ChannelPermissions),
	} {
		if err != nil {
			return err
		}
	}
	*u = user
	return nil
}

// MarshalJSON writes the permissions with Vendure's names.
func (c ChannelPermissions) MarshalJSON() ([]byte, error) {
	w := newWriter(c.doc)
	scalar(w, "id", c.ID, true)
	scalar(w, "token", c.Token, true)
	scalar(w, "code", c.Code, true)
	permissions := c.Permissions
	_, had := w.was.get("permissions")
	if permissions == nil && (had || !w.read) {
		permissions = []string{}
	}
	put(w, "permissions", permissions, c.Permissions == nil, true,
		func(old, _ []string) bool {
			return (old == nil) == (c.Permissions == nil) && slices.Equal(old, c.Permissions)
		})
	return w.finish(channelFields)
}

// UnmarshalJSON replaces the permissions by those in data. A permission that is null is refused.
func (c *ChannelPermissions) UnmarshalJSON(data []byte) error {
	doc, fields, err := readDocument(string(data))
	if err != nil {
		return err
	}
	channel := ChannelPermissions{doc: doc}
	var permissions []*string
	for _, err := range []error{
		fields.decode("id", &channel.ID),
		fields.decode("token", &channel.Token),
		fields.decode("code", &channel.Code),
		fields.decode("permissions", &permissions),
	} {
		if err != nil {
			return err
		}
	}
	if permissions != nil {
		channel.Permissions = make([]string, len(permissions))
		for i, p := range permissions {
			if p == nil {
				return fmt.Errorf("%w: a permission is null", ErrInvalid)
			}
			channel.Permissions[i] = *p
		}
	}
	*c = channel
	return nil
}

var (
	_ json.Marshaler   = CachedSession{}
	_ json.Unmarshaler = (*CachedSession)(nil)
)
