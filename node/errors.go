package node

import "errors"

// Errors that callers test for with errors.Is. They keep their identity across the wire.
var (
	// ErrClosed: the node has been closed or has left the cluster. The error of a change that was under way then, and may take effect, is
	// ErrUnconfirmed too; nothing of it goes on by itself.
	ErrClosed = errors.New("huddle: node closed")
	// ErrUnavailable: the node has lost touch with the majority of its cluster, or is not yet part of one, and refuses writes; or the key's
	// owner is out of reach and nobody has taken over yet. Nothing was written. Of a Delete, Clear or InvalidateTags, which go on by
	// themselves, the error is ErrUnconfirmed too.
	ErrUnavailable = errors.New("huddle: no majority of the cluster within reach")
	// ErrUnsure: the answer to a read is not known just now (a crash, a cut, a hand-over). It is not "absent".
	ErrUnsure = errors.New("huddle: not sure just now")
	// ErrUnconfirmed: the write was not confirmed before the caller's deadline. It may still take effect. (If the context of a Set or Touch had ended
	// before the call, nothing was tried, and the error is that of the context alone.) A Delete, Clear or InvalidateTags, also one whose context had
	// ended before, goes on by itself until it is done, the node is closed, or Config.Retention is over (a minute if that is less). It is given up then:
	// Stats.GivenUp counts it, and an event "given-up" tells of it.
	ErrUnconfirmed = errors.New("huddle: write not confirmed in time")
	// ErrTooLarge: a key, value or tag list is over its limit.
	ErrTooLarge = errors.New("huddle: over the size limit")
	// ErrInvalid: an argument is not usable (an empty key, a negative TTL).
	ErrInvalid = errors.New("huddle: invalid argument")
	// ErrCondition: a condition of the write (IfAbsent, IfPresent, IfVersion) does not hold. Nothing was written.
	ErrCondition = errors.New("huddle: condition not met")
	// ErrRevoked: the key was deleted for good (Revoke) within the retention. Nothing was written,
	// or, if the write had to be sent again, it was, and has been deleted since.
	ErrRevoked = errors.New("huddle: key is revoked")
	// ErrStaleFill: the ticket of a fill is older than a later write, delete or cut of its key. Nothing was written,
	// or, if the write had to be sent again, it was and may have been replaced since: look again.
	ErrStaleFill = errors.New("huddle: fill is out of date")
	// ErrHashed: keys cannot be listed, for with Config.HashTokens nobody knows them.
	ErrHashed = errors.New("huddle: keys are hashed and cannot be listed")
	// ErrOverload: too many operations, or bytes of values, are under way on the node that would have to do this one. Nothing was done.
	ErrOverload = errors.New("huddle: too many operations under way")
)

// errNoOwner is ErrUnavailable of a node that has its majority.
var errNoOwner error = unavailable("huddle: the owner of the key is out of reach, and nobody has taken over yet")

type unavailable string

func (u unavailable) Error() string { return string(u) }

func (unavailable) Is(target error) bool { return target == ErrUnavailable }
