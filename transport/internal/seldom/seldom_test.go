package seldom

import (
	"fmt"
	"testing"
	"time"
)

func TestReports(t *testing.T) {
	r := New(time.Minute)
	now := time.Unix(1000, 0)
	check := func(what, source, kind string, first, more bool) {
		t.Helper()
		if f, m := r.First(source, kind, now); f != first || m != more {
			t.Errorf("%s: %t, %t", what, f, m)
		}
	}
	check("a new one", "a", "x", true, false)
	check("again", "a", "x", false, false)
	check("another kind", "a", "y", true, false)
	now = now.Add(59 * time.Second)
	check("before the interval is over", "a", "x", false, false)
	now = now.Add(time.Second)
	check("after the interval", "a", "x", true, false)
	for i := range 2 * Most {
		r.First(fmt.Sprint(i), "x", now)
	}
	if len(r.seen) != Most {
		t.Errorf("%d are remembered", len(r.seen))
	}
	check("there is no room, and that was said", "b", "x", false, false)
	now = now.Add(time.Minute)
	check("there is room again", "b", "x", true, false)
	for i := range Most - 1 {
		r.First(fmt.Sprint(i), "x", now)
	}
	check("there is no room", "c", "x", false, true)
	check("that is said once", "d", "x", false, false)
}

func TestSource(t *testing.T) {
	for addr, want := range map[string]string{"10.0.0.1:7": "10.0.0.1", "[::1]:7": "::1", "@": "@", "": ""} {
		if got := Source(addr); got != want {
			t.Errorf("%q: %q", addr, got)
		}
	}
}
