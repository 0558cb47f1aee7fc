package node

import (
	"math"
	"time"
)

// Ticket is handed out by a miss, and by LookupAtOwner with a hit too, and orders the fill that follows it before every later write, delete or cut of the key.
// A zero Ticket is none: a Set with it fails with ErrStaleFill. What it holds is for nodes alone.
type Ticket struct{ Clock, Chain uint64 }

// SetOption changes a Set. One that is nil changes nothing.
type SetOption func(*setOptions)

type setOptions struct {
	ttl                          time.Duration
	hasTTL, noEnd, keepTTL       bool
	tags                         []string
	ifAbsent, ifPresent, hasTick bool
	ifVersion, age               uint64
	ticket                       Ticket
}

// WithTTL ends the entry after d. d must be positive; it is cut to 100 years.
func WithTTL(d time.Duration) SetOption {
	return func(o *setOptions) { o.ttl, o.hasTTL, o.noEnd = d, true, false }
}

// WithoutTTL keeps the entry without end, whatever Config.DefaultTTL says. Of WithTTL and WithoutTTL the last one counts.
func WithoutTTL() SetOption {
	return func(o *setOptions) { o.ttl, o.hasTTL, o.noEnd = 0, false, true }
}

// WithKeepTTL keeps the TTL that the present entry has. If there is none, the other options say when the new one ends.
func WithKeepTTL() SetOption { return func(o *setOptions) { o.keepTTL = true } }

// WithTags attaches tags, by which InvalidateTags finds the entry: at most 64, each of 1 to 1024 bytes of UTF-8.
func WithTags(tags ...string) SetOption {
	return func(o *setOptions) { o.tags = append(o.tags, tags...) }
}

// IfAbsent makes the Set fail with ErrCondition when the key is present.
func IfAbsent() SetOption { return func(o *setOptions) { o.ifAbsent = true } }

// IfPresent makes the Set fail with ErrCondition when the key is absent.
func IfPresent() SetOption { return func(o *setOptions) { o.ifPresent = true } }

// IfVersion makes the Set fail with ErrCondition unless the present entry has version v. 0 is the version of an absent key: IfAbsent.
func IfVersion(v uint64) SetOption {
	if v == 0 {
		return IfAbsent()
	}
	return func(o *setOptions) { o.ifVersion = v }
}

// WithTicket makes the Set a fill: it fails with ErrStaleFill when the key was written, deleted or cut after the read
// that gave the ticket.
func WithTicket(t Ticket) SetOption {
	return func(o *setOptions) { o.ticket, o.hasTick = t, true }
}

// WithAge is for a value that was made of an entry under another key, whose Entry.Age is given, such as a session that gets a new token: what ends that
// entry (Clear, InvalidateTags, or RevokeUser of package strategy) ends this one, too, also if it is under way. Give it the tags of that entry. The Set
// fails with ErrStaleFill when that entry has been ended so already, and with ErrUnconfirmed where all have died who could tell. An age does not tell of
// which cluster it is: should the nodes have given theirs up since, and be in another, it ends nothing there. A ticket does: where that matters, take one for
// the new key first, by LookupAtOwner, then read the entry, and give both.
func WithAge(age uint64) SetOption { return func(o *setOptions) { o.age = age } }

// DeleteOption changes a Delete. One that is nil changes nothing.
type DeleteOption func(*deleteOptions)

type deleteOptions struct {
	revoke    bool
	ifVersion uint64
}

// Revoke deletes for good: writes of the key fail with ErrRevoked for Config.Retention.
func Revoke() DeleteOption { return func(o *deleteOptions) { o.revoke = true } }

// DeleteIfVersion makes the Delete fail with ErrCondition unless the present entry has version v. No entry has version 0. One that had to be sent to
// the owner again and does not find v then is ErrUnconfirmed, for its first attempt may take effect still, and does not go on.
func DeleteIfVersion(v uint64) DeleteOption {
	return func(o *deleteOptions) { o.ifVersion = versionOf(v) }
}

// versionOf is what an entry is required to have, on the wire, where 0 is no condition.
func versionOf(v uint64) uint64 {
	if v == 0 {
		return math.MaxUint64 // which none has either
	}
	return v
}
