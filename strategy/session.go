package strategy

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// CachedSession is a session as Vendure caches it. Its JSON has Vendure's names; fields that this type does not know
// survive a round trip, at every level, and a known field that was not changed is written as it was read: absent, null
// and empty stay apart.
//
// Copying the struct shares User with the copy; Clone does not.
type CachedSession struct {
	// CacheExpiry is the time in seconds since 1970 after which the cached copy is stale and is to be loaded afresh. The
	// caller judges it, or Load does (WithCacheExpiry); it does not end the entry.
	CacheExpiry float64
	// ID identifies the session in its database.
	ID ID
	// Token is the secret the session is found by. Required.
	Token string
	// Expires is when the session itself ends; zero if that is not known.
	Expires time.Time
	// ActiveOrderID is optional.
	ActiveOrderID ID
	// ActiveChannelID is optional.
	ActiveChannelID ID
	// AuthenticationStrategy is optional.
	AuthenticationStrategy string
	// User is nil for an anonymous session.
	User *CachedSessionUser

	doc document
}

// CachedSessionUser is the user of a session.
type CachedSessionUser struct {
	// ID identifies the user. RevokeUser takes its text.
	ID ID
	// Identifier is the name the user logs in with.
	Identifier string
	// Verified tells whether the identifier has been verified.
	Verified bool
	// ChannelPermissions says what the user may do, channel by channel.
	ChannelPermissions []ChannelPermissions

	doc document
}

// ChannelPermissions are the permissions of a user in one channel.
type ChannelPermissions struct {
	ID          ID
	Token       string
	Code        string
	Permissions []string

	doc document
}

// Clone returns a copy that shares nothing with s that can be changed.
func (s CachedSession) Clone() CachedSession {
	s.User = s.User.clone()
	return s
}

func (u *CachedSessionUser) clone() *CachedSessionUser {
	if u == nil {
		return nil
	}
	permissions := 0
	for i := range u.ChannelPermissions {
		permissions += len(u.ChannelPermissions[i].Permissions)
	}
	to, channels, flat := roomForUser(len(u.ChannelPermissions), permissions)
	u.into(to, channels, flat)
	return to
}

// userRoom is what a user with one channel, which is what most have, and its permissions take, in one allocation.
type userRoom[P any] struct {
	user        CachedSessionUser
	channel     [1]ChannelPermissions
	permissions P // an array of strings
}

// roomForUser returns memory for a user with so many channels, which have so many permissions together.
func roomForUser(channels, permissions int) (*CachedSessionUser, []ChannelPermissions, []string) {
	if channels == 1 {
		switch { // sizes that the allocator has
		case permissions <= 4:
			return newUserRoom[[4]string]()
		case permissions <= 6:
			return newUserRoom[[6]string]()
		case permissions <= 8:
			return newUserRoom[[8]string]()
		case permissions <= 10:
			return newUserRoom[[10]string]()
		case permissions <= 12:
			return newUserRoom[[12]string]()
		case permissions <= 14:
			return newUserRoom[[14]string]()
		case permissions <= 16:
			return newUserRoom[[16]string]()
		}
	}
	return new(CachedSessionUser), make([]ChannelPermissions, channels), make([]string, permissions)
}

func newUserRoom[P any]() (*CachedSessionUser, []ChannelPermissions, []string) {
	r := new(userRoom[P])
	return &r.user, r.channel[:], unsafe.Slice((*string)(unsafe.Pointer(&r.permissions)), unsafe.Sizeof(r.permissions)/unsafe.Sizeof(""))
}

// into copies u to to, its channels to channels, which are as many, and their permissions to flat, which has room for them.
func (u *CachedSessionUser) into(to *CachedSessionUser, channels []ChannelPermissions, flat []string) {
	*to = *u
	if u.ChannelPermissions == nil {
		return
	}
	to.ChannelPermissions = channels
	for i := range u.ChannelPermissions {
		from, ch := &u.ChannelPermissions[i], &channels[i]
		*ch = *from
		if from.Permissions != nil {
			n := copy(flat, from.Permissions)
			ch.Permissions, flat = flat[:n:n], flat[n:]
		}
	}
}

