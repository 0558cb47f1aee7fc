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
