package api

import (
	"slices"
	"testing"

	"github.com/huddle-cache/huddle/node"
)

// Half of a view is no majority of it; who leaves is listed and need not be in it.
func TestSilent(t *testing.T) {
	for _, c := range []struct {
		about      string
		states     []string
		size       int
		silent     []string
		noMajority bool
	}{
		{"in no cluster", []string{"joining"}, 0, nil, false},
		{"alone", []string{"member"}, 1, nil, false},
		{"one of two", []string{"member", "silent"}, 2, []string{"b"}, true},
		{"one of three", []string{"member", "silent", "leaving"}, 3, []string{"b"}, false},
		{"two of three", []string{"leaving", "silent", "silent"}, 3, []string{"b", "c"}, true},
		{"two of four", []string{"member", "member", "silent", "silent"}, 4, []string{"c", "d"}, true},
		{"all that were left in the view", []string{"leaving", "silent"}, 1, []string{"b"}, true},
	} {
		var members []node.Member
		for i, state := range c.states {
			members = append(members, node.Member{Name: string(rune('a' + i)), State: state})
		}
		if silent, none := Silent(members, c.size); !slices.Equal(silent, c.silent) || none != c.noMajority {
			t.Errorf("%s: %q, %v", c.about, silent, none)
		}
	}
}
