package resp

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestATTLIsForTheEntryThatWasSeen: another client sets the key between the look and the change.
func TestATTLIsForTheEntryThatWasSeen(t *testing.T) {
	t.Parallel()
	const long = time.Hour
	for _, tc := range []struct{ before, command, want string }{
		{"set k old", "getex k ex 3600", "$6\r\ntheirs\r\n"}, // what it answers with is what it prolongs
		{"set k old ex 10", "persist k", ":1\r\n"},
		{"set k old ex 10", "expire k 3600 gt", ":1\r\n"},
		{"set k old", "expire k 3600 nx", ":0\r\n"},
		{"set k old ex 60", "expire k 40 lt", ":0\r\n"},
		{"set k old", "multi\r\nexpire k 3600\r\nexec", "*-1\r\n"},
		{"set k old ex 10", "multi\r\npersist k\r\nexec", "*-1\r\n"},
		{"set k old", "multi\r\ngetex k ex 3600\r\nexec", "*-1\r\n"},
		{"set k old", "expire k 3600", ":1\r\n"}, // whatever is there
	} {
		f := newFake()
		w := dial(t, start(t, Config{Backend: f}).Addr())
		w.send(tc.before + "\r\n")
		w.reply()
		if strings.HasPrefix(tc.command, "multi") {
			w.do("watch", "k")
		}
		var once sync.Once
		f.write = func(context.Context, string) error {
			once.Do(func() {
				f.write = nil
				if err := f.Set(t.Context(), "k", []byte("theirs"), SetArgs{TTL: 30 * time.Second}); err != nil {
					t.Error(err)
				}
			})
			return nil
		}
		w.send(tc.command + "\r\n")
		var got string
		for range 1 + strings.Count(tc.command, "\n") {
			got = w.reply()
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.command, got, tc.want)
		}
		e, _ := f.get("k")
		if changed := tc.want[0] == '$' || tc.want == ":1\r\n"; changed == (e.TTL > 0 && e.TTL <= 30*time.Second) || e.TTL > long {
			t.Errorf("%s is answered with %q, and the TTL of %s is %v", tc.command, got, e.Value, e.TTL)
		}
	}
}

// An entry ends at the time given, not at the end of the millisecond that has begun, and never lasts for longer than it may.
func TestRemaining(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000).Add(700 * time.Microsecond)
	for _, tc := range []struct {
		unit unit
		n    int64
		want time.Duration
		ok   bool
	}{
		{unixMillis, 1_700_000_000_002, 1300 * time.Microsecond, true},
		{unixMillis, 1_700_000_000_001, 300 * time.Microsecond, true},
		{unixMillis, 1_700_000_000_000, 0, true},
		{unixMillis, -1 << 63, 0, true},
		{unixMillis, 1<<63 - 1, maxTTL, true},
		{unixSeconds, 1_700_000_001, time.Second - 700*time.Microsecond, true},
		{unixSeconds, 1_700_000_000, 0, true},
		{unixSeconds, 1 << 62, 0, false},
		{millis, 1, time.Millisecond, true},
		{millis, 0, 0, true},
		{millis, -1 << 63, -time.Millisecond, true},
		{millis, 1<<63 - 1, 0, false},
		{seconds, 2, 2 * time.Second, true},
		{seconds, 1 << 40, maxTTL, true},
		{seconds, -1 << 62, 0, false},
	} {
		if got, ok := tc.unit.remaining(tc.n, now); got != tc.want || ok != tc.ok {
			t.Errorf("unit %d, %d: %v, %v, want %v, %v", tc.unit, tc.n, got, ok, tc.want, tc.ok)
		}
	}
}

// What is left of a millisecond is one: a key that is there has not 0 to live.
func TestMillisUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Second: 1000} {
		if got := millisUp(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

// EXPIRETIME is the nearest second, as in Redis.
func TestExpireTimeIsTheNearestSecond(t *testing.T) {
	t.Parallel()
	w := dial(t, start(t, Config{}).Addr())
	for at, want := range map[string]string{"4000000000300": ":4000000000\r\n", "4000000000700": ":4000000001\r\n"} {
		w.do("set", "k", "v", "pxat", at)
		if got := w.do("expiretime", "k"); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}
