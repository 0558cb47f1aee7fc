package ring

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genParams(40, 5).Draw(t, "params")
		before, err := Build(genMembers(8).Draw(t, "before"), rapid.IntRange(1, 3).Draw(t, "replicas before"), p)
		if err != nil {
			t.Fatal(err)
		}
		after, err := Build(genMembers(8).Draw(t, "after"), rapid.IntRange(1, 3).Draw(t, "replicas after"), p)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Diff(before, after)
		if err != nil {
			t.Fatal(err)
		}
		checkDelta(t, d, before, after)
	})
}

// checkDelta compares a delta with the two tables, by maps of names.
func checkDelta(t rapid.TB, d Delta, before, after *Table) {
	t.Helper()
	changes := make(map[int]Change)
	for i, c := range d.Changes {
		if i > 0 && c.Partition <= d.Changes[i-1].Partition {
			t.Fatalf("partition %d comes after %d", c.Partition, d.Changes[i-1].Partition)
		}
		changes[c.Partition] = c
	}
	moved, transfers := 0, 0
	for part := range before.Partitions() {
		was, is := before.names(part), after.names(part)
		c, changed := changes[part]
		if changed == slices.Equal(was, is) {
			t.Fatalf("partition %d: change reported %v, held by %q then %q", part, changed, was, is)
		}
		if !changed {
			continue
		}
		if !slices.Equal(c.Before, was) || !slices.Equal(c.After, is) {
			t.Fatalf("partition %d: %+v, held by %q then %q", part, c, was, is)
		}
		held := make(map[string]bool)
		for _, m := range was {
			held[m] = true
		}
		var gained []string
		for _, m := range is {
			if !held[m] {
				gained = append(gained, m)
			}
			delete(held, m)
		}
		if !slices.Equal(c.Gained(), gained) {
			t.Fatalf("partition %d: gained %q, want %q", part, c.Gained(), gained)
		}
		if lost := c.Lost(); len(lost) != len(held) || slices.ContainsFunc(lost, func(m string) bool { return !held[m] }) {
			t.Fatalf("partition %d: lost %q, want %v", part, lost, held)
		}
		if c.OwnerMoved() != (was[0] != is[0]) {
			t.Fatalf("partition %d: owner moved %v, from %q to %q", part, c.OwnerMoved(), was[0], is[0])
		}
		if want := was[0] != is[0] && slices.Contains(was[1:], is[0]); c.Promoted() != want {
			t.Fatalf("partition %d: promoted %v, held by %q then %q", part, c.Promoted(), was, is)
		}
		if c.OwnerMoved() {
			moved++
		}
		transfers += len(gained)
	}
	if d.Moved() != moved || d.Transfers() != transfers {
		t.Fatalf("moved %d, transfers %d; want %d, %d", d.Moved(), d.Transfers(), moved, transfers)
	}
	for _, m := range before.Members() {
		if slices.Contains(d.Left, m) == slices.Contains(after.Members(), m) {
			t.Fatalf("%q left: %q; members now: %q", m, d.Left, after.Members())
		}
	}
	for _, m := range after.Members() {
		if slices.Contains(d.Joined, m) == slices.Contains(before.Members(), m) {
			t.Fatalf("%q joined: %q; members before: %q", m, d.Joined, before.Members())
		}
	}
}

func TestDiffWithNothing(t *testing.T) {
	table := mustBuild(t, []string{"b", "a", "c"}, 2, Params{Partitions: 10})
	if d := mustDiff(t, nil, nil); len(d.Changes)+len(d.Joined)+len(d.Left) != 0 {
		t.Errorf("nothing differs from nothing: %+v", d)
	}
	d := mustDiff(t, nil, table)
	if !slices.Equal(d.Joined, table.Members()) || len(d.Left) != 0 || d.Moved() != 10 || d.Transfers() != 20 {
		t.Errorf("a first table: joined %q, left %q, moved %d, transfers %d", d.Joined, d.Left, d.Moved(), d.Transfers())
	}
	d = mustDiff(t, table, nil)
	if !slices.Equal(d.Left, table.Members()) || len(d.Joined) != 0 || d.Moved() != 10 || d.Transfers() != 0 {
		t.Errorf("no table left: joined %q, left %q, moved %d, transfers %d", d.Joined, d.Left, d.Moved(), d.Transfers())
	}
	for _, c := range d.Changes {
		if c.Promoted() || len(c.Lost()) != 2 {
			t.Errorf("no table left: promoted %v, lost %q", c.Promoted(), c.Lost())
		}
	}
}

func TestDiffOfDifferentPartitions(t *testing.T) {
	a := mustBuild(t, []string{"a"}, 1, Params{Partitions: 10})
	b := mustBuild(t, []string{"a"}, 1, Params{Partitions: 11})
	if _, err := Diff(a, b); !errors.Is(err, ErrPartitions) {
		t.Errorf("Diff returned %v, want ErrPartitions", err)
	}
}
