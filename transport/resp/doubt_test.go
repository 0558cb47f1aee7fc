package resp

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// doubtful is a backend whose writes take effect at the owner of a key, from where all read it. While doubt is set they are not confirmed: the
// owner may die, and what others have, which is what was there before, is served again.
type doubtful struct {
	fillFake
	mu    sync.Mutex
	doubt bool
	open  map[string]bool // keys whose latest write was not confirmed
}

func (d *doubtful) wrote(key string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		return err
	}
	if d.open[key] = d.doubt; d.doubt {
		return ErrUnconfirmed
	}
	return nil
}

func (d *doubtful) Set(ctx context.Context, key string, value []byte, a SetArgs) error {
	return d.wrote(key, d.fillFake.Set(ctx, key, value, a))
}

func (d *doubtful) Remove(ctx context.Context, key string, ifVersion uint64) (bool, error) {
	existed, err := d.fillFake.Remove(ctx, key, ifVersion)
	return existed, d.wrote(key, err)
}

func (d *doubtful) Touch(ctx context.Context, key string, ttl time.Duration, ifVersion uint64) (bool, error) {
	existed, err := d.fillFake.Touch(ctx, key, ttl, ifVersion)
	if !existed {
		return existed, err
	}
	return existed, d.wrote(key, err)
}

func (d *doubtful) RemoveAbsent(ctx context.Context, key string, t Ticket) error {
	return d.wrote(key, d.fillFake.RemoveAbsent(ctx, key, t))
}

func (d *doubtful) set(doubt bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubt = doubt
}

// What was not confirmed finds nothing to do when it is sent again, or comes from another client. It is not answered before that is so everywhere.
func TestWhatIsSentAgainIsConfirmed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"hdel h f", "hdel h f g", "hdel h2 f", "sadd s a d", "sadd s3 a", "sadd large member7", "srem s a", "srem s a b", "srem s2 a", "srem large member7", "getdel n", "del n", "expire n 0", "pexpireat n 1", "set n 2 pxat 1",
	} {
		d := &doubtful{fillFake: fillFake{fastFake{newFake()}}, open: map[string]bool{}}
		w := dial(t, start(t, Config{Backend: d, splitAt: 60}).Addr())
		for _, first := range []string{
			"set n 1", "hset h f 1 g 2 i 3", "hset h2 f 1", "sadd s a b c", "sadd s2 a",
			"sadd large member1 member2 member3 member4 member5 member6 member7 member8 member9 member10 member11 member12 member13 member14 " + strings.Repeat("x", 80),
		} {
			if got := w.do(strings.Fields(first)...); strings.HasPrefix(got, "-") {
				t.Fatalf("%s: %q", first, got)
			}
		}
		if d.parts() == 0 {
			t.Fatal("no set is in parts")
		}
		d.set(true)
		for range 2 {
			if got := w.do(strings.Fields(line)...); !strings.HasPrefix(got, "-UNCONFIRMED ") {
				t.Errorf("%s: %q, want UNCONFIRMED", line, got)
			}
		}
		d.set(false)
		if got := w.do(strings.Fields(line)...); strings.HasPrefix(got, "-") {
			t.Errorf("%s, confirmed: %q", line, got)
		}
		for key, open := range d.open {
			if open {
				t.Errorf("%s: answered, and the last write of %q is not confirmed", line, key)
			}
		}
	}
}
