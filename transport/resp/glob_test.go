package resp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"a*c", "abc", true},
		{"a*c", "abcb", false},
		{"*a*b*", "xxaxxbxx", true},
		{"h?llo", "hello", true},
		{"h?llo", "hllo", false},
		{"h[ae]llo", "hallo", true},
		{"h[^ae]llo", "hallo", false},
		{"h[a-c]llo", "hbllo", true},
		{"h[c-a]llo", "hbllo", true},
		{`h\*llo`, "h*llo", true},
		{`h\*llo`, "hello", false},
		{`[\]]`, "]", true},
		{"[", "[", false},
		{"[]", "a", false},
		{"[^]", "a", true},
		{"[a", "a", true},
		{`a\`, `a\`, true},
		{strings.Repeat("a*", 50) + "b", strings.Repeat("a", 1000), false},
	} {
		pattern, _ := compileGlob(t.Context(), []byte(tc.pattern))
		if got, err := match(pattern, tc.s); got != tc.want || err != nil {
			t.Errorf("match(%q, %q) = %v, %v", tc.pattern, tc.s, got, err)
		}
	}
}

// Matching a pattern ends with the command's time and with the server, and a pattern is bounded in length.
func TestMatchingIsBounded(t *testing.T) {
	class := "[" + strings.Repeat("b", 400) + "]"
	slow := "*" + strings.Repeat("?", 500) + class // of a million bytes, each is a start that 500 more follow
	member := strings.Repeat("a", 1_000_000)
	long := "-ERR huddle: pattern over 1024 bytes\r\n"

	s := start(t, Config{MaxValueBytes: 2 << 20, Timeout: time.Nanosecond})
	c := newClient(s, nil)
	g, ok := compileGlob(c.context(), []byte(slow))
	if !ok {
		t.Fatal("the pattern is refused")
	}
	if _, err := match(g, member); !errors.Is(err, errMatching) {
		t.Errorf("after its time, matching ends with %v", err)
	}
	c.endContext()

	s = start(t, Config{MaxValueBytes: 2 << 20, Timeout: time.Hour})
	w := dial(t, s.Addr())
	w.do("sadd", "s", member)
	for _, args := range [][]string{{"sscan", "s", "0", "match"}, {"scan", "0", "match"}, {"keys"}, {"config", "get"}} {
		if got := w.do(append(args, strings.Repeat("x", 1025))...); got != long {
			t.Errorf("%s: %q", args[0], got)
		}
		if got := w.do(append(args, strings.Repeat("x", 1024))...); got == long {
			t.Errorf("%s: %q", args[0], got)
		}
	}
	// Each member takes a while; that Close does not wait for all of them shows in the error that ends the command.
	done, cancel := context.WithCancel(t.Context())
	g, _ = compileGlob(done, []byte(slow))
	cancel()
	if _, err := match(g, member); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the server, matching ends with %v", err)
	}
	if _, err := g.matching([]string{member, member}); !errors.Is(err, context.Canceled) {
		t.Errorf("likewise of keys: %v", err)
	}
	// Classes are compiled: what they take does not go with their length.
	if size := len(g.elements); size != 502 {
		t.Errorf("%d elements", size)
	}
}

// A command whose pattern takes too long is answered with an error, and not with a part of what there is.
func TestMatchingThatTakesTooLong(t *testing.T) {
	f := newFake()
	s := start(t, Config{Backend: f, Timeout: time.Hour})
	w := dial(t, s.Addr())
	for i := range 200 {
		w.do("sadd", "s", fmt.Sprint(i, strings.Repeat("a", 1000)))
	}
	c := newClient(s, nil)
	bodies, err := c.readSet([]byte("s"), &claim{srv: s})
	if err != nil {
		t.Fatal(err)
	}
	c.endContext()
	ended, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	g, _ := compileGlob(ended, []byte("*a*b"))
	c.writeMembers(bodies, c.writeArray, g)
	if got := string(c.out); got != "-ERR huddle: to match the pattern takes too long\r\n" {
		t.Errorf("%.100q", got)
	}
}
