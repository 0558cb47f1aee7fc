package resp

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
)

// What is not confirmed is said to be so, and is not tried again: it may have taken effect, and INCR would count twice.
func TestUnconfirmedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{false, true} {
		for _, line := range []string{
			"incr n", "decrby n 2", "hset h f 2", "hset h g 1", "hsetnx h g 1", "hincrby h f 1", "hdel h f g", "sadd s a", "srem s a", "set n 2 nx", "setnx n 2",
			"set n 2 xx", "set n 2 get", "getset n 2", "getdel n", "getex n ex 5", "expire n 5", "pexpire n 5000 xx", "persist n", "rename n m", "del n",
		} {
			var writes atomic.Int64
			f := newFake()
			w := dial(t, start(t, Config{Backend: fillFake{fastFake{f}}}).Addr())
			if before {
				w.do("set", "n", "1", "ex", "100")
				w.do("hset", "h", "f", "1", "i", "1")
				w.do("sadd", "s", "a", "b")
			}
			f.write = func(context.Context, string) error {
				writes.Add(1)
				return ErrUnconfirmed
			}
			got := w.do(strings.Fields(line)...)
			switch n := writes.Load(); {
			case n > 1:
				t.Errorf("%s: %d attempts", line, n)
			case (n == 1) != strings.HasPrefix(got, "-UNCONFIRMED "):
				t.Errorf("%s: %q after %d attempts", line, got, n)
			case n == 0 && before && line != "sadd s a" && !strings.Contains(line, "nx"):
				t.Errorf("%s wrote nothing", line)
			}
		}
	}
}
