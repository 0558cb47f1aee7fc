package resp

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// A member that is added to a set in parts is in it afterwards, also if the set was removed, or is another, once its part was chosen.
func TestMemberIsAddedToASetThatIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	fill := []string{"sadd", "s"}
	for i := range 40 {
		fill = append(fill, fmt.Sprint("filler ", i))
	}
	for name, meanwhile := range map[string][][]string{
		"removed":                   {{"del", "s"}},
		"made anew":                 {{"del", "s"}, {"sadd", "s", "other"}},
		"made anew, again in parts": {{"del", "s"}, fill},
	} {
		f := newFake()
		var theirs *wire
		var armed atomic.Bool
		f.write = func(_ context.Context, key string) error {
			if isPart(key) && armed.CompareAndSwap(true, false) {
				for _, args := range meanwhile {
					theirs.do(args...)
				}
			}
			return nil
		}
		s := start(t, Config{Backend: f, splitAt: 60})
		ours := dial(t, s.Addr())
		theirs = dial(t, s.Addr())
		ours.do(fill...)
		if f.parts() == 0 {
			t.Fatal("the set has no parts")
		}
		armed.Store(true)
		if got := ours.do("sadd", "s", "mine"); got != ":1\r\n" {
			t.Errorf("%s: sadd: %q", name, got)
		}
		if armed.Load() {
			t.Error("nothing happened meanwhile")
		}
		if got := ours.do("sismember", "s", "mine"); got != ":1\r\n" {
			t.Errorf("%s: the member is lost", name)
		}
	}
}

// copied is what a node serves that holds a copy of an entry that its owner has lost for want of room.
type copied struct {
	fillFake
	key   string
	entry *atomic.Pointer[Entry] // nil: it has been told that the entry is gone
}

func (f copied) LookupNow(key string) (Entry, bool, bool) {
	if e := f.entry.Load(); e != nil && key == f.key {
		return *e, true, true
	}
	return f.fillFake.LookupNow(key)
}

// telling is the owner, who tells the copy of what is removed.
type telling struct{ copied }

func (f telling) LookupNow(key string) (Entry, bool, bool) { return f.fillFake.LookupNow(key) }

func (f telling) RemoveAbsent(ctx context.Context, key string, t Ticket) error {
	err := f.fillFake.RemoveAbsent(ctx, key, t)
	if err == nil && key == f.key {
		f.entry.Store(nil)
	}
	return err
}

// No part of a set is taken for an orphan while a copy of the set's entry is still served: it would name some of the members only.
func TestSweepEndsWhatCopiesServeFirst(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := copied{fillFake{fastFake{f}}, "s", new(atomic.Pointer[Entry])}
	owner, other := start(t, Config{Backend: telling{c}, splitAt: 60}), start(t, Config{Backend: c, splitAt: 60})
	w := dial(t, other.Addr())
	for i := range 60 {
		w.do("sadd", "s", fmt.Sprint("member ", i))
	}
	e, _ := f.get("s")
	c.entry.Store(&e)
	f.mu.Lock()
	delete(f.entries, "s") // evicted
	f.mu.Unlock()
	if got := elements(w.do("smembers", "s")); len(got) != 60 {
		t.Fatalf("the copy is served with %d members", len(got))
	}
	suspects, _ := owner.sweepOnce(nil)
	if len(suspects) < 2 {
		t.Fatalf("%d parts are suspects", len(suspects))
	}
	for key := range suspects { // a walk that ends early
		if delete(suspects, key); len(suspects) < 5 {
			break
		}
	}
	if _, removed := owner.sweepOnce(suspects); removed == 0 || f.parts() == 0 {
		t.Fatalf("%d parts are removed, %d left", removed, f.parts())
	}
	if got := w.do("smembers", "s") + w.do("exists", "s"); got != "*0\r\n:0\r\n" && strings.Count(got, "member ") != 60 {
		t.Errorf("some of the members are named: %q", got)
	}
}
