package strategy

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
	"unsafe"
)

// CachedSession is a session as Vendure caches it. Its JSON has Vendure's names; fields that this type does not know
// survive a round trip, at every level, and a known field that was not changed is written as it was read: absent, null
// and empty stay apart.
//
// Copying the struct shares User with the copy; Clone does not.
type CachedSession struct {
	// CacheExpiry is the time in seconds since 1970 after which the cached copy is stale and is to be loaded afresh. The
	// caller judges it; it does not end the entry.
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
	return u.roomed().user()
}

// kept is a session of which others get copies.
type kept struct {
	session CachedSession
	room    userRoom // where session.User is; nil if there is none
}

// keep returns a copy of s, to be kept.
func keep(s CachedSession) kept {
	k := kept{session: s}
	if s.User != nil {
		k.room = s.User.roomed()
		k.session.User = k.room.user()
	}
	return k
}

// copyTo makes to a copy that shares nothing with k that can be changed.
func (k *kept) copyTo(to *CachedSession) {
	*to = k.session
	if k.room != nil {
		to.User = k.room.again()
	}
}

// userRoom is what a user takes, with all that belongs to it.
type userRoom interface {
	user() *CachedSessionUser
	again() *CachedSessionUser // a copy
}

// roomFor is what a user with one channel, which is what most have, and its permissions take, in one allocation.
type roomFor[P any] struct {
	its         CachedSessionUser
	channel     [1]ChannelPermissions
	permissions P
}

func (r *roomFor[P]) user() *CachedSessionUser { return &r.its }

func (r *roomFor[P]) again() *CachedSessionUser {
	n := new(roomFor[P])
	*n = *r
	n.its.ChannelPermissions = n.channel[:]
	if p := r.channel[0].Permissions; p != nil {
		n.channel[0].Permissions = unsafe.Slice((*string)(unsafe.Pointer(&n.permissions)), len(p)) // P is an array of at least so many
	}
	return &n.its
}

// otherRoom is that of any other user.
type otherRoom struct{ its CachedSessionUser }

func (r *otherRoom) user() *CachedSessionUser  { return &r.its }
func (r *otherRoom) again() *CachedSessionUser { return r.its.clone() }

// roomed returns a copy in a room of its own.
func (u *CachedSessionUser) roomed() userRoom {
	if len(u.ChannelPermissions) == 1 {
		// What is allocated has a fixed type, hence the steps.
		switch n := len(u.ChannelPermissions[0].Permissions); {
		case n <= 4:
			room := new(roomFor[[4]string])
			u.into(&room.its, room.channel[:], room.permissions[:0])
			return room
		case n <= 8:
			room := new(roomFor[[8]string])
			u.into(&room.its, room.channel[:], room.permissions[:0])
			return room
		case n <= 16:
			room := new(roomFor[[16]string])
			u.into(&room.its, room.channel[:], room.permissions[:0])
			return room
		}
	}
	total := 0
	for i := range u.ChannelPermissions {
		total += len(u.ChannelPermissions[i].Permissions)
	}
	room := new(otherRoom)
	u.into(&room.its, make([]ChannelPermissions, len(u.ChannelPermissions)), make([]string, 0, total))
	return room
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
			start := len(flat)
			flat = append(flat, from.Permissions...)
			ch.Permissions = flat[start:len(flat):len(flat)]
		}
	}
}

// Validate tells whether the session can be stored: it has a token, and a CacheExpiry that is a number. The error is ErrInvalid.
func (s CachedSession) Validate() error {
	if s.Token == "" {
		return fmt.Errorf("%w: session without a token", ErrInvalid)
	}
	if math.IsNaN(s.CacheExpiry) || math.IsInf(s.CacheExpiry, 0) {
		return fmt.Errorf("%w: cacheExpiry is not finite", ErrInvalid)
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

// own copies the texts of a Clone by which the session is found: web servers reuse the memory of a token.
func (s *CachedSession) own() {
	s.Token = strings.Clone(s.Token)
	if s.User != nil {
		s.User.ID.text = strings.Clone(s.User.ID.text)
	}
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
