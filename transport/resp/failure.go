package resp

import (
	"context"
	"errors"
	"fmt"
)

// errConflict: a watched key has changed while its EXEC ran.
var errConflict = errors.New("watched key changed")

// errWrongKind: the key holds a value of another type than the command is for.
var errWrongKind = errors.New("wrong kind of value")

// errOver: the reply would be over maxReplyBytes.
var errOver = errors.New("reply over the size limit")

// errCrowded: all clients together would take too much memory.
var errCrowded = errors.New("too much memory for all clients")

// errLate: a command was not begun, for the time of others before it has run out.
var errLate = errors.New("not begun in time")

// fail answers with the reply that belongs to an error of the backend. Of an error that is not known the types are logged,
// and nothing is passed on: its text may contain a key.
func (c *client) fail(err error) {
	switch {
	case errors.Is(err, errConflict):
		c.tx.conflict = true
		c.writeError("EXECABORT a watched key changed while the transaction ran")
	case errors.Is(err, errWrongKind):
		c.writeError(errWrongType)
	case errors.Is(err, errOver), errors.Is(err, errCrowded):
		c.over = err // run answers
	case errors.Is(err, errLate):
		c.writeError("ERR huddle: not carried out, because a command before it took longer than " + c.srv.cfg.Timeout.String())
	case errors.Is(err, errMatching):
		c.writeError("ERR huddle: to match the pattern takes too long")
	case errors.Is(err, ErrUnsure):
		c.writeError("TRYAGAIN huddle: not sure just now")
	case errors.Is(err, ErrUnavailable):
		c.writeError("CLUSTERDOWN huddle: no majority of the cluster within reach")
	case errors.Is(err, ErrUnconfirmed):
		c.writeError("UNCONFIRMED huddle: not confirmed in time, the write may still take effect")
	case errors.Is(err, ErrRevoked):
		c.writeError("REVOKED huddle: the key was deleted for good")
	case errors.Is(err, ErrOverload):
		c.writeError("BUSY huddle: too many operations under way")
	case errors.Is(err, ErrTooLarge):
		c.writeError("ERR huddle: " + detail(err, "over the size limit"))
	case errors.Is(err, ErrHashed):
		c.writeError("ERR huddle: keys are hashed on this cluster (--hash-tokens) and cannot be listed")
	case errors.Is(err, ErrInvalid):
		c.writeError("ERR huddle: " + detail(err, "key cannot be used"))
	case errors.Is(err, ErrCondition):
		c.writeError("TRYAGAIN huddle: the key is changed too often by others")
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		c.writeError("ERR huddle: the node is closing")
	default:
		c.report("command failed", "error_type", typesOf(err))
		c.writeError("ERR huddle: internal error")
	}
}

// detail is what a client is told of an error: general and, if the backend says it, what is wrong.
func detail(err error, general string) string {
	if d := (*DetailError)(nil); errors.As(err, &d) {
		return general + ": " + d.Text
	}
	return general
}

// typesOf names the types of an error and of those that it wraps, from the outside in.
func typesOf(err error) string {
	names := fmt.Sprintf("%T", err)
	for err = errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
		names += fmt.Sprintf(" %T", err)
	}
	return names
}

// asUnsure and asUnconfirmed say what it means that the time of a read or a write has run out.
func asUnsure(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrUnsure
	}
	return err
}

func asUnconfirmed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrUnconfirmed
	}
	return err
}

// missing tells whether a read that failed so is a miss to a cache.
func missing(err error) bool {
	return errors.Is(err, ErrUnsure) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrOverload)
}
