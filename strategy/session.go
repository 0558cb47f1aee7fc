package strategy

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// CachedSession is a session as Vendure caches it, and has the same JSON form. Fields that are not named here, and nulls,
// are kept in Extra, so that a session passes through Go unharmed.
type CachedSession struct {
	// CacheExpiry is when the cached copy counts as stale, in seconds since 1970. It is for the caller to check.
	CacheExpiry float64
	// ID is the session's key in the database.
	ID ID
	// Token is the secret the client shows. It must not be empty.
	Token string
	// Expires is when the session ends, to the millisecond. Zero: it has no end.
	Expires time.Time
	// ActiveOrderID and ActiveChannelID are absent when zero.
	ActiveOrderID   ID
	ActiveChannelID ID
	// AuthenticationStrategy is absent when empty.
	AuthenticationStrategy string
	// User is nil for an anonymous session.
	User *CachedSessionUser
	// Extra holds the fields not named above, as JSON.
	Extra map[string]json.RawMessage
}

// CachedSessionUser is who a session belongs to, with what they may do.
type CachedSessionUser struct {
	ID                 ID
	Identifier         string
	Verified           bool
	ChannelPermissions []ChannelPermissions
	// Extra holds the fields not named above, as JSON.
	Extra map[string]json.RawMessage
}

// ChannelPermissions is what a user may do in one channel.
type ChannelPermissions struct {
	ID          ID
	Token       string
	Code        string
	Permissions []string
	// Extra holds the fields not named above, as JSON.
	Extra map[string]json.RawMessage
}

// Clone returns a copy that shares nothing with s.
func (s CachedSession) Clone() CachedSession {
	s.Extra = cloneExtra(s.Extra)
	if s.User != nil {
		user := *s.User
		user.Extra = cloneExtra(user.Extra)
		user.ChannelPermissions = slices.Clone(user.ChannelPermissions)
		for i := range user.ChannelPermissions {
			channel := &user.ChannelPermissions[i]
			channel.Permissions = slices.Clone(channel.Permissions)
			channel.Extra = cloneExtra(channel.Extra)
		}
		s.User = &user
	}
	return s
}

func cloneExtra(extra map[string]json.RawMessage) map[string]json.RawMessage {
	extra = maps.Clone(extra)
	for name, raw := range extra {
		extra[name] = slices.Clone(raw)
	}
	return extra
}

// ended tells whether the session itself is over.
func (s *CachedSession) ended(now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires)
}

// userID is the text of the user's ID; "" for an anonymous session.
func (s *CachedSession) userID() string {
	if s.User == nil {
		return ""
	}
	return s.User.ID.String()
}

// Sizes in bytes, rounded up, of what holds the strings of a session on a 64-bit machine.
const (
	sessionOverhead = 512 // the session, its list, heap and map entries
	userOverhead    = 128
	channelOverhead = 128
	stringOverhead  = 16
	extraOverhead   = 96
)

// memorySize estimates the bytes that the session takes in memory.
func (s *CachedSession) memorySize() int64 {
	size := sessionOverhead + 2*len(s.Token) + len(s.ID.text) + len(s.ActiveOrderID.text) + len(s.ActiveChannelID.text) +
		len(s.AuthenticationStrategy) + extraSize(s.Extra)
	if u := s.User; u != nil {
		size += userOverhead + len(u.ID.text) + len(u.Identifier) + extraSize(u.Extra)
		for i := range u.ChannelPermissions {
			c := &u.ChannelPermissions[i]
			size += channelOverhead + len(c.ID.text) + len(c.Token) + len(c.Code) + extraSize(c.Extra)
			for _, p := range c.Permissions {
				size += stringOverhead + len(p)
			}
		}
	}
	return int64(size)
}

func extraSize(extra map[string]json.RawMessage) int {
	size := 0
	for name, raw := range extra {
		size += extraOverhead + len(name) + len(raw)
	}
	return size
}
