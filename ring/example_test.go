package ring_test

import (
	"fmt"

	"github.com/huddle-cache/huddle/ring"
)

func Example() {
	before, err := ring.Build([]string{"a", "b", "c"}, 2, ring.DefaultParams())
	if err != nil {
		fmt.Println(err)
		return
	}
	part := before.Partition("some-token")
	holders := before.Owners(part)
	owner, next := before.Members()[holders[0]], before.Members()[holders[1]]

	// The owner dies: the next holder takes its place.
	var left []string
	for _, m := range before.Members() {
		if m != owner {
			left = append(left, m)
		}
	}
	after, err := ring.Build(left, 2, ring.DefaultParams())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(after.Members()[after.Owner(part)] == next)

	delta, err := ring.Diff(before, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range delta.Changes {
		if c.Partition == part {
			fmt.Println(c.OwnerMoved(), c.Promoted())
		}
	}
	// Output:
	// true
	// true true
}
