package resp

import (
	"math"
	"strings"
	"time"
)

// maxTTL is the longest TTL; a longer one is held to it, so that sums with times of day do not overflow.
const maxTTL = 100 * 365 * 24 * time.Hour

// unit says how a client tells when an entry ends.
type unit int

const (
	seconds unit = iota
	millis
	unixSeconds
	unixMillis
)

// unitOf reads the option of SET and GETEX.
func unitOf(option []byte) (unit, bool) {
	switch {
	case equalFold(option, "ex"):
		return seconds, true
	case equalFold(option, "px"):
		return millis, true
	case equalFold(option, "exat"):
		return unixSeconds, true
	case equalFold(option, "pxat"):
		return unixMillis, true
	}
	return 0, false
}

// expiry is when an entry ends, as the client put it.
type expiry struct {
	unit unit
	text []byte
}

// remaining returns the time that n of the unit leave, not above maxTTL; below 0 or 0, it has passed. ok is false if n is too large for Redis.
func (u unit) remaining(n int64, now time.Time) (ttl time.Duration, ok bool) {
	if u == seconds || u == unixSeconds {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, false
		}
		n *= 1000
	}
	nowMillis := now.UnixMilli()
	if u == seconds || u == millis {
		if n > math.MaxInt64-nowMillis {
			return 0, false
		}
		if n >= maxTTL.Milliseconds() {
			return maxTTL, true
		}
		return time.Duration(max(n, -1)) * time.Millisecond, true
	}
	if n <= nowMillis {
		return 0, true
	}
	if n-nowMillis >= maxTTL.Milliseconds() {
		return maxTTL, true
	}
	return time.UnixMilli(n).Sub(now), true
}

// duration returns the TTL of SET and its like, where only a time of day can have passed: then it is below 0. msg is the error, if any.
func (x expiry) duration(command string) (ttl time.Duration, msg string) {
	n, ok := parseInt(x.text)
	if !ok {
		return 0, errNotInt
	}
	if ttl, ok = x.unit.remaining(n, time.Now()); n <= 0 || !ok {
		return 0, "ERR invalid expire time in '" + command + "' command"
	}
	if ttl <= 0 {
		return -1, ""
	}
	return ttl, ""
}

func cmdExpire(c *client, args [][]byte)    { c.expire(args, seconds) }
func cmdPExpire(c *client, args [][]byte)   { c.expire(args, millis) }
func cmdExpireAt(c *client, args [][]byte)  { c.expire(args, unixSeconds) }
func cmdPExpireAt(c *client, args [][]byte) { c.expire(args, unixMillis) }

// expireOptions are the conditions of EXPIRE.
type expireOptions struct{ nx, xx, gt, lt bool }

func parseExpire(args [][]byte) (o expireOptions, msg string) {
	for _, arg := range args {
		switch strings.ToLower(string(arg)) {
		case "nx":
			o.nx = true
		case "xx":
			o.xx = true
		case "gt":
			o.gt = true
		case "lt":
			o.lt = true
		default:
			return o, "ERR Unsupported option " + cString(arg, 128)
		}
	}
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		return o, "ERR NX and XX, GT or LT options at the same time are not compatible"
	case o.gt && o.lt:
		return o, "ERR GT and LT options at the same time are not compatible"
	}
	return o, ""
}

// allow tells whether a TTL may replace the present one; 0 is no end, which is longer than all.
func (o expireOptions) allow(ttl, present time.Duration) bool {
	switch {
	case o.nx && present != 0,
		o.xx && present == 0,
		o.gt && (present == 0 || ttl <= present),
		o.lt && present != 0 && ttl >= present:
		return false
	}
	return true
}

func (c *client) expire(args [][]byte, u unit) {
	o, msg := parseExpire(args[3:])
	if msg != "" {
		c.writeError(msg)
		return
	}
	n, ok := parseInt(args[2])
	if !ok {
		c.writeError(errNotInt)
		return
	}
	ttl, ok := u.remaining(n, time.Now())
	if !ok {
		c.writeError("ERR invalid expire time in '" + strings.ToLower(string(args[0])) + "' command")
		return
	}
	done := false
	err := c.change(args[1], func(e Entry, found bool) (err error) {
		seen := e.Version
		if o == (expireOptions{}) {
			seen = 0 // whatever is there by then: requests of one session that prolong it do not get into each other's way
		}
		switch {
		case found && !o.allow(ttl, e.TTL), !found && ttl > 0:
			done = false
		case ttl <= 0:
			done, err = c.removeAsSeen(args[1], e, found)
		default:
			done, err = c.touch(args[1], ttl, seen)
		}
		return err
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBool(done)
}

func cmdPersist(c *client, args [][]byte) {
	done := false
	err := c.change(args[1], func(e Entry, found bool) (err error) {
		if done = found && e.TTL != 0; done {
			done, err = c.touch(args[1], 0, e.Version)
		}
		return err
	})
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBool(done)
}

func cmdTTL(c *client, args [][]byte) {
	c.writeTTL(args[1], func(ttl time.Duration) int64 { return (millisUp(ttl) + 500) / 1000 })
}

func cmdPTTL(c *client, args [][]byte) { c.writeTTL(args[1], millisUp) }

func cmdExpireTime(c *client, args [][]byte) {
	c.writeTTL(args[1], func(ttl time.Duration) int64 { return (time.Now().Add(ttl).UnixMilli() + 500) / 1000 })
}

func cmdPExpireTime(c *client, args [][]byte) {
	c.writeTTL(args[1], func(ttl time.Duration) int64 { return time.Now().Add(ttl).UnixMilli() })
}

func millisUp(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// writeTTL answers with the TTL of a key as show puts it: -1 has no end, -2 is absent.
func (c *client) writeTTL(key []byte, show func(time.Duration) int64) {
	switch e, found, err := c.read(key); {
	case err != nil:
		c.fail(err)
	case !found:
		c.writeInt(-2)
	case e.TTL == 0:
		c.writeInt(-1)
	default:
		c.writeInt(show(e.TTL))
	}
}
