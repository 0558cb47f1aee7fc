package strategy

import (
	"math"
	"time"
	"unsafe"
)

// packed is a session without its texts: it says where each of them lies in the value that the session was read from. So it takes a fraction of
// what a CachedSession and its user take, the garbage collector finds no pointers in it, and it becomes a session again without a look at the
// value. It holds what is in every session; the channels of the user, with their permissions, are places apart from it: of each channel
// perChannel of them, and one for each permission.
type packed struct {
	cacheExpiry float64
	expires     int64 // Unix time
	nanos       uint32

	token, authenticationStrategy, doc place
	id, activeOrderID, activeChannelID place
	userID, identifier, userDoc        place
	channels                           place
	user, verified                     bool // user: there is one
}

// place is where a text lies in the value, or how many there are of something.
type place struct{ at, n uint16 }

// perChannel: id, token, code, doc, and how many permissions.
const perChannel = 5

// An ID has its kind in the high bits of its length. A list has listed there, unless it is nil.
const (
	kindShift = 14
	idLength  = 1<<kindShift - 1
	listed    = 1
)

// text returns the text that lies there.
func (p place) text(value string) string { return value[p.at : int(p.at)+int(p.n)] }

func (p place) id(value string) ID {
	return ID{place{p.at, p.n & idLength}.text(value), idKind(p.n >> kindShift)}
}

// packer finds the places of texts in a value.
type packer struct {
	value string
	fail  bool // a text lies elsewhere
}

// text returns where s lies. That is told by where its memory is: nothing is compared.
func (p *packer) text(s string) place {
	if s == "" {
		return place{}
	}
	at := uintptr(unsafe.Pointer(unsafe.StringData(s))) - uintptr(unsafe.Pointer(unsafe.StringData(p.value)))
	if at > uintptr(len(p.value)) || len(s) > len(p.value)-int(at) {
		p.fail = true
	}
	return place{uint16(at), uint16(len(s))}
}

func (p *packer) id(id ID) place {
	at := p.text(id.text)
	p.fail = p.fail || at.n > idLength
	return place{at.at, at.n | uint16(id.kind)<<kindShift}
}

func (p *packer) list(n int, isNil bool) place {
	if isNil {
		return place{}
	}
	return place{uint16(n), listed}
}

// pack makes to what s is, and channels, of which there must be s.places(), to what its channels are. False: it cannot be packed, because
// not all of its texts lie in the value, or that is too long.
func (to *packed) pack(s *CachedSession, value string, channels []place) bool {
	if len(value) > math.MaxUint16 {
		return false
	}
	p := packer{value: value}
	to.cacheExpiry = s.CacheExpiry
	to.expires, to.nanos = s.Expires.Unix(), uint32(s.Expires.Nanosecond())
	to.token, to.authenticationStrategy, to.doc = p.text(s.Token), p.text(s.AuthenticationStrategy), p.text(s.doc.text)
	to.id, to.activeOrderID, to.activeChannelID = p.id(s.ID), p.id(s.ActiveOrderID), p.id(s.ActiveChannelID)
	if u := s.User; u != nil {
		to.user, to.verified = true, u.Verified
		to.userID, to.identifier, to.userDoc = p.id(u.ID), p.text(u.Identifier), p.text(u.doc.text)
		to.channels = p.list(len(u.ChannelPermissions), u.ChannelPermissions == nil)
		for i := range u.ChannelPermissions {
			c := &u.ChannelPermissions[i]
			copy(channels, []place{p.id(c.ID), p.text(c.Token), p.text(c.Code), p.text(c.doc.text), p.list(len(c.Permissions), c.Permissions == nil)})
			channels = channels[perChannel:]
			for j, permission := range c.Permissions {
				channels[j] = p.text(permission)
			}
			channels = channels[len(c.Permissions):]
		}
	}
	return !p.fail && to.time() == s.Expires
}

// places is how many places the channels of a session take.
func (s *CachedSession) places() (n int) {
	if s.User != nil {
		for i := range s.User.ChannelPermissions {
			n += perChannel + len(s.User.ChannelPermissions[i].Permissions)
		}
	}
	return n
}

func (p *packed) time() time.Time { return time.Unix(p.expires, int64(p.nanos)).UTC() }

// unpack makes to the session that was packed. What to is then can be changed, and shares nothing with others but texts.
func (p *packed) unpack(to *CachedSession, value string, channels []place) {
	to.CacheExpiry = p.cacheExpiry
	to.ID = p.id.id(value)
	to.Token = p.token.text(value)
	to.Expires = p.time()
	to.ActiveOrderID = p.activeOrderID.id(value)
	to.ActiveChannelID = p.activeChannelID.id(value)
	to.AuthenticationStrategy = p.authenticationStrategy.text(value)
	to.doc.text = p.doc.text(value)
	to.User = nil
	if p.user {
		to.User = p.unpackUser(value, channels)
	}
}

func (p *packed) unpackUser(value string, channels []place) *CachedSessionUser {
	u, all, flat := roomForUser(int(p.channels.at), len(channels)-perChannel*int(p.channels.at))
	u.ID = p.userID.id(value)
	u.Identifier = p.identifier.text(value)
	u.Verified = p.verified
	u.doc.text = p.userDoc.text(value)
	if p.channels.n == listed {
		u.ChannelPermissions = all
	}
	for i := range all {
		c, its := &all[i], (*[perChannel]place)(channels)
		c.ID = its[0].id(value)
		c.Token = its[1].text(value)
		c.Code = its[2].text(value)
		c.doc.text = its[3].text(value)
		n := int(its[4].at)
		if its[4].n == listed {
			c.Permissions = flat[:n:n]
		}
		channels = channels[perChannel:]
		for j := range flat[:n] {
			flat[j] = channels[j].text(value)
		}
		channels, flat = channels[n:], flat[n:]
	}
	return u
}