// Validate tells whether the session can be stored: it has a token, which is UTF-8, as the ID of its user is, for JSON has no other texts; a
// CacheExpiry that is a number; and an Expires that a JavaScript Date can be, 100 million days from 1970 at most. The error is ErrInvalid.
func (s CachedSession) Validate() error {
	if s.Token == "" {
		return fmt.Errorf("%w: session without a token", ErrInvalid)
	}
	if !utf8.ValidString(s.Token) {
		return fmt.Errorf("%w: the token is not UTF-8", ErrInvalid)
	}
	if s.User != nil && !utf8.ValidString(s.User.ID.text) {
		return fmt.Errorf("%w: the user's ID is not UTF-8", ErrInvalid)
	}
	if math.IsNaN(s.CacheExpiry) || math.IsInf(s.CacheExpiry, 0) {
		return fmt.Errorf("%w: cacheExpiry is not finite", ErrInvalid)
	}
	if s.Expires.Unix() > maxDate || s.Expires.Unix() < -maxDate {
		return fmt.Errorf("%w: expires is no date that JSON can hold; leave it zero if there is no end", ErrInvalid)
	}
	return nil
}

// UserID is the text of the user's ID, as RevokeUser takes it; "" for an anonymous session.
func (s CachedSession) UserID() string {
	if s.User == nil {
		return ""
	}
	return s.User.ID.String()
}

// Field returns a field that CachedSession does not know, as JSON. It is shared and must not be modified.
func (s CachedSession) Field(name string) (json.RawMessage, bool) {
	return s.doc.field(name, sessionFields)
}

// SetField sets a field that CachedSession does not know. It fails with ErrInvalid for the name of a known one and for a
// value without a JSON form. Copies of s made before are not affected.
func (s *CachedSession) SetField(name string, value any) error {
	return s.doc.setField(name, value, sessionFields)
}

// Field returns a field that CachedSessionUser does not know, as JSON. It is shared and must not be modified.
func (u CachedSessionUser) Field(name string) (json.RawMessage, bool) {
	return u.doc.field(name, userFields)
}

// SetField sets a field that CachedSessionUser does not know. It fails as CachedSession.SetField does.
func (u *CachedSessionUser) SetField(name string, value any) error {
	return u.doc.setField(name, value, userFields)
}

// Field returns a field that ChannelPermissions does not know, as JSON. It is shared and must not be modified.
func (c ChannelPermissions) Field(name string) (json.RawMessage, bool) {
	return c.doc.field(name, channelFields)
}

// SetField sets a field that ChannelPermissions does not know. It fails as CachedSession.SetField does.
func (c *ChannelPermissions) SetField(name string, value any) error {
	return c.doc.setField(name, value, channelFields)
}

// own copies all texts of a Clone: web servers reuse the memory of what a client has sent.
func (s *CachedSession) own() {
	for _, text := range []*string{&s.ID.text, &s.Token, &s.ActiveOrderID.text, &s.ActiveChannelID.text, &s.AuthenticationStrategy, &s.doc.text} {
		*text = strings.Clone(*text)
	}
	u := s.User
	if u == nil {
		return
	}
	for _, text := range []*string{&u.ID.text, &u.Identifier, &u.doc.text} {
		*text = strings.Clone(*text)
	}
	for i := range u.ChannelPermissions {
		c := &u.ChannelPermissions[i]
		for _, text := range []*string{&c.ID.text, &c.Token, &c.Code, &c.doc.text} {
			*text = strings.Clone(*text)
		}
		for j, p := range c.Permissions {
			c.Permissions[j] = strings.Clone(p)
		}
	}
}

// ended tells whether the session itself has ended.
func (s *CachedSession) ended(now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires)
}

// stale tells whether the CacheExpiry of the session, if it has one, has passed.
func (s *CachedSession) stale(now time.Time) bool {
	return s.CacheExpiry != 0 && float64(now.UnixMilli())/1e3 >= s.CacheExpiry
}

// weight estimates the memory of a session in bytes.
func (s *CachedSession) weight() int {
	n := s.structs() + len(s.ID.text) + 2*len(s.Token) + len(s.ActiveOrderID.text) + len(s.ActiveChannelID.text) +
		len(s.AuthenticationStrategy) + len(s.doc.text)
	if u := s.User; u != nil {
		n += len(u.ID.text) + len(u.Identifier) + len(u.doc.text)
		for i := range u.ChannelPermissions {
			c := &u.ChannelPermissions[i]
			n += len(c.ID.text) + len(c.Token) + len(c.Code) + len(c.doc.text)
			for _, p := range c.Permissions {
				n += len(p)
			}
		}
	}
	return n
}

// structs is weight without the texts, for a session all of whose texts lie in the JSON it was read from.
func (s *CachedSession) structs() int {
	n := 336
	if u := s.User; u != nil {
		n += 112
		for i := range u.ChannelPermissions {
			n += 96 + 16*len(u.ChannelPermissions[i].Permissions)
		}
	}
	return n
}
