package resp

import (
	"context"
	"testing"
)

// tagging is a fake whose entries have tags. It tells how the new key of a RENAME is written.
type tagging struct {
	fillFake
	tags   map[string][]string
	before func(key string, a SetArgs)
}

func (f tagging) tagged(key string, e Entry) Entry {
	e.Tags = f.tags[key]
	return e
}

func (f tagging) Lookup(ctx context.Context, key string) (Entry, bool, error) {
	e, found, err := f.fillFake.Lookup(ctx, key)
	return f.tagged(key, e), found, err
}

func (f tagging) LookupNow(key string) (Entry, bool, bool) {
	e, found, ok := f.fillFake.LookupNow(key)
	return f.tagged(key, e), found, ok
}

func (f tagging) LookupOrTicket(ctx context.Context, key string) (Entry, bool, Ticket, error) {
	e, found, ticket, err := f.fillFake.LookupOrTicket(ctx, key)
	return f.tagged(key, e), found, ticket, err
}

func (f tagging) Set(ctx context.Context, key string, value []byte, a SetArgs) error {
	if f.before != nil {
		f.before(key, a)
	}
	return f.fillFake.Set(ctx, key, value, a)
}

// What a tag may have ended while a key was renamed does not come by it: the new key is written with a ticket, also where it was there before, and what it
// held before does not come back if it had tags.
func TestRenameBesideACut(t *testing.T) {
	t.Parallel()
	for _, tags := range [][]string{nil, {"user"}} {
		f := newFake()
		b := &tagging{fillFake: fillFake{fastFake{f}}, tags: map[string][]string{}}
		w := dial(t, start(t, Config{Backend: b}).Addr())
		w.do("set", "old", "v")
		w.do("set", "new", "before")
		b.tags["new"] = tags
		done := false
		b.before = func(key string, a SetArgs) {
			if key != "new" || done {
				return
			}
			if done = true; a.Ticket == (Ticket{}) || a.IfVersion == 0 {
				t.Errorf("written with %+v", a)
			}
			if _, err := b.Remove(context.Background(), "old", 0); err != nil {
				t.Error(err)
			}
		}
		if got := w.do("rename", "old", "new"); got != "-ERR no such key\r\n" || !done {
			t.Errorf("rename: %q", got)
		}
		want := "$6\r\nbefore\r\n"
		if tags != nil {
			want = "$-1\r\n"
		}
		if got := w.do("get", "new"); got != want {
			t.Errorf("tags %v: the new key is %q, want %q", tags, got, want)
		}
	}
}
