package resp

import (
	"context"
	"testing"
)

// tagging is a fake whose entries have tags. It tells how the new key of a RENAME is written.
type tagging struct {
	fillFake
	tags   map[string][]string
	ages   map[string]uint64
	before func(key string, a SetArgs) error
}

func (f tagging) tagged(key string, e Entry) Entry {
	e.Tags, e.Age = f.tags[key], f.ages[key]
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
		if err := f.before(key, a); err != nil {
			return err
		}
	}
	return f.fillFake.Set(ctx, key, value, a)
}

// What a tag may have ended while a key was renamed does not come by it: the new key is written with a ticket, also where it was there before, and with
// the age of the old one. What it held before comes back with its age, unless that was ended; without one it does not if it had tags.
func TestRenameBesideACut(t *testing.T) {
	t.Parallel()
	const ofOld = 3
	for _, tc := range []struct {
		tags  []string
		age   uint64
		ended bool
		back  bool
	}{
		{nil, 0, false, true},
		{[]string{"user"}, 0, false, false},
		{[]string{"user"}, 5, false, true},
		{[]string{"user"}, 5, true, false},
		{nil, 5, true, false},
	} {
		b := &tagging{fillFake: fillFake{fastFake{newFake()}}, tags: map[string][]string{}, ages: map[string]uint64{}}
		w := dial(t, start(t, Config{Backend: b}).Addr())
		w.do("set", "old", "v")
		w.do("set", "new", "before")
		b.tags["new"], b.ages["new"], b.ages["old"] = tc.tags, tc.age, ofOld
		var ages []uint64
		b.before = func(_ string, a SetArgs) error {
			if ages = append(ages, a.Age); len(ages) > 1 {
				if tc.ended {
					return ErrCondition
				}
				return nil
			}
			if a.Ticket == (Ticket{}) || a.IfVersion == 0 || a.Age != ofOld {
				t.Errorf("written with %+v", a)
			}
			_, err := b.Remove(context.Background(), "old", 0)
			return err
		}
		if got := w.do("rename", "old", "new"); got != "-ERR no such key\r\n" || len(ages) == 0 {
			t.Errorf("rename: %q", got)
		}
		want := "$-1\r\n"
		if tc.back {
			want = "$6\r\nbefore\r\n"
		}
		if got := w.do("get", "new"); got != want || len(ages) > 1 && ages[1] != tc.age {
			t.Errorf("%+v: the new key is %q, want %q; ages %d", tc, got, want, ages)
		}
	}
}
